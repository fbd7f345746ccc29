//! Pieces of the common form, written as OpenAI's stream frames.

use std::collections::BTreeMap;

use bytes::Bytes;
use dunlin_types::Usage;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::annotations;
use super::calls::{Calls, called};
use super::likely;
use super::media::{image, sound};
use super::reply::finish_word;
use crate::endpoint::{Endpoint, Stamp, StreamWriter};
use crate::form::{Delta, Finish, PartKind, ToolCall, custom_input};
use crate::usage::usage_json;

/// What all frames of one stream share.
struct Frames {
    id: Option<String>,
    model: String,
    created: u64,
    object: &'static str,
    wants_usage: bool,
    usage: Option<Usage>,
}

impl Frames {
    fn new(stamp: Stamp<'_>, of: Endpoint, object: &'static str, wants_usage: bool) -> Self {
        let id = Some(stamp.answer_id(of, None));
        let (model, created) = (stamp.model.to_owned(), stamp.now);
        Self { id, model, created, object, wants_usage, usage: None }
    }

    fn write(&self, out: &mut Vec<u8>, choice: impl Serialize, usage: Option<Value>) {
        let chunk = Chunk {
            id: self.id.as_deref(),
            created: self.created,
            model: &self.model,
            object: self.object,
            choices: [choice],
            usage,
        };
        out.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *out, &chunk).expect("a Vec takes every write");
        out.extend_from_slice(b"\n\n");
    }

    /// The usage frame has a choice in it, as LiteLLM's has.
    fn finish(&self, out: &mut Vec<u8>, empty: Value) {
        if let Some(usage) = self.usage.as_ref().filter(|_| self.wants_usage) {
            self.write(out, empty, Some(usage_json(usage)));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

#[derive(serde::Serialize)]
struct Chunk<'a, C> {
    id: Option<&'a str>,
    created: u64,
    model: &'a str,
    object: &'static str,
    choices: [C; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(serde::Serialize)]
struct ChoiceOut<D> {
    index: u32,
    delta: D,
}

/// A delta of one text; the first of a choice names the role, too.
struct Words<'a> {
    name: &'static str,
    text: &'a str,
    begins: bool,
}

impl Serialize for Words<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut wire = to.serialize_map(None)?;
        wire.serialize_entry(self.name, self.text)?;
        if self.begins {
            wire.serialize_entry("role", "assistant")?;
        }
        wire.end()
    }
}

/// Writes a chat's chunks.
pub(crate) struct ChatWriter {
    frames: Frames,
    /// Choices whose first chunk, which names the role, is out.
    begun: Vec<u32>,
    /// Calls, of which choice and which of it, that have no arguments yet.
    bare: Vec<(u32, u32)>,
    style: Calls,
    /// Calls of tools that take any text: told when they are whole.
    texts: BTreeMap<(u32, u32), String>,
    /// The only call of each choice that is told, where the client knows no more.
    only: BTreeMap<u32, u32>,
    /// How many entries each choice has in each of its lists: OpenAI's own clients put the pieces of
    /// a list together by their `index`.
    listed: BTreeMap<(u32, &'static str), usize>,
    /// Of a sound.
    sound: Value,
    /// What each choice has thought and not sealed yet: the block to be sent back holds it whole.
    thoughts: BTreeMap<u32, String>,
}

impl ChatWriter {
    pub(crate) fn new(stamp: Stamp<'_>, wants_usage: bool) -> Self {
        let of = Endpoint::ChatCompletions;
        let frames = Frames::new(stamp, of, "chat.completion.chunk", wants_usage);
        Self {
            frames,
            begun: Vec::new(),
            bare: Vec::new(),
            style: Calls::of(stamp.request),
            texts: BTreeMap::new(),
            only: BTreeMap::new(),
            listed: BTreeMap::new(),
            sound: sound("", "", stamp),
            thoughts: BTreeMap::new(),
        }
    }

    /// Arguments are a JSON text, and no text is none: who calls without them says `{}`.
    fn end_calls(&mut self, of: u32, out: &mut Vec<u8>) {
        let ended: Vec<(u32, u32)> =
            self.bare.extract_if(.., |(choice, _)| *choice == of).collect();
        for (choice, call) in ended {
            self.arguments(choice, call, "{}", out);
        }
    }

