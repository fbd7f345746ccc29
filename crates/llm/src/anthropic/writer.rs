//! Pieces of the common form, written as Anthropic's stream events: one block open at a time, each
//! with the next index.

use dunlin_types::Usage;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::citations;
use super::reply::finish_words;
use super::usage::usage_json;
use crate::endpoint::{Endpoint, Stamp, StreamWriter};
use crate::form::{Citation, Delta, Finish, OneByOne, ToolCall};
use crate::sse::write_event;

/// Writes a message's events.
pub(crate) struct MessagesWriter {
    id: String,
    model: String,
    started: bool,
    usage: Usage,
    finish: Option<Finish>,
    /// The index of the next block.
    next: u32,
    open: Open,
    calls: OneByOne,
}

/// More of the open block.
#[derive(serde::Serialize)]
struct Added<D> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    delta: D,
}

/// A delta of one text.
struct Words<'a> {
    kind: &'static str,
    name: &'static str,
    text: &'a str,
}

impl Serialize for Words<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut wire = to.serialize_map(Some(2))?;
        wire.serialize_entry("type", self.kind)?;
        wire.serialize_entry(self.name, self.text)?;
        wire.end()
    }
}

enum Open {
    Nothing,
    /// With whether it has sources: words that come after them are not theirs.
    Text {
        cites: bool,
    },
    Thinking,
    Call {
        call: u32,
    },
}

impl MessagesWriter {
    pub(crate) fn new(stamp: Stamp<'_>) -> Self {
        Self {
            id: stamp.answer_id(Endpoint::Messages, None),
            model: stamp.model.to_owned(),
            started: false,
            usage: Usage::default(),
            finish: None,
            next: 0,
            open: Open::Nothing,
            calls: OneByOne::default(),
        }
    }

    fn start(&mut self, id: Option<String>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let message = json!({
            "id": id.as_deref().unwrap_or(&self.id),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage_json(&self.usage),
        });
        write_event(out, "message_start", &json!({"type": "message_start", "message": message}));
    }

    fn begin(&mut self, block: Value, open: Open, out: &mut Vec<u8>) {
        let wire =
            json!({"type": "content_block_start", "index": self.next, "content_block": block});
        write_event(out, "content_block_start", &wire);
        self.open = open;
    }

    /// Adds to the open block.
    fn add(&self, delta: impl Serialize, out: &mut Vec<u8>) {
        let kind = "content_block_delta";
        write_event(out, kind, &Added { kind, index: self.next, delta });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if matches!(std::mem::replace(&mut self.open, Open::Nothing), Open::Nothing) {
            return;
        }
        let wire = json!({"type": "content_block_stop", "index": self.next});
        write_event(out, "content_block_stop", &wire);
        self.next += 1;
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Text { cites: false }) {
            self.close(out);
            let open = Open::Text { cites: false };
            self.begin(json!({"type": "text", "text": ""}), open, out);
        }
        self.add(Words { kind: "text_delta", name: "text", text }, out);
    }

    /// A source of words that are being said. Words that are over cannot be given one.
    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        if let Open::Text { cites } = &mut self.open {
            *cites = true;
            let citation = citations::write(citation);
            self.add(json!({"type": "citations_delta", "citation": citation}), out);
        }
    }

    fn think(&mut self, delta: Words<'_>, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Thinking) {
            self.close(out);
            let block = json!({"type": "thinking", "thinking": "", "signature": ""});
            self.begin(block, Open::Thinking, out);
        }
        self.add(delta, out);
    }

    fn call(&mut self, number: u32, call: ToolCall, out: &mut Vec<u8>) {
        self.close(out);
        let block =
            json!({"type": "tool_use", "id": call.sealed_id(), "name": call.name, "input": {}});
        self.begin(block, Open::Call { call: number }, out);
    }

    fn arguments(&self, of: u32, text: &str, out: &mut Vec<u8>) {
        // Else more of a call that was over: its block is closed.
        if matches!(self.open, Open::Call { call } if call == of) {
            self.add(Words { kind: "input_json_delta", name: "partial_json", text }, out);
        }
    }

    fn put(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text { choice: 0, text } | Delta::Refusal { choice: 0, text } => {
                self.text(&text, out);
            }
            Delta::Thinking { choice: 0, text } => {
                self.think(Words { kind: "thinking_delta", name: "thinking", text: &text }, out);
            }
            Delta::Signature { choice: 0, signature, of_thought } => {
                if !of_thought {
                    self.close(out);
                }
                let seal = Words { kind: "signature_delta", name: "signature", text: &signature };
                self.think(seal, out);
                self.close(out);
            }
            Delta::RedactedThinking { choice: 0, data } => {
                self.close(out);
                // Any kind of open block: it takes no deltas and is closed at once.
                self.begin(json!({"type": "redacted_thinking", "data": data}), Open::Thinking, out);
                self.close(out);
            }
            Delta::ToolCall { choice: 0, call, id, name, signature } => {
                let begun = ToolCall { id, name, arguments: String::new(), signature };
                self.call(call, begun, out);
            }
            Delta::Arguments { choice: 0, call, text } => self.arguments(call, &text, out),
            Delta::Finish { choice: 0, finish } => self.finish = Some(finish),
            Delta::Usage(usage) => self.usage = usage,
            Delta::Citation { choice: 0, citation } => self.cite(&citation, out),
            // It has no words for them.
            Delta::Logprobs { .. } | Delta::Media { .. } | Delta::Served(_) => {}
            // There is room for one choice only.
            Delta::Text { .. }
            | Delta::Refusal { .. }
            | Delta::Thinking { .. }
            | Delta::Signature { .. }
            | Delta::RedactedThinking { .. }
            | Delta::ToolCall { .. }
            | Delta::Arguments { .. }
            | Delta::Citation { .. }
            | Delta::Finish { .. }
            | Delta::Start { .. } => {}
        }
    }
}

impl StreamWriter for MessagesWriter {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if let Delta::Start { id, usage, .. } = delta {
            if let Some(usage) = usage {
                self.usage = usage;
            }
            self.start(id, out);
            return;
        }
        self.start(None, out);
        let mut calls = std::mem::take(&mut self.calls);
        calls.push(delta, |delta| self.put(delta, out));
        self.calls = calls;
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(None, out);
        let mut calls = std::mem::take(&mut self.calls);
        calls.release(|delta| self.put(delta, out));
        self.close(out);
        let (reason, sequence) = self.finish.as_ref().map_or(("end_turn", None), finish_words);
        let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
        let usage = usage_json(&self.usage);
        let wire = json!({"type": "message_delta", "delta": delta, "usage": usage});
        write_event(out, "message_delta", &wire);
        write_event(out, "message_stop", &json!({"type": "message_stop"}));
    }
}
