//! Which deployments of a group take a prompt as long as this one: `enable_pre_call_checks`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dunlin_llm::ChatRequest;
use dunlin_router::{Catalog, Group};
use dunlin_types::Tokens;

use crate::Proxy;
use crate::questions::count::counted;

/// A prompt that is too long for every deployment of a group.
pub(crate) struct TooLong {
    pub(crate) tokens: Tokens,
    /// As much as the largest of them takes.
    pub(crate) most: Tokens,
}

/// Those that take it. Tokens are counted only where bytes do not tell already.
pub(super) async fn fitting<'g>(
    proxy: &Proxy,
    catalog: &Catalog,
    chat: &ChatRequest,
    group: &'g Group,
) -> Result<Cow<'g, Group>, TooLong> {
    // No token is shorter than a byte.
    let bytes = Tokens(chat.text_bytes());
    let may_be_long = |most: Option<Tokens>| most.is_some_and(|most| bytes > most);
    let is_checked = catalog.checks_length && chat.endpoint().is_chat();
    if !is_checked || !group.deployments.iter().any(|by| may_be_long(by.max_input)) {
        return Ok(Cow::Borrowed(group));
    }
    let mut lengths: BTreeMap<&str, Tokens> = BTreeMap::new();
    let (mut kept, mut refused) = (Vec::new(), None);
    for by in &group.deployments {
        let model: &str = &by.target.model;
        let Some(most) = by.max_input else {
            kept.push(by.clone());
            continue;
        };
        let tokens = match lengths.get(model) {
            Some(tokens) => *tokens,
            None => {
                proxy.0.tokenizer.warm(model).await;
                // What cannot be counted is the provider's to judge.
                let tokens = counted(proxy, chat, model).unwrap_or(Tokens(0));
                lengths.insert(model, tokens);
                tokens
            }
        };
        if tokens <= most {
            kept.push(by.clone());
        } else if refused.as_ref().is_none_or(|other: &TooLong| other.most < most) {
            refused = Some(TooLong { tokens, most });
        }
    }
    match refused {
        Some(too_long) if kept.is_empty() => Err(too_long),
        Some(_) => Ok(Cow::Owned(Group { name: group.name.clone(), deployments: kept })),
        None => Ok(Cow::Borrowed(group)),
    }
}
