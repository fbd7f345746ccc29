//! A response as a stream of numbered events.

use serde_json::{Value, json};

use super::{content, unfinished};
use crate::answer::{Answer, Part, Text};
use crate::script::{Framing, Script, named_event};

/// Writes events, and counts them.
struct Writer {
    script: Script,
    sequence: u64,
}

/// A stored response from its beginning, with as few events as that takes.
pub(super) fn again(response: &Value) -> Script {
    let mut writer = Writer::begin(response);
    let opening = unfinished(response, "in_progress");
    writer.note(json!({"type": "response.created", "response": opening}));
    writer.end(response);
    writer.script
}

pub(super) fn script(answer: &Answer, response: &Value) -> Script {
    let mut writer = Writer::begin(response);
    let opening = unfinished(response, "in_progress");
    writer.note(json!({"type": "response.created", "response": opening}));
    writer.note(json!({"type": "response.in_progress", "response": opening}));
    for (index, part) in answer.parts.iter().enumerate() {
        writer.item(index, part, &response["output"][index]);
    }
    writer.end(response);
    writer.script
}

impl Writer {
    /// A stream that breaks says so in an event of its own, or, if the metadata wants it, by a
    /// response that failed.
    fn begin(response: &Value) -> Self {
        let error = if response["metadata"]["breaks"] == "failed" {
            let mut failed = unfinished(response, "failed");
            failed["error"] = json!({"code": "server_error", "message": "the mock broke"});
            json!({"type": "response.failed", "sequence_number": 0, "response": failed})
        } else {
            json!({"type": "error", "sequence_number": 0, "code": "server_error",
                "message": "the mock broke", "param": null})
        };
        Self { script: Script::new(Framing::Events, named_event(&error)), sequence: 0 }
    }

    fn end(&mut self, response: &Value) {
        let status = response["status"].as_str().expect("it has one");
        self.note(json!({"type": format!("response.{status}"), "response": response}));
    }

    fn note(&mut self, event: Value) {
        let event = self.numbered(event);
        self.script.note(event);
    }

    fn numbered(&mut self, mut event: Value) -> bytes::Bytes {
        event["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        named_event(&event)
    }

    fn item(&mut self, index: usize, part: &Part, item: &Value) {
        let mut opening = item.clone();
        let (empty, text): (&[(&str, Value)], &Text) = match part {
            Part::Thought(text) => (&[("summary", json!([]))], text),
            Part::Text(text) | Part::Refusal(text) => {
                (&[("content", json!([])), ("status", json!("in_progress"))], text)
            }
            Part::Call(called) if item["type"] == "custom_tool_call" => {
                (&[("input", json!("")), ("status", json!("in_progress"))], &called.json)
            }
            Part::Call(called) => {
                (&[("arguments", json!("")), ("status", json!("in_progress"))], &called.json)
            }
        };
        for (field, value) in empty {
            opening[*field] = value.clone();
        }
        self.note(json!({"type": "response.output_item.added", "output_index": index,
            "item": opening}));
        let place = json!({"item_id": item["id"], "output_index": index});
        match part {
            Part::Thought(_) => self.thought(&place, text),
            Part::Text(_) | Part::Refusal(_) => self.message(&place, part, text, item),
            Part::Call(_) if item["type"] == "custom_tool_call" => {
                let kind = "response.custom_tool_call_input";
                self.deltas(kind, &place, text);
                let done = json!({"type": format!("{kind}.done"), "input": item["input"]});
                self.note(at(&place, done));
            }
            Part::Call(called) => {
                let kind = "response.function_call_arguments";
                self.deltas(kind, &place, text);
                self.note(at(
                    &place,
                    json!({"type": format!("{kind}.done"),
                    "name": called.name, "arguments": item["arguments"]}),
                ));
            }
        }
        self.note(json!({"type": "response.output_item.done", "output_index": index,
            "item": item}));
    }

    fn thought(&mut self, place: &Value, text: &Text) {
        let place = at(place, json!({"summary_index": 0}));
        let kind = "response.reasoning_summary";
        let part = |text: &str| json!({"type": "summary_text", "text": text});
        self.note(at(&place, json!({"type": format!("{kind}_part.added"), "part": part("")})));
        self.deltas(&format!("{kind}_text"), &place, text);
        let whole = text.whole();
        self.note(at(&place, json!({"type": format!("{kind}_text.done"), "text": whole})));
        self.note(at(&place, json!({"type": format!("{kind}_part.done"), "part": part(&whole)})));
    }

    fn message(&mut self, place: &Value, part: &Part, text: &Text, item: &Value) {
        let place = at(place, json!({"content_index": 0}));
        let empty = content(part, Some(""));
        self.note(at(&place, json!({"type": "response.content_part.added", "part": empty})));
        let whole = text.whole();
        if let Part::Refusal(_) = part {
            self.deltas("response.refusal", &place, text);
            self.note(at(&place, json!({"type": "response.refusal.done", "refusal": whole})));
        } else {
            // One of each token, if they are told.
            let mut likely = item["content"][0]["logprobs"].as_array().into_iter().flatten();
            for token in text.runs().flat_map(|(token, times)| (0..times).map(move |_| token)) {
                let logprobs: Vec<&Value> = likely.next().into_iter().collect();
                let delta = json!({"type": "response.output_text.delta", "delta": token,
                    "logprobs": logprobs});
                let delta = self.numbered(at(&place, delta));
                self.script.token(delta);
            }
            let logprobs = &item["content"][0]["logprobs"];
            self.note(at(
                &place,
                json!({"type": "response.output_text.done", "text": whole,
                "logprobs": logprobs}),
            ));
        }
        let whole = &item["content"][0];
        self.note(at(&place, json!({"type": "response.content_part.done", "part": whole})));
    }

    fn deltas(&mut self, kind: &str, place: &Value, text: &Text) {
        for (token, times) in text.runs() {
            for _ in 0..times {
                let delta = json!({"type": format!("{kind}.delta"), "delta": token});
                let delta = self.numbered(at(place, delta));
                self.script.token(delta);
            }
        }
    }
}

/// An event, or a place, with the fields of a place.
fn at(place: &Value, mut event: Value) -> Value {
    for (field, value) in place.as_object().into_iter().flatten() {
        event[field] = value.clone();
    }
    event
}
