//! A whole answer where a stream was asked for: put as the events of one, so that it is delivered and
//! charged as such. Some models take tools in whole answers alone.

use bytes::Bytes;
use serde_json::{Value, json};

use super::frames::Frame;

/// The events of a stream that says what `body` does. `None`: it is no answer.
pub(super) fn frames_of_reply(body: &[u8]) -> Option<Vec<Frame>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let stop = answer.get("stopReason").filter(|stop| stop.is_string())?;
    let blocks = answer["output"]["message"]["content"].as_array()?;
    let mut frames = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        if let Some(tool) = block.get("toolUse") {
            let mut tool = tool.clone();
            tool["input"].take();
            let start = json!({"toolUse": tool});
            frames.push(frame("contentBlockStart", at, json!({ "start": start })));
        }
        if let Some(image) = block.get("image") {
            let start = json!({"image": {"format": image["format"]}});
            frames.push(frame("contentBlockStart", at, json!({ "start": start })));
        }
        let deltas = deltas(block).into_iter();
        frames
            .extend(deltas.map(|delta| frame("contentBlockDelta", at, json!({ "delta": delta }))));
        frames.push(frame("contentBlockStop", at, json!({})));
    }
    frames.push(frame("messageStop", blocks.len(), json!({ "stopReason": stop })));
    frames.push(frame(
        "metadata",
        blocks.len(),
        json!({"usage": answer["usage"], "serviceTier": answer.get("serviceTier")}),
    ));
    Some(frames)
}

/// What is said in a block, as a stream says it.
fn deltas(block: &Value) -> Vec<Value> {
    let mut deltas = Vec::new();
    let mut add = |name: &str, said: Option<&Value>| {
        deltas.extend(said.filter(|said| !said.is_null()).map(|said| json!({ name: said })));
    };
    let thought = &block["reasoningContent"];
    for (name, said) in [
        ("text", thought["reasoningText"].get("text")),
        ("signature", thought["reasoningText"].get("signature")),
        ("redactedContent", thought.get("redactedContent")),
    ] {
        add("reasoningContent", said.map(|said| json!({ name: said })).as_ref());
    }
    let cited = &block["citationsContent"];
    for citation in cited["citations"].as_array().into_iter().flatten() {
        add("citation", Some(citation));
    }
    for said in cited["content"].as_array().into_iter().flatten() {
        add("text", said.get("text"));
    }
    add("text", block.get("text"));
    let source = block["image"].get("source").map(|source| json!({ "source": source }));
    add("image", source.as_ref());
    let input = block["toolUse"].get("input").filter(|input| !input.is_null());
    add("toolUse", input.map(|input| json!({"input": input.to_string()})).as_ref());
    deltas
}

fn frame(kind: &str, at: usize, mut event: Value) -> Frame {
    event["contentBlockIndex"] = at.into();
    let (message_type, kind) = ("event".to_owned(), kind.to_owned());
    Frame { message_type, kind, error: None, payload: Bytes::from(event.to_string()) }
}
