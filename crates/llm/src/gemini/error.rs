//! Errors in Google's shape.

use bytes::Bytes;
use serde_json::json;

use crate::Dialect;
use crate::openai::{Entity, ErrorBody};

/// The body: `{"error":{"code","message","status"}}`, the code a number.
pub(crate) fn error_body(error: &ErrorBody) -> Bytes {
    let is_spent = error.kind.as_deref() == Some("budget_exceeded");
    let status = if is_spent { "RESOURCE_EXHAUSTED" } else { status(error.code) };
    let mut told = json!({"code": error.code, "message": error.message, "status": status});
    if let Some(Entity { kind, id }) = &error.entity {
        told["entity_type"] = json!(kind);
        told["entity_id"] = json!(id);
    }
    let details = error.details.iter().flat_map(|details| details.members(Dialect::Gemini));
    details.for_each(|(name, value)| told[name] = value);
    Bytes::from(json!({"error": told}).to_string())
}

/// The frame that ends a stream which broke.
pub(crate) fn error_frame(error: &ErrorBody) -> Bytes {
    let body = error_body(error);
    Bytes::from([b"data: ", &body[..], b"\n\n"].concat())
}

/// Google's word for an HTTP status.
fn status(code: u16) -> &'static str {
    match code {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 | 529 => "UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}
