//! Thoughts put into what is said, between `<think>` and `</think>`, for clients that know no other
//! place for them: `merge_reasoning_content_in_choices`.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::word::Word;

const BEGIN: &str = "<think>";
const END: &str = "</think>";

type Object = Map<String, Value>;

/// A whole answer with its thoughts in its content. The same `Bytes` if there are none.
#[must_use]
pub fn merged_reply(body: Bytes) -> Bytes {
    if !may_think(&body) {
        return body;
    }
    let Ok(mut reply) = serde_json::from_slice::<Object>(&body) else { return body };
    for choice in choices(&mut reply) {
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else {
            continue;
        };
        if let Some(thought) = take_thought(message) {
            say(message, &[BEGIN, &thought, END]);
        }
    }
    serde_json::to_vec(&reply).map_or(body, Bytes::from)
}

/// Does the same to the frames of a stream.
#[derive(Debug, Default)]
pub struct Merger {
    /// The choices whose thoughts have begun and are not over.
    thinking: BTreeSet<u64>,
}

impl Merger {
    /// The frames with their thoughts in their content. The same `Bytes` if there are none.
    #[must_use]
    pub fn merged(&mut self, frames: Bytes) -> Bytes {
        if self.thinking.is_empty() && !may_think(&frames) {
            return frames;
        }
        let mut out = Vec::with_capacity(frames.len() + BEGIN.len() + END.len());
        for line in frames.split_inclusive(|byte| *byte == b'\n') {
            let data = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii);
            match data.and_then(|data| serde_json::from_slice::<Object>(data).ok()) {
                Some(mut chunk) => {
                    self.merge(&mut chunk);
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(Value::Object(chunk).to_string().as_bytes());
                    out.extend_from_slice(&line[line.trim_ascii_end().len()..]);
                }
                None => out.extend_from_slice(line),
            }
        }
        out.into()
    }

    fn merge(&mut self, chunk: &mut Object) {
        for choice in choices(chunk) {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            let ends = choice.get("finish_reason").is_some_and(|why| !why.is_null());
            let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) else {
                continue;
            };
            let thought = take_thought(delta);
            let goes_on =
                ends || ["content", "refusal", "tool_calls"].iter().any(|name| says(delta, name));
            let mut before = Vec::new();
            if let Some(thought) = &thought {
                if self.thinking.insert(index) {
                    before.push(BEGIN);
                }
                before.push(thought);
            }
            if goes_on && self.thinking.remove(&index) {
                before.push(END);
            }
            if !before.is_empty() {
                say(delta, &before);
            }
        }
    }
}

/// Most answers tell none, and are not read again.
fn may_think(text: &[u8]) -> bool {
    static NAME: Word = Word::new(b"\"reasoning");
    NAME.is_in(text)
}

fn choices(answer: &mut Object) -> impl Iterator<Item = &mut Object> {
    let choices = answer.get_mut("choices").and_then(Value::as_array_mut);
    choices.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn says(delta: &Object, name: &str) -> bool {
    let is_nothing = |value: &Value| {
        value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty)
    };
    delta.get(name).is_some_and(|value| !is_nothing(value))
}

/// The thought, under either of its names. One that stays is no text, or would have nowhere to go.
fn take_thought(said: &mut Object) -> Option<String> {
    let content = said.get("content");
    if content.is_some_and(|content| !content.is_string() && !content.is_null()) {
        return None;
    }
    let mut thought = None;
    for name in ["reasoning_content", "reasoning"] {
        if let Some(Value::String(_) | Value::Null) = said.get(name)
            && let Some(Value::String(text)) = said.shift_remove(name)
        {
            thought = thought.or(Some(text));
        }
    }
    thought.filter(|thought| !thought.is_empty())
}

fn say(said: &mut Object, before: &[&str]) {
    let content = said.get("content").and_then(Value::as_str).unwrap_or_default();
    let content = before.concat() + content;
    said.insert("content".to_owned(), content.into());
}

#[cfg(test)]
mod tests {
    use memchr::memmem;
    use serde_json::json;

    use super::*;

