//! Errors in Anthropic's shape.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Dialect;
use crate::openai::{Entity, ErrorBody, UpstreamError};

/// The types there are, and the statuses they stand for.
const TYPES: &[(u16, &str)] = &[
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
    // Read, it stands for the 504 above.
    (408, "timeout_error"),
];

/// An error as the body of an answer. The type is told by the status, as LiteLLM has it.
#[must_use]
pub(crate) fn error_body(error: &ErrorBody) -> Bytes {
    Bytes::from(to_json(error).to_string())
}

/// What LiteLLM answers to who is not let in, in the shape of OpenAI's that its clients look for, with
/// the member by which Anthropic's know an error.
#[must_use]
pub(crate) fn credential_body(error: &ErrorBody) -> Bytes {
    let ErrorBody { message, kind, param, code, .. } = error;
    let code = code.to_string();
    let told = json!({"message": message, "type": kind, "param": param, "code": code});
    Bytes::from(json!({"type": "error", "error": told}).to_string())
}

/// The frame that ends a stream which broke. No `message_stop` follows it.
#[must_use]
pub(crate) fn error_frame(error: &ErrorBody) -> Bytes {
    Bytes::from(format!("event: error\ndata: {}\n\n", to_json(error)))
}

fn to_json(error: &ErrorBody) -> Value {
    let named = TYPES.iter().find(|(status, _)| *status == error.code);
    let kind = match (named, error.code) {
        // Whatever status the operator has for it.
        _ if error.kind.as_deref() == Some("budget_exceeded") => "billing_error",
        (Some((_, kind)), _) => kind,
        (None, 400..=499) => "invalid_request_error",
        (None, _) => "api_error",
    };
    let mut told = json!({"type": kind, "message": error.message});
    if let Some(Entity { kind, id }) = &error.entity {
        told["entity_type"] = json!(kind);
        told["entity_id"] = json!(id);
    }
    let details = error.details.iter().flat_map(|details| details.members(Dialect::Anthropic));
    details.for_each(|(name, value)| told[name] = value);
    json!({"type": "error", "error": told})
}

/// The error in an `error` event. Its type stands for the status that a whole answer would have.
pub(super) fn upstream_error(text: &str) -> UpstreamError {
    let error = UpstreamError::parse(text.as_bytes());
    let status = TYPES.iter().find(|(_, kind)| error.kind.as_deref() == Some(kind));
    let code = status.map(|(status, _)| status.to_string()).or(error.code);
    UpstreamError { code, ..error }
}
