//! A whole message where a stream was asked for: put as the events of one, so that it is delivered and
//! charged as such.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The frames of a stream that says what `body` does. `None`: it is no message.
#[must_use]
pub fn frames_of_reply(body: &[u8]) -> Option<Vec<Bytes>> {
    let mut message: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let Some(Value::Array(blocks)) = message.insert("content".to_owned(), json!([])) else {
        return None;
    };
    let end = json!({
        "stop_reason": message.insert("stop_reason".to_owned(), Value::Null)?,
        "stop_sequence": message.insert("stop_sequence".to_owned(), Value::Null),
    });
    let usage = message.get("usage").cloned().unwrap_or_default();
    let mut frames = vec![frame("message_start", json!({ "message": message }))];
    for (at, block) in blocks.into_iter().enumerate() {
        let (block, deltas) = begun(block);
        frames.push(frame("content_block_start", json!({"index": at, "content_block": block})));
        let delta = |delta| frame("content_block_delta", json!({"index": at, "delta": delta}));
        frames.extend(deltas.into_iter().map(delta));
        frames.push(frame("content_block_stop", json!({ "index": at })));
    }
    let mut ends = json!({ "delta": end });
    if !usage.is_null() {
        ends["usage"] = usage;
    }
    frames.push(frame("message_delta", ends));
    frames.push(frame("message_stop", json!({})));
    Some(frames)
}

/// A block as it begins, and the deltas that make it whole. What no delta can add to begins whole.
fn begun(mut block: Value) -> (Value, Vec<Value>) {
    let kind = block["type"].as_str().unwrap_or_default().to_owned();
    let mut take = |name: &str, empty: Value| {
        let said = std::mem::replace(block.get_mut(name)?, empty.clone());
        (said != empty && !said.is_null()).then_some(said)
    };
    let deltas: Vec<Value> = match &*kind {
        "text" => {
            let cited = take("citations", json!([]));
            let cited = cited.and_then(|cited| cited.as_array().cloned()).unwrap_or_default();
            let cited = cited.into_iter();
            let cited = cited.map(|one| json!({"type": "citations_delta", "citation": one}));
            let text = take("text", "".into());
            cited.chain(text.map(|text| json!({"type": "text_delta", "text": text}))).collect()
        }
        "thinking" => {
            let text = take("thinking", "".into());
            let text = text.map(|text| json!({"type": "thinking_delta", "thinking": text}));
            let seal = take("signature", "".into());
            let seal = seal.map(|seal| json!({"type": "signature_delta", "signature": seal}));
            text.into_iter().chain(seal).collect()
        }
        "tool_use" | "server_tool_use" => {
            let input = take("input", json!({})).map(|input| input.to_string());
            let delta = |json| json!({"type": "input_json_delta", "partial_json": json});
            input.map(delta).into_iter().collect()
        }
        _ => Vec::new(),
    };
    (block, deltas)
}

fn frame(name: &str, mut data: Value) -> Bytes {
    data["type"] = name.into();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
