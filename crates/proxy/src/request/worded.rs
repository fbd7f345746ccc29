//! Texts for vectors that come as the ids of their tokens, as LangChain sends them, for models that are
//! asked in words.

use dunlin_admission::Refusal;
use dunlin_llm::{ChatRequest, Endpoint};
use dunlin_providers::reads_token_ids;
use dunlin_router::{Deployment, Group};
use dunlin_tokens::NoText;

use crate::Proxy;
use crate::attempts::GroupFailed;

/// Whether a deployment takes the ids of tokens that a request holds.
pub(crate) fn reads_tokens(chat: &ChatRequest, by: &Deployment) -> bool {
    if chat.endpoint() != Endpoint::Completions {
        return reads_token_ids(&by.provider);
    }
    dunlin_providers::find(&by.provider).is_some_and(|it| it.passes(chat, &by.target))
}

/// The request in words, if it holds ids of tokens and one of the group's deployments reads none.
///
/// # Errors
/// An id is of no token, or what reads them is not loaded.
pub(crate) async fn worded(
    proxy: &Proxy,
    chat: &ChatRequest,
    group: &Group,
) -> Result<Option<ChatRequest>, GroupFailed> {
    if group.deployments.iter().all(|by| reads_tokens(chat, by)) {
        return Ok(None);
    }
    let Some(lists) = chat.token_lists() else { return Ok(None) };
    match proxy.0.tokenizer.texts_of(lists).await {
        Ok(texts) => chat.with_texts(&texts).map(Some).map_err(GroupFailed::Unfit),
        Err(NoText::Unknown(id)) => Err(GroupFailed::Unfit(chat.unreadable_token(id))),
        Err(not_loaded @ NoText::NotLoaded) => {
            Err(GroupFailed::Uncounted(Refusal::CannotKnow { reason: not_loaded.to_string() }))
        }
    }
}
