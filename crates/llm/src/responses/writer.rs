//! Pieces of the common form, written as a response's events, in the order that OpenAI sends them:
//! each item and each of its parts is added, grows, is done.

use bytes::Bytes;
use dunlin_types::Usage;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use crate::endpoint::{Stamp, StreamWriter};
use crate::form::{
    Citation, Delta, Finish, OneByOne, PartKind, ToolCall, custom_input, joined_sound,
};
use crate::openai::ErrorBody;
use crate::responses::calls::{ClientTool, ClientTools};
use crate::responses::items::{
    annotation, cited_text, likely, message, output_audio, output_text, picture, reasoning,
    redacted, refusal, summary_text,
};
use crate::responses::references::item_id;
use crate::responses::reply::{Status, response};
use crate::responses::tools::client_tools;
use crate::responses::turn::Turn;
use crate::sse::write_event;
use crate::tier::Tier;

/// How many events are sent before an answer begins, of a response that is queued.
pub(super) const ANNOUNCED: u64 = 2;
/// How events about words begin.
const OUTPUT_TEXT: &str = "response.output_text.";

/// And about sounds and what is said in them.
const AUDIO: &str = "response.audio";
const AUDIO_TRANSCRIPT: &str = "response.audio.transcript";

/// What the stream is in the middle of.
enum Open {
    Nothing,
    Thought {
        id: String,
        text: String,
        signature: Option<String>,
    },
    Words {
        id: String,
        text: String,
        is_refusal: bool,
        annotations: Vec<Value>,
        logprobs: Vec<Value>,
    },
    Sound {
        id: String,
        pieces: Vec<String>,
        transcript: String,
    },
    /// What its arguments are grows for functions, and is told of other tools when it is whole.
    Call {
        id: String,
        number: u32,
        call: ToolCall,
        tool: ClientTool,
    },
}

/// More of the text of part 0 of the open item.
struct More<'a> {
    kind: &'static str,
    id: &'a str,
    item: usize,
    index: &'static str,
    text: &'a str,
    sequence: u64,
}

impl Serialize for More<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut wire = to.serialize_map(None)?;
        wire.serialize_entry("item_id", self.id)?;
        wire.serialize_entry("output_index", &self.item)?;
        wire.serialize_entry(self.index, &0)?;
        wire.serialize_entry("delta", self.text)?;
        if self.kind.starts_with(OUTPUT_TEXT) {
            wire.serialize_entry("logprobs", &[(); 0])?;
        }
        wire.serialize_entry("type", self.kind)?;
        wire.serialize_entry("sequence_number", &self.sequence)?;
        wire.end()
    }
}

/// Writes events.
pub(crate) struct EventWriter {
    model: String,
    id: String,
    now: u64,
    request: String,
    turn: Option<Turn>,
    tools: ClientTools,
    sequence: u64,
    open: Open,
    calls: OneByOne,
    done: Vec<Value>,
    status: Status,
    usage: Option<Usage>,
    tier: Option<Tier>,
    /// Characters of the messages that are done.
    said: u64,
}

impl EventWriter {
    pub(crate) fn new(stamp: Stamp<'_>) -> Self {
        Self {
            model: stamp.model.to_owned(),
            id: stamp.id.to_owned(),
            now: stamp.now,
            request: stamp.request.to_owned(),
            turn: stamp.turn.cloned(),
            tools: client_tools(stamp.request),
            sequence: if stamp.turn.is_some_and(|turn| turn.announced) { ANNOUNCED } else { 0 },
            open: Open::Nothing,
            calls: OneByOne::default(),
            done: Vec::new(),
            status: Status::Completed,
            usage: None,
            tier: None,
            said: 0,
        }
    }

