//! Responses that nobody waits for, where the gateway keeps them: how they stand while there is no
//! answer, and where there will be none.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::edit;
use crate::endpoint::Stamp;
use crate::json::string;
use crate::responses::reply::{Status, response};
use crate::responses::writer::ANNOUNCED;
use crate::sse::write_event;

/// How a response without an answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It is about to be begun.
    Queued,
    /// It is being made.
    InProgress,
    /// Its client did not want it any more.
    Cancelled,
    /// It will not be made.
    Failed {
        /// One of OpenAI's words for why.
        code: &'a str,
        /// Why, for people.
        message: &'a str,
    },
}

impl<'a> Standing<'a> {
    /// A failure that would have been told with that status.
    #[must_use]
    pub fn failed(status: u16, message: &'a str) -> Self {
        let code = if status == 429 { "rate_limit_exceeded" } else { "server_error" };
        Self::Failed { code, message }
    }
}

/// The response object of a request that has no answer.
#[must_use]
pub fn standing(stamp: Stamp<'_>, how: Standing<'_>) -> Bytes {
    let mut response = response(stamp, Status::InProgress, Vec::new(), None, None);
    apply(&mut response, how);
    written(&response)
}

/// The events that begin the stream of a response whose answer has not begun.
#[must_use]
pub fn announced(stamp: Stamp<'_>) -> Bytes {
    let mut queued = response(stamp, Status::InProgress, Vec::new(), None, None);
    apply(&mut queued, Standing::Queued);
    let mut out = Vec::new();
    for (number, kind) in (0..ANNOUNCED).zip(["response.created", "response.queued"]) {
        let event = json!({"type": kind, "sequence_number": number, "response": queued});
        write_event(&mut out, kind, &event);
    }
    Bytes::from(out)
}

/// The events that end a stream.
const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];
/// How an event begins that says no more than that a stream broke.
const ERROR: &[u8] = b"event: error\n";

/// The event of that number that ends the stream of a response, which is finished. OpenAI's SDKs know
/// of no event for one that was cancelled: that it was says its status.
#[must_use]
pub fn end_event(response: &[u8], number: u64) -> Bytes {
    let response: Value = serde_json::from_slice(response).unwrap_or(Value::Null);
    let [completed, incomplete, failed] = ENDS;
    let kind = match response["status"].as_str() {
        Some("completed") => completed,
        Some("incomplete") => incomplete,
        Some(_) | None => failed,
    };
    let event = json!({"type": kind, "sequence_number": number, "response": response});
    let mut out = Vec::new();
    write_event(&mut out, kind, &event);
    Bytes::from(out)
}

/// Whether an event is one that ends a stream.
#[must_use]
pub fn is_end(event: &[u8]) -> bool {
    let kind = event.strip_prefix(b"event: ").and_then(|event| event.split(|b| *b == b'\n').next());
    kind.is_some_and(|kind| ENDS.iter().any(|end| end.as_bytes() == kind))
}

/// Where in these frames the event begins that says that the stream broke, and why it did. `None`:
/// there is none.
#[must_use]
pub fn broke_off(frames: &[u8]) -> Option<(usize, String)> {
    let starts = memchr::memmem::find_iter(frames, ERROR);
    let at = { starts }.find(|at| *at == 0 || frames[..*at].ends_with(b"\n\n"))?;
    let data = frames[at + ERROR.len()..].strip_prefix(b"data: ")?;
    let data = data.split(|byte| *byte == b'\n').next()?;
    let message = string(edit::member(data, "message")?)?;
    Some((at, message.into_owned()))
}

/// A response object that stands otherwise than it says. `None`: it is none.
#[must_use]
pub fn as_standing(response: &[u8], how: Standing<'_>) -> Option<Bytes> {
    let mut response: Value = serde_json::from_slice(response).ok()?;
    response.is_object().then(|| {
        apply(&mut response, how);
        written(&response)
    })
}

fn apply(response: &mut Value, how: Standing<'_>) {
    let (status, error) = match how {
        Standing::Queued => ("queued", Value::Null),
        Standing::InProgress => ("in_progress", Value::Null),
        Standing::Cancelled => ("cancelled", Value::Null),
        Standing::Failed { code, message } => ("failed", json!({"code": code, "message": message})),
    };
    response["status"] = status.into();
    response["error"] = error;
}

fn written(response: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec(response).expect("values are always JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::{KeptResponse, Turn};

    #[test]
    fn a_stream_ends_as_its_response_stands() {
        for (status, kind) in [
            ("completed", "response.completed"),
            ("incomplete", "response.incomplete"),
            ("failed", "response.failed"),
            ("cancelled", "response.failed"),
        ] {
            let response = json!({"id": "resp_1", "status": status}).to_string();
            let event = end_event(response.as_bytes(), 7);
            let text = std::str::from_utf8(&event).expect("text");
            assert!(text.starts_with(&format!("event: {kind}\ndata: {{")), "{text}");
            assert!(text.contains(r#""sequence_number":7"#) && text.ends_with("\n\n"), "{text}");
            assert!(is_end(&event) && !is_end(b"event: response.created\ndata: {}\n\n"));
        }
        let message = "it \"broke\"".to_owned();
        let error = crate::openai::ErrorBody {
            message,
            kind: None,
            param: None,
            code: 500,
            entity: None,
            details: None,
        };
        let frame = crate::responses::error_frame(&error);
        let before = b"event: x\ndata: {\"text\":\"event: error\"}\n\n";
        let frames = [&before[..], &frame[..]].concat();
        assert_eq!(broke_off(&frames), Some((before.len(), "it \"broke\"".to_owned())));
        assert_eq!(broke_off(before), None);
    }

    #[test]
    fn a_response_without_an_answer_says_how_it_stands_and_repeats_its_request() {
        let request = r#"{"model":"m","input":"hi","background":true,"metadata":{"a":"b"}}"#;
        let turn = Turn { id: Some("resp_1".to_owned()), ..Turn::default() };
        let stamp = Stamp { model: "mine", id: "x", now: 7, request, turn: Some(&turn) };
        let queued = standing(stamp, Standing::Queued);
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).expect("JSON");
        let value = read(&queued);
        assert_eq!((&value["status"], &value["id"]), (&json!("queued"), &json!("resp_1")));
        assert_eq!((&value["background"], &value["store"]), (&json!(true), &json!(true)));
        assert_eq!((&value["metadata"]["a"], &value["output"]), (&json!("b"), &json!([])));
        assert!(!KeptResponse::read(&queued).expect("a response").finished);

        let failed = Standing::Failed { code: "server_error", message: "its node died" };
        let failed = as_standing(&queued, failed).expect("a response");
        assert!(KeptResponse::read(&failed).expect("a response").finished);
        assert_eq!(read(&failed)["error"]["message"], "its node died");
        assert_eq!(as_standing(b"[]", Standing::Queued), None);
    }
}