    fn end_texts(&mut self, of: u32, out: &mut Vec<u8>) {
        let texts = std::mem::take(&mut self.texts);
        for ((choice, call), arguments) in texts {
            if choice == of {
                let input = custom_input(&arguments);
                let call = json!({"index": call, "custom": {"input": input}});
                self.delta(choice, json!({"tool_calls": [call]}), out);
            } else {
                self.texts.insert((choice, call), arguments);
            }
        }
    }

    fn begin_call(&mut self, choice: u32, number: u32, call: &ToolCall, out: &mut Vec<u8>) {
        if self.style.are_legacy {
            if *self.only.entry(choice).or_insert(number) == number {
                self.bare.push((choice, number));
                self.delta(choice, json!({"function_call": called(call)}), out);
            }
            return;
        }
        let mut wire = self.style.sealed(call);
        wire["index"] = number.into();
        if self.style.custom.contains(&call.name) {
            self.texts.insert((choice, number), String::new());
        } else {
            wire["function"]["arguments"] = "".into();
            self.bare.push((choice, number));
        }
        self.delta(choice, json!({"tool_calls": [wire]}), out);
    }

    fn arguments(&mut self, choice: u32, call: u32, text: &str, out: &mut Vec<u8>) {
        if self.style.are_legacy {
            if self.only.get(&choice) == Some(&call) {
                self.delta(choice, json!({"function_call": {"arguments": text}}), out);
            }
            return;
        }
        let call = json!({"index": call, "function": {"arguments": text}});
        self.delta(choice, json!({"tool_calls": [call]}), out);
    }

    fn say(&mut self, choice: u32, name: &'static str, text: &str, out: &mut Vec<u8>) {
        let delta = Words { name, text, begins: self.begins(choice) };
        self.frames.write(out, ChoiceOut { index: choice, delta }, None);
    }

    /// As LiteLLM has it.
    fn media(&mut self, choice: u32, media: &PartKind, out: &mut Vec<u8>) {
        let delta = match media {
            PartKind::Image { source, .. } => {
                let index = self.next_of(choice, "images");
                json!({"images": [image(index, source)]})
            }
            PartKind::Audio { data, transcript, .. } => {
                let mut sound = self.sound.clone();
                sound["data"] = data.as_str().into();
                sound["transcript"] = transcript.as_str().into();
                json!({"audio": sound})
            }
            PartKind::Text(_)
            | PartKind::Refusal(_)
            | PartKind::File { .. }
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking(_)
            | PartKind::ToolCall(_)
            | PartKind::ToolResult { .. }
            | PartKind::Other(_) => return,
        };
        self.delta(choice, delta, out);
    }

    fn delta(&mut self, choice: u32, mut delta: Value, out: &mut Vec<u8>) {
        if self.begins(choice) {
            delta["role"] = "assistant".into();
        }
        self.frames.write(out, ChoiceOut { index: choice, delta }, None);
    }

    /// The index of the next entry of a list.
    fn next_of(&mut self, choice: u32, list: &'static str) -> usize {
        let listed = self.listed.entry((choice, list)).or_default();
        *listed += 1;
        *listed - 1
    }

    fn think(&mut self, choice: u32, mut block: Value, out: &mut Vec<u8>) {
        block["index"] = self.next_of(choice, "thinking_blocks").into();
        self.delta(choice, json!({"thinking_blocks": [block]}), out);
    }