    fn stamp(&self) -> Stamp<'_> {
        Stamp {
            model: &self.model,
            id: &self.id,
            now: self.now,
            request: &self.request,
            turn: self.turn.as_ref(),
        }
    }

    fn event(&mut self, out: &mut Vec<u8>, kind: &str, mut data: Value) {
        data["type"] = kind.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        write_event(out, kind, &data);
    }

    fn response_event(&mut self, out: &mut Vec<u8>, kind: &str, status: Status) {
        let output = self.done.clone();
        let usage = self.usage.as_ref();
        let response = response(self.stamp(), status, output, usage, self.tier);
        self.event(out, kind, json!({"response": response}));
    }

    fn next_id(&self, prefix: &str) -> String {
        item_id(prefix, self.stamp(), self.done.len())
    }

    fn item_added(&mut self, out: &mut Vec<u8>, item: &Value) {
        let at = self.done.len();
        self.event(out, "response.output_item.added", json!({"output_index": at, "item": item}));
    }

    fn item_done(&mut self, out: &mut Vec<u8>, item: Value) {
        let at = self.done.len();
        self.event(out, "response.output_item.done", json!({"output_index": at, "item": item}));
        self.done.push(item);
    }

    /// An event about part 0 of the open item.
    fn part(&mut self, out: &mut Vec<u8>, kind: &str, id: &str, index: &str, field: (&str, Value)) {
        let mut data = json!({"item_id": id, "output_index": self.done.len()});
        data[index] = 0.into();
        data[field.0] = field.1;
        if kind.starts_with(OUTPUT_TEXT) {
            data["logprobs"] = json!([]);
        }
        self.event(out, kind, data);
    }

    fn think(&mut self, more: &str, out: &mut Vec<u8>) {
        // One that has its seal is whole.
        if !matches!(self.open, Open::Thought { signature: None, .. }) {
            self.close(out);
            let id = self.next_id("rs");
            self.item_added(out, &reasoning(&id, "", None));
            let part = ("part", summary_text(""));
            self.part(out, "response.reasoning_summary_part.added", &id, "summary_index", part);
            self.open = Open::Thought { id, text: String::new(), signature: None };
        }
        let Open::Thought { id, text, .. } = &mut self.open else { return };
        text.push_str(more);
        let (item, sequence) = (self.done.len(), self.sequence);
        let kind = "response.reasoning_summary_text.delta";
        let more = More { kind, id, item, index: "summary_index", text: more, sequence };
        write_event(out, kind, &more);
        self.sequence += 1;
    }

    /// An item of nothing but a seal.
    fn sealed(&mut self, item: impl Fn(&str) -> Value, out: &mut Vec<u8>) {
        self.close(out);
        let item = item(&self.next_id("rs"));
        self.item_added(out, &item);
        self.item_done(out, item);
    }

    /// A picture, which comes whole.
    fn show(&mut self, media: &PartKind, out: &mut Vec<u8>) {
        if let PartKind::Audio { data, transcript, .. } = media {
            return self.speak(data, transcript, out);
        }
        let PartKind::Image { source, .. } = media else { return };
        self.close(out);
        let id = self.next_id("ig");
        let Some(item) = picture(&id, source) else { return };
        let mut begun = item.clone();
        (begun["status"], begun["result"]) = ("in_progress".into(), Value::Null);
        self.item_added(out, &begun);
        let data = json!({"item_id": id, "output_index": self.done.len()});
        self.event(out, "response.image_generation_call.completed", data);
        self.item_done(out, item);
    }

    /// More of a sound, or of its words.
    fn speak(&mut self, data: &str, words: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Sound { .. }) {
            self.close(out);
            let id = self.next_id("msg");
            self.item_added(out, &message(&id, "in_progress", &[]));
            let part = ("part", output_audio("", ""));
            self.part(out, "response.content_part.added", &id, "content_index", part);
            self.open = Open::Sound { id, pieces: Vec::new(), transcript: String::new() };
        }
        let Open::Sound { pieces, transcript, .. } = &mut self.open else { return };
        transcript.push_str(words);
        if !data.is_empty() {
            pieces.push(data.to_owned());
        }
        for (kind, more) in [(AUDIO_TRANSCRIPT, words), (AUDIO, data)] {
            if !more.is_empty() {
                self.event(out, &format!("{kind}.delta"), json!({"delta": more}));
            }
        }
    }

    fn say(&mut self, more: &str, refuses: bool, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Words { is_refusal, .. } if is_refusal == refuses) {
            self.close(out);
            let id = self.next_id("msg");
            self.item_added(out, &message(&id, "in_progress", &[]));
            let part = ("part", if refuses { refusal("") } else { output_text("") });
            self.part(out, "response.content_part.added", &id, "content_index", part);
            let (text, annotations, logprobs) = (String::new(), Vec::new(), Vec::new());
            self.open = Open::Words { id, text, is_refusal: refuses, annotations, logprobs };
        }
        let Open::Words { id, text, .. } = &mut self.open else { return };
        text.push_str(more);
        let (item, sequence) = (self.done.len(), self.sequence);
        let kind = if refuses { "response.refusal.delta" } else { "response.output_text.delta" };
        let more = More { kind, id, item, index: "content_index", text: more, sequence };
        write_event(out, kind, &more);
        self.sequence += 1;
    }

    /// Sources of words that are being said.
    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let Open::Words { id, is_refusal: false, annotations, .. } = &mut self.open else { return };
        let Some(cited) = annotation(citation, self.said) else { return };
        let (id, at) = (id.clone(), annotations.len());
        annotations.push(cited.clone());
        let data = json!({"item_id": id, "output_index": self.done.len(), "content_index": 0,
            "annotation_index": at, "annotation": cited});
        self.event(out, "response.output_text.annotation.added", data);
    }

    fn call(&mut self, number: u32, call: ToolCall, out: &mut Vec<u8>) {
        self.close(out);
        let tool = self.tools.called(&call.name);
        let id = self.next_id(tool.id_prefix());
        self.item_added(out, &tool.item(&id, "in_progress", &call));
        self.open = Open::Call { id, number, call, tool };
    }

    fn argue(&mut self, of: u32, more: &str, out: &mut Vec<u8>) {
        let Open::Call { id, number, call, tool } = &mut self.open else { return };
        if *number != of {
            return;
        }
        call.arguments.push_str(more);
        if matches!(tool, ClientTool::Function(_)) {
            let data = json!({"item_id": id, "output_index": self.done.len(), "delta": more});
            self.event(out, "response.function_call_arguments.delta", data);
        }
    }

    /// Ends the open item.
    fn close(&mut self, out: &mut Vec<u8>) {
        // What is open when an answer ends early is not whole.
        let status = self.status.word();
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Thought { id, text, signature } => {
                let done = ("text", text.clone().into());
                self.part(out, "response.reasoning_summary_text.done", &id, "summary_index", done);
                let part = ("part", summary_text(&text));
                self.part(out, "response.reasoning_summary_part.done", &id, "summary_index", part);
                self.item_done(out, reasoning(&id, &text, signature.as_deref()));
            }
            Open::Words { id, text, is_refusal, annotations, logprobs } => {
                self.said += if is_refusal { 0 } else { text.chars().count() as u64 };
                let (kind, field, part) = if is_refusal {
                    ("response.refusal.done", "refusal", refusal(&text))
                } else {
                    (
                        "response.output_text.done",
                        "text",
                        cited_text(&text, &annotations, &logprobs),
                    )
                };
                self.part(out, kind, &id, "content_index", (field, text.into()));
                let done = ("part", part.clone());
                self.part(out, "response.content_part.done", &id, "content_index", done);
                self.item_done(out, message(&id, status, &[part]));
            }
            Open::Sound { id, pieces, transcript } => {
                let said = [(AUDIO_TRANSCRIPT, transcript.is_empty()), (AUDIO, pieces.is_empty())];
                for (kind, _) in said.into_iter().filter(|(_, is_empty)| !is_empty) {
                    self.event(out, &format!("{kind}.done"), json!({}));
                }
                let part = output_audio(&joined_sound(&pieces), &transcript);
                let done = ("part", part.clone());
                self.part(out, "response.content_part.done", &id, "content_index", done);
                self.item_done(out, message(&id, status, &[part]));
            }
            Open::Call { id, call, tool, .. } => self.end_call(&id, &call, &tool, out),
        }
    }

    fn end_call(&mut self, id: &str, call: &ToolCall, tool: &ClientTool, out: &mut Vec<u8>) {
        let (at, item) = (self.done.len(), tool.item(id, self.status.word(), call));
        match tool {
            ClientTool::Function(own) => {
                let data = json!({
                    "item_id": id, "output_index": at,
                    "name": own.name, "arguments": item["arguments"],
                });
                self.event(out, "response.function_call_arguments.done", data);
            }
            ClientTool::Custom(_) => {
                let input = custom_input(&call.arguments);
                let of = |name: &str| json!({"item_id": id, "output_index": at, name: input});
                self.event(out, "response.custom_tool_call_input.delta", of("delta"));
                self.event(out, "response.custom_tool_call_input.done", of("input"));
            }
            ClientTool::BuiltIn(_) => {}
        }
        self.item_done(out, item);
    }
}

