//! Texts for vectors that come as the ids of their tokens, as LangChain sends them, for models that are
//! asked in words.

use dunlin_llm::{BadRequest, ChatRequest};
use dunlin_providers::reads_token_ids;
use dunlin_router::Group;

use crate::Proxy;

/// The request in words, if it holds ids of tokens and one of the group's deployments reads none.
///
/// # Errors
/// The ids are of no tokens.
pub(crate) async fn worded(
    proxy: &Proxy,
    chat: &ChatRequest,
    group: &Group,
) -> Result<Option<ChatRequest>, BadRequest> {
    if group.deployments.iter().all(|by| reads_token_ids(&by.provider)) {
        return Ok(None);
    }
    let Some(lists) = chat.token_lists() else { return Ok(None) };
    match proxy.0.tokenizer.texts_of(lists).await {
        Ok(texts) => chat.with_texts(&texts).map(Some),
        Err(_) => Err(chat.unreadable_tokens()),
    }
}
