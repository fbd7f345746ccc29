//! Pieces of the common form, written as Google's stream frames.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::Members;
use super::grounding;
use super::reply::{finish_word, write_logprobs};
use super::usage::usage_json;
use super::wire::{CandidateOut, ContentOut, Part};
use super::write::{called, said};
use crate::Usage;
use crate::endpoint::{Stamp, StreamWriter};
use crate::form::{Citation, Delta, Extent, Finish, Json, ToolCall, in_base64, seal_of_redacted};

/// Writes the frames of one stream. Calls go out whole, and the reasons for the end with the count
/// of tokens in the last frame, as Google has it.
pub(crate) struct Writer {
    id: String,
    model: String,
    calls: Vec<Coming>,
    finished: Vec<(u32, Finish)>,
    usage: Option<Usage>,
    /// What each choice has said, and the sources of it: they go out behind it.
    told: BTreeMap<u32, (String, Vec<Citation>)>,
}

/// A call whose arguments are still coming.
struct Coming {
    choice: u32,
    call: u32,
    made: ToolCall,
    arguments: Extent,
}

impl Writer {
    pub(crate) fn new(stamp: Stamp<'_>) -> Self {
        Self {
            id: stamp.id.to_owned(),
            model: stamp.model.to_owned(),
            calls: Vec::new(),
            finished: Vec::new(),
            usage: None,
            told: BTreeMap::new(),
        }
    }

    fn frame(&self, out: &mut Vec<u8>, candidates: &[CandidateOut], usage: Option<Value>) {
        let mut frame = Members::default();
        frame.put("candidates", &candidates);
        if let Some(usage) = usage {
            frame.put("usageMetadata", &usage);
        }
        frame.put("modelVersion", &self.model);
        frame.put("responseId", &self.id);
        out.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *out, &frame).expect("a Vec takes every write");
        out.extend_from_slice(b"\n\n");
    }

    fn part(&mut self, choice: u32, part: &Part, out: &mut Vec<u8>) {
        self.flush_calls(|call| call.choice == choice && call.arguments.is_whole(), out);
        self.frame(out, &[candidate(choice, Json::of(part), None)], None);
    }

    fn flush_calls(&mut self, is_due: impl Fn(&Coming) -> bool, out: &mut Vec<u8>) {
        let calls = std::mem::take(&mut self.calls);
        let (due, kept): (Vec<Coming>, Vec<Coming>) = calls.into_iter().partition(is_due);
        self.calls = kept;
        for Coming { choice, made, .. } in due {
            self.frame(out, &[candidate(choice, Json::of(&called(&made)), None)], None);
        }
    }
}

fn candidate(choice: u32, part: Json, finish: Option<&Finish>) -> CandidateOut {
    CandidateOut {
        content: ContentOut { role: Some("model"), parts: vec![part] },
        finish_reason: finish.map(finish_word),
        index: choice,
        logprobs_result: None,
        grounding_metadata: None,
    }
}

fn text(text: String) -> Part {
    Part { text: Some(text), ..Part::default() }
}

/// A part of nothing but a seal.
fn sealed(seal: &str, of_thought: bool) -> Part {
    let thought_signature = Some(in_base64(seal));
    Part { thought: of_thought.then_some(true), thought_signature, ..text(String::new()) }
}

impl StreamWriter for Writer {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, usage, .. } => {
                if let Some(id) = id {
                    self.id = id;
                }
                self.usage = usage.or(self.usage.take());
            }
            Delta::Text { choice, text: more } => {
                self.told.entry(choice).or_default().0.push_str(&more);
                self.part(choice, &text(more), out);
            }
            Delta::Refusal { choice, text: more } => self.part(choice, &text(more), out),
            Delta::Thinking { choice, text: more } => {
                self.part(choice, &Part { thought: Some(true), ..text(more) }, out);
            }
            Delta::Signature { choice, signature, of_thought } => {
                self.part(choice, &sealed(&signature, of_thought), out);
            }
            Delta::RedactedThinking { choice, data } => {
                self.part(choice, &sealed(&seal_of_redacted(&data), true), out);
            }
            Delta::ToolCall { choice, call, id, name, signature } => {
                let made = ToolCall { id, name, arguments: String::new(), signature };
                self.calls.push(Coming { choice, call, made, arguments: Extent::default() });
            }
            Delta::Arguments { choice, call, text } => {
                let mut calls = self.calls.iter_mut();
                if let Some(coming) = calls.find(|of| (of.choice, of.call) == (choice, call)) {
                    coming.arguments.read(&text);
                    coming.made.arguments.push_str(&text);
                }
            }
            Delta::Media { choice, media } => {
                for part in said(&[media.into()]) {
                    self.flush_calls(|call| call.choice == choice, out);
                    self.frame(out, &[candidate(choice, part, None)], None);
                }
            }
            Delta::Logprobs { choice, logprobs } => {
                let empty = candidate(choice, Json::of(&text(String::new())), None);
                let logprobs_result = write_logprobs(&logprobs);
                self.frame(out, &[CandidateOut { logprobs_result, ..empty }], None);
            }
            Delta::Finish { choice, finish } => self.finished.push((choice, finish)),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Served(_) => {}
            Delta::Citation { choice, citation } => {
                self.told.entry(choice).or_default().1.push(citation);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.flush_calls(|_| true, out);
        let finished = std::mem::take(&mut self.finished);
        let empty = Json::of(&text(String::new()));
        let candidates: Vec<CandidateOut> = finished
            .iter()
            .map(|(choice, finish)| {
                let told = self.told.get(choice);
                let found = told.and_then(|(text, cited)| grounding::write_streamed(text, cited));
                let last = candidate(*choice, empty.clone(), Some(finish));
                CandidateOut { grounding_metadata: found, ..last }
            })
            .collect();
        let usage = self.usage.as_ref().map(usage_json);
        self.frame(out, &candidates, usage);
    }
}