impl StreamWriter for EventWriter {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        let mut calls = std::mem::take(&mut self.calls);
        calls.push(delta, |delta| self.put(delta, out));
        self.calls = calls;
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let mut calls = std::mem::take(&mut self.calls);
        calls.release(|delta| self.put(delta, out));
        self.close(out);
        let kind = format!("response.{}", self.status.word());
        self.response_event(out, &kind, self.status);
    }
}

impl EventWriter {
    fn put(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { usage, .. } => {
                self.usage = usage;
                if self.sequence == 0 {
                    self.response_event(out, "response.created", Status::InProgress);
                }
                self.response_event(out, "response.in_progress", Status::InProgress);
            }
            Delta::Text { choice: 0, text } => self.say(&text, false, out),
            Delta::Refusal { choice: 0, text } => self.say(&text, true, out),
            Delta::Thinking { choice: 0, text } => self.think(&text, out),
            Delta::Signature { choice: 0, signature: seal, of_thought } => {
                if let (Open::Thought { signature: open @ None, .. }, true) =
                    (&mut self.open, of_thought)
                {
                    *open = Some(seal);
                    return;
                }
                let item = |id: &str| reasoning(id, "", Some(&seal));
                self.sealed(item, out);
            }
            Delta::RedactedThinking { choice: 0, data } => {
                self.sealed(|id| redacted(id, &data), out);
            }
            Delta::Media { choice: 0, media } => self.show(&media, out),
            Delta::ToolCall { choice: 0, call, id, name, signature } => {
                let begun = ToolCall { id, name, arguments: String::new(), signature };
                self.call(call, begun, out);
            }
            Delta::Arguments { choice: 0, call, text } => self.argue(call, &text, out),
            Delta::Citation { choice: 0, citation } => self.cite(&citation, out),
            Delta::Finish { choice: 0, finish } => self.finished(&finish),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Served(tier) => self.tier = Some(tier),
            Delta::Logprobs { choice: 0, logprobs: more } => {
                if let Open::Words { logprobs, .. } = &mut self.open {
                    logprobs.extend(likely(&more));
                }
            }
            // A response has one answer.
            Delta::Text { .. }
            | Delta::Refusal { .. }
            | Delta::Thinking { .. }
            | Delta::Signature { .. }
            | Delta::RedactedThinking { .. }
            | Delta::Media { .. }
            | Delta::ToolCall { .. }
            | Delta::Arguments { .. }
            | Delta::Citation { .. }
            | Delta::Logprobs { .. }
            | Delta::Finish { .. } => {}
        }
    }

    fn finished(&mut self, finish: &Finish) {
        self.status = Status::of(finish);
    }
}

/// The event that ends a stream which broke. OpenAI's SDKs look for the member `error`.
pub(crate) fn error_frame(error: &ErrorBody) -> Bytes {
    let kind = error.kind.as_deref().unwrap_or("server_error");
    let data = json!({
        "type": "error",
        "code": error.code.to_string(),
        "message": error.message,
        "param": error.param,
        "error": {
            "type": kind,
            "code": error.code.to_string(),
            "message": error.message,
            "param": error.param,
        },
    });
    let mut out = Vec::new();
    write_event(&mut out, "error", &data);
    Bytes::from(out)
}
