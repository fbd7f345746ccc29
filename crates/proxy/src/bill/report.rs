//! What receivers of callbacks are told of a request beside its record. Where nobody is told of it,
//! nothing is kept.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use dunlin_callbacks::{Detail, Words};
use dunlin_journal::bounded;
use dunlin_llm::ChatRequest;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Proxy;
use crate::request::caller::Caller;

/// As much of a request's body, and of an answer's, as is told.
pub(crate) const MAX_WORDS: usize = 1 << 20;
/// A longer `metadata` is not told.
const MAX_METADATA: usize = 8 << 10;
/// Callbacks that are not to be told of a request.
const DISABLED: &str = "x-litellm-disable-callbacks";
/// Headers that say what the members of `metadata` without this in front do.
const LANGFUSE: &str = "langfuse_";

/// What is told of a request without what is said in it, if anybody is told.
pub(crate) fn of(proxy: &Proxy, caller: &Caller, headers: &HeaderMap) -> Option<Box<Detail>> {
    if !proxy.0.callbacks.want(caller.key()) {
        return None;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let disabled = text(DISABLED).unwrap_or_default().split(',').map(str::trim);
    // Others cannot be meant, and a record has no room for them.
    let disabled: BTreeSet<_> =
        disabled.filter(|name| proxy.0.callbacks.has(name)).map(str::to_ascii_lowercase).collect();
    let parent = text("traceparent").map(str::to_owned);
    let disabled = disabled.into_iter().collect();
    Some(Box::new(Detail { words: None, metadata: None, parent, disabled }))
}

/// The same with prompt and answer, unless they must not be kept.
pub(crate) fn of_chat(
    proxy: &Proxy,
    caller: &Caller,
    headers: &HeaderMap,
    chat: &ChatRequest,
    is_redacted: bool,
) -> Option<Box<Detail>> {
    let mut detail = of(proxy, caller, headers)?;
    detail.metadata = metadata(chat, headers);
    if !is_redacted {
        let request = bounded(chat.text(), MAX_WORDS);
        detail.words = Some(Words { request, answer: String::new() });
    }
    Some(detail)
}

#[derive(Deserialize)]
struct MetadataPeek<'b> {
    #[serde(borrow, default)]
    metadata: Option<&'b RawValue>,
    #[serde(borrow, default)]
    litellm_metadata: Option<&'b RawValue>,
}

/// What the client says for receivers: LiteLLM's `metadata`, which stands in `litellm_metadata` where
/// the other is the provider's, and headers of Langfuse's.
fn metadata(chat: &ChatRequest, headers: &HeaderMap) -> Option<String> {
    let told: Option<MetadataPeek<'_>> = serde_json::from_str(chat.text()).ok();
    let text = told.and_then(|told| told.litellm_metadata.or(told.metadata)).map(RawValue::get);
    let text = text.filter(|text| text.len() <= MAX_METADATA && text.starts_with('{'));
    let mut named = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix(LANGFUSE)?, value.to_str().ok()?))
        })
        .filter(|(_, value)| value.len() <= MAX_METADATA)
        .peekable();
    if named.peek().is_none() {
        return text.map(str::to_owned);
    }
    let mut all: Map<String, Value> =
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    all.extend(named.map(|(name, value)| (name.to_owned(), Value::from(value))));
    Some(Value::Object(all).to_string())
}