    fn begins(&mut self, choice: u32) -> bool {
        let begins = !self.begun.contains(&choice);
        if begins {
            self.begun.push(choice);
        }
        begins
    }
}

impl StreamWriter for ChatWriter {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, usage, .. } => {
                self.frames.id = id.or(self.frames.id.take());
                self.frames.usage = usage.or(self.frames.usage.take());
            }
            Delta::Text { choice, text } => self.say(choice, "content", &text, out),
            Delta::Refusal { choice, text } => self.say(choice, "refusal", &text, out),
            Delta::Thinking { choice, text } => {
                self.say(choice, "reasoning_content", &text, out);
                self.thoughts.entry(choice).or_default().push_str(&text);
            }
            Delta::Signature { choice, signature, of_thought } => {
                let thought = of_thought.then(|| self.thoughts.remove(&choice)).flatten();
                let thought = thought.unwrap_or_default();
                let block =
                    json!({"type": "thinking", "thinking": thought, "signature": signature});
                self.think(choice, block, out);
            }
            Delta::RedactedThinking { choice, data } => {
                self.think(choice, json!({"type": "redacted_thinking", "data": data}), out);
            }
            Delta::ToolCall { choice, call, id, name, signature } => {
                let begun = ToolCall { id, name, arguments: String::new(), signature };
                self.begin_call(choice, call, &begun, out);
            }
            Delta::Arguments { choice, call, text } => {
                if let Some(held) = self.texts.get_mut(&(choice, call)) {
                    return held.push_str(&text);
                }
                self.bare.retain(|bare| *bare != (choice, call));
                self.arguments(choice, call, &text, out);
            }
            Delta::Media { choice, media } => self.media(choice, &media, out),
            Delta::Logprobs { choice, logprobs } => {
                let wire = json!({"index": choice, "delta": {}, "logprobs": logprobs});
                self.frames.write(out, wire, None);
            }
            Delta::Citation { choice, citation } => {
                let mut delta = json!({});
                if let Some(mut annotation) = annotations::write(&citation) {
                    annotation["index"] = self.next_of(choice, "annotations").into();
                    delta["annotations"] = json!([annotation]);
                }
                if let Some(said) = annotations::original(&citation) {
                    delta["provider_specific_fields"] = json!({"citation": said});
                }
                self.delta(choice, delta, out);
            }
            Delta::Finish { choice, finish } => {
                self.end_texts(choice, out);
                // What the bound cut off is not known.
                if finish != Finish::Length {
                    self.end_calls(choice, out);
                }
                let finish = self.style.finish_word(&finish);
                let wire = json!({"finish_reason": finish, "index": choice, "delta": {}});
                self.frames.write(out, wire, None);
            }
            Delta::Usage(usage) => self.frames.usage = Some(usage),
            Delta::Served(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.frames.finish(out, empty_chat());
    }
}

/// The frame that tells the usage of a stream whose other frames pass as they come: `id` is theirs.
pub(crate) fn usage_frame(
    of: Endpoint,
    stamp: Stamp<'_>,
    id: Option<&str>,
    usage: &Usage,
) -> Bytes {
    let (mut frames, empty) = if of == Endpoint::Completions {
        (TextWriter::new(stamp, true).frames, empty_text())
    } else {
        (ChatWriter::new(stamp, true).frames, empty_chat())
    };
    frames.id = id.map(str::to_owned).or(frames.id);
    let mut out = Vec::new();
    frames.write(&mut out, empty, Some(usage_json(usage)));
    Bytes::from(out)
}

fn empty_chat() -> Value {
    json!({"index": 0, "delta": {}})
}

fn empty_text() -> Value {
    json!({"index": 0, "text": "", "logprobs": null, "finish_reason": null})
}

/// Writes a plain completion's chunks.
pub(crate) struct TextWriter {
    frames: Frames,
    /// How many characters of each choice it has been told how likely they were.
    weighed: BTreeMap<u32, usize>,
}

impl TextWriter {
    pub(crate) fn new(stamp: Stamp<'_>, wants_usage: bool) -> Self {
        let frames = Frames::new(stamp, Endpoint::Completions, "text_completion", wants_usage);
        Self { frames, weighed: BTreeMap::new() }
    }
}

impl StreamWriter for TextWriter {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        let frame = |choice: u32, text: &str, finish: Option<&str>| json!({"index": choice, "text": text, "logprobs": null, "finish_reason": finish});
        match delta {
            Delta::Start { id, usage, .. } => {
                self.frames.id = id.or(self.frames.id.take());
                self.frames.usage = usage.or(self.frames.usage.take());
            }
            Delta::Text { choice, text } => {
                self.frames.write(out, frame(choice, &text, None), None);
            }
            Delta::Logprobs { choice, logprobs } => {
                let mut wire = frame(choice, "", None);
                let offset = self.weighed.entry(choice).or_default();
                wire["logprobs"] = likely::of_texts(&logprobs, offset);
                self.frames.write(out, wire, None);
            }
            Delta::Finish { choice, finish } => {
                self.frames.write(out, frame(choice, "", Some(finish_word(&finish))), None);
            }
            Delta::Usage(usage) => self.frames.usage = Some(usage),
            Delta::Served(_) => {}
            // A plain completion has only text.
            Delta::Refusal { .. }
            | Delta::Thinking { .. }
            | Delta::Signature { .. }
            | Delta::RedactedThinking { .. }
            | Delta::ToolCall { .. }
            | Delta::Arguments { .. }
            | Delta::Media { .. }
            | Delta::Citation { .. } => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.frames.finish(out, empty_text());
    }
}