    #[test]
    fn thoughts_of_a_whole_answer_come_before_what_is_said() {
        let merged = |message: Value| -> Value {
            let body =
                json!({"id": "x", "choices": [{"index": 0, "message": message}]}).to_string();
            let merged = merged_reply(Bytes::from(body));
            serde_json::from_slice::<Value>(&merged).unwrap()["choices"][0]["message"].clone()
        };
        for (message, expected) in [
            (
                json!({"role": "assistant", "content": "yes", "reasoning_content": "hm"}),
                json!({"role": "assistant", "content": "<think>hm</think>yes"}),
            ),
            (
                json!({"reasoning": "hm", "content": null, "tool_calls": [{}]}),
                json!({"content": "<think>hm</think>", "tool_calls": [{}]}),
            ),
            (json!({"content": "yes", "reasoning_content": ""}), json!({"content": "yes"})),
            (
                json!({"content": [{}], "reasoning_content": "hm"}),
                json!({"content": [{}], "reasoning_content": "hm"}),
            ),
        ] {
            assert_eq!(merged(message.clone()), expected, "{message}");
        }
        let plain = Bytes::from_static(br#"{"choices":[{"message":{"content":"a"}}]}"#);
        assert_eq!(merged_reply(plain.clone()).as_ptr(), plain.as_ptr(), "not copied");
    }

    /// What a choice says in all, and whether a thought is left where it was.
    fn streamed(deltas: &[Value]) -> (String, bool) {
        let (mut merger, mut said, mut left) = (Merger::default(), String::new(), false);
        for delta in deltas {
            let frame = format!("data: {}\n\n", json!({"choices": [delta]}));
            let frame = merger.merged(Bytes::from(frame));
            let data = frame.strip_prefix(b"data: ").unwrap().strip_suffix(b"\n\n").unwrap();
            let delta =
                serde_json::from_slice::<Value>(data).unwrap()["choices"][0]["delta"].clone();
            said += delta["content"].as_str().unwrap_or_default();
            left |= delta.get("reasoning_content").is_some_and(|thought| thought != "");
        }
        (said, left)
    }

    #[test]
    fn thoughts_of_a_stream_end_where_something_else_begins() {
        let thought = |text: &str| json!({"delta": {"reasoning_content": text}});
        let text = |text: &str| json!({"delta": {"content": text}});
        let end = json!({"delta": {}, "finish_reason": "stop"});
        for (deltas, expected) in [
            (vec![thought("h"), thought("m"), text("yes"), end.clone()], "<think>hm</think>yes"),
            (vec![thought("hm"), text(""), text("yes")], "<think>hm</think>yes"),
            (
                vec![thought("hm"), json!({"delta": {"tool_calls": [{"index": 0}]}}), end.clone()],
                "<think>hm</think>",
            ),
            (vec![thought("hm"), end.clone()], "<think>hm</think>"),
            (
                vec![json!({"delta": {"reasoning_content": "hm", "content": "yes"}}), text("!")],
                "<think>hm</think>yes!",
            ),
            (
                vec![thought("a"), text("b"), thought("c"), text("d")],
                "<think>a</think>b<think>c</think>d",
            ),
            (vec![text("yes"), end], "yes"),
        ] {
            assert_eq!(streamed(&deltas), (expected.to_owned(), false), "{deltas:?}");
        }
    }

    #[test]
    fn choices_think_apart_and_what_is_no_chunk_passes() {
        let mut merger = Merger::default();
        let frame = |index: u64, delta: Value| {
            Bytes::from(format!(
                "data: {}\n\n",
                json!({"choices": [{"index": index, "delta": delta}]})
            ))
        };
        let first = merger.merged(frame(0, json!({"reasoning_content": "a"})));
        assert!(memmem::find(&first, b"<think>a").is_some());
        let other = frame(1, json!({"content": "b"}));
        assert_eq!(merger.merged(other.clone()), other);
        for passing in ["data: [DONE]\n\n", ": ping\n\n", "event: x\ndata: [1]\n\n"] {
            assert_eq!(merger.merged(Bytes::from_static(passing.as_bytes())), passing);
        }
    }
}
