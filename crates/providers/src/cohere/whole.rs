//! A whole answer where a stream was asked for, as the events of one.

use bytes::Bytes;
use serde_json::{Value, json};

/// The frames of a stream that says what `body` does. `None`: it is no answer of Cohere's.
pub(super) fn frames_of_reply(body: &[u8]) -> Option<Vec<Bytes>> {
    let reply: Value = serde_json::from_slice(body).ok()?;
    let message = reply.get("message").filter(|message| message.is_object())?;
    let listed = |name: &str| message[name].as_array().into_iter().flatten().enumerate();
    let mut events = vec![json!({"type": "message-start", "id": reply["id"]})];
    let mut say = |kind: &str, at: usize, said: Value| {
        events.push(json!({"type": kind, "index": at, "delta": {"message": said}}));
    };
    for (at, content) in listed("content") {
        say("content-start", at, json!({"content": content}));
    }
    if message["tool_plan"].is_string() {
        say("tool-plan-delta", 0, json!({"tool_plan": message["tool_plan"]}));
    }
    for (at, call) in listed("tool_calls") {
        say("tool-call-start", at, json!({"tool_calls": call}));
    }
    for (at, cited) in listed("citations") {
        say("citation-start", at, json!({"citations": cited}));
    }
    for likely in reply["logprobs"].as_array().into_iter().flatten() {
        events.push(json!({"type": "content-delta", "index": 0, "logprobs": likely}));
    }
    let end = json!({"finish_reason": reply["finish_reason"], "usage": reply["usage"]});
    events.push(json!({"type": "message-end", "delta": end}));
    let frame = |event: &Value| Bytes::from(format!("data: {event}\n\n"));
    Some(events.iter().map(frame).collect())
}
