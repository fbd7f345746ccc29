//! `countTokens`: what is to be counted, and a guess.

use bytes::Bytes;
use dunlin_types::Tokens;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::estimate::prompt_tokens;
use crate::fields::is_spelled;
use crate::json::{Member, members};
use crate::parse::BadRequest;

/// Guesses the tokens of what a body asks to be counted: contents, or a whole request that has
/// instructions and tools as well.
///
/// # Errors
/// The body holds neither.
pub fn count_estimate(body: &[u8]) -> Result<Tokens, BadRequest> {
    let text = std::str::from_utf8(body).map_err(|_| BadRequest::NotAnObject)?;
    let outer = members(text).map_err(|_| BadRequest::NotAnObject)?;
    let whole = outer.iter().find(|member| is_spelled(&member.name, "generateContentRequest"));
    let inner = whole.map(|member| members(member.value).map_err(|_| BadRequest::NotAnObject));
    let inner = inner.transpose()?.unwrap_or_default();
    let counted = outer.iter().chain(&inner).filter(|member| {
        ["contents", "systemInstruction", "tools"].iter().any(|name| is_spelled(&member.name, name))
    });
    let counted: Vec<Tokens> =
        counted.map(|member| prompt_tokens(member.value.as_bytes())).collect();
    if counted.is_empty() {
        let route = Endpoint::GenerateContent.route();
        return Err(BadRequest::Missing { route, name: "contents" });
    }
    Ok(counted.into_iter().fold(Tokens(0), |sum, tokens| sum + tokens))
}

/// The request in a body that asks for its tokens: a member of it, or all of it.
#[must_use]
pub fn counted_request(body: &Bytes) -> Bytes {
    let outer = std::str::from_utf8(body).ok().and_then(|text| members(text).ok());
    let whole = outer.and_then(|outer| {
        let named = |member: &&Member<'_>| is_spelled(&member.name, "generateContentRequest");
        Some(body.slice_ref(outer.iter().find(named)?.value.as_bytes()))
    });
    whole.unwrap_or_else(|| body.clone())
}

/// The answer.
#[must_use]
pub fn count_json(tokens: Tokens) -> Bytes {
    Bytes::from(json!({"totalTokens": tokens.0}).to_string())
}
