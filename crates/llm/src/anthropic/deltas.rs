//! Anthropic's stream events, read into pieces of the common form.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::JSON_TOOL;
use super::answer::JsonAnswer;
use super::citations;
use super::reply::{explanation, finish_named};
use crate::form::{Delta, Finish, Json};
use crate::stream::{BadFrame, Chunk};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: WireMessage,
    },
    ContentBlockStart {
        index: u64,
        content_block: WireBlock,
    },
    ContentBlockDelta {
        index: u64,
        delta: WireDelta,
    },
    ContentBlockStop {
        index: u64,
    },
    MessageDelta {
        delta: WireEnd,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct WireMessage {
    id: Option<String>,
    model: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireBlock {
    Text {
        #[serde(default)]
        text: String,
        citations: Option<Vec<Value>>,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        id: String,
        name: String,
        input: Option<Value>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireDelta {
    TextDelta {
        text: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    CitationsDelta {
        citation: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct WireEnd {
    #[serde(default, deserialize_with = "crate::lenient::text")]
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    stop_details: Option<Value>,
}

/// A block whose content comes in pieces.
#[derive(Debug)]
enum Open {
    Call(u32),
    /// Words: with how many characters before, and their sources, which are those of all its words.
    Text {
        before: u64,
        cited: Vec<Value>,
    },
    /// The call that is the answer.
    Answer,
}

/// What must be remembered between the frames of one stream.
#[derive(Debug, Default)]
pub struct DeltaReader {
    open: BTreeMap<u64, Open>,
    calls: u32,
    /// Characters of the text so far.
    said: u64,
    answer: JsonAnswer,
}

impl DeltaReader {
    /// `by_tool`: the answer is to come as the call of a tool.
    #[must_use]
    pub fn new(by_tool: bool) -> Self {
        Self { answer: JsonAnswer::new(by_tool), ..Self::default() }
    }

    /// Reads one chunk as [`FrameReader`](super::FrameReader) gives it.
    ///
    /// # Errors
    /// It is no event of a known form.
    pub fn read(&mut self, chunk: &Chunk, out: &mut Vec<Delta>) -> Result<(), BadFrame> {
        let event: Event = serde_json::from_slice(chunk.data())?;
        match event {
            Event::MessageStart { message: WireMessage { id, model } } => {
                out.push(Delta::Start { id, model, usage: chunk.usage() });
            }
            Event::ContentBlockStart { index, content_block } => {
                self.begin(index, content_block, out);
            }
            Event::ContentBlockDelta { index, delta } => self.delta(index, delta, out),
            Event::ContentBlockStop { index } => self.end(index, out),
            Event::MessageDelta { delta: WireEnd { stop_reason, stop_sequence, stop_details } } => {
                self.answer.end(&mut |delta| out.push(delta));
                let why = stop_details.as_ref().and_then(explanation);
                out.extend(why.map(|text| Delta::Refusal { choice: 0, text }));
                out.extend(chunk.usage().map(Delta::Usage));
                if let Some(word) = stop_reason {
                    let named = finish_named(&word, stop_sequence);
                    let answered = named == Finish::ToolCalls && self.calls == 0;
                    let finish = if answered { Finish::Stop } else { named };
                    out.push(Delta::Finish { choice: 0, finish });
                }
            }
            Event::Other => {}
        }
        out.extend(chunk.service_tier().map(Delta::Served));
        Ok(())
    }

    fn begin(&mut self, index: u64, block: WireBlock, out: &mut Vec<Delta>) {
        match block {
            WireBlock::Text { text, citations } => {
                let (before, cited) = (self.said, citations.unwrap_or_default());
                self.open.insert(index, Open::Text { before, cited });
                self.say(text, out);
            }
            WireBlock::Thinking { thinking } => out.extend(thought(thinking)),
            WireBlock::RedactedThinking { data } => {
                out.push(Delta::RedactedThinking { choice: 0, data });
            }
            WireBlock::ToolUse { name, .. } if name == JSON_TOOL => {
                if self.answer.call() {
                    self.open.insert(index, Open::Answer);
                }
            }
            WireBlock::ToolUse { id, name, input } => {
                let call = self.calls;
                self.calls += 1;
                self.open.insert(index, Open::Call(call));
                out.push(Delta::ToolCall { choice: 0, call, id, name, signature: None });
                // Anthropic begins with an empty input; some others send it whole.
                let whole = input.filter(|input| input.as_object().is_some_and(|i| !i.is_empty()));
                out.extend(whole.map(|i| Delta::Arguments {
                    choice: 0,
                    call,
                    text: i.to_string(),
                }));
            }
            WireBlock::Other => {}
        }
    }

    fn delta(&mut self, index: u64, delta: WireDelta, out: &mut Vec<Delta>) {
        match delta {
            WireDelta::TextDelta { text } => self.say(text, out),
            WireDelta::CitationsDelta { citation } => {
                if let Some(Open::Text { cited, .. }) = self.open.get_mut(&index) {
                    cited.push(citation);
                }
            }
            WireDelta::ThinkingDelta { thinking } => out.extend(thought(thinking)),
            WireDelta::SignatureDelta { signature } => {
                out.push(Delta::Signature { choice: 0, signature, of_thought: true });
            }
            WireDelta::InputJsonDelta { partial_json: text } => match self.open.get(&index) {
                Some(Open::Call(call)) if !text.is_empty() => {
                    out.push(Delta::Arguments { choice: 0, call: *call, text });
                }
                Some(Open::Answer) if !text.is_empty() => {
                    out.push(Delta::Text { choice: 0, text });
                }
                // The input of a tool that the provider runs itself.
                Some(Open::Call(_) | Open::Answer | Open::Text { .. }) | None => {}
            },
            WireDelta::Other => {}
        }
    }

    fn say(&mut self, text: String, out: &mut Vec<Delta>) {
        self.said += text.chars().count() as u64;
        if !text.is_empty() {
            self.answer.say(Delta::Text { choice: 0, text }, &mut |delta| out.push(delta));
        }
    }

    /// A block is over: now it is known which words its sources are of.
    fn end(&mut self, index: u64, out: &mut Vec<Delta>) {
        let Some(Open::Text { before, cited }) = self.open.remove(&index) else { return };
        let words = before..self.said;
        let cited = cited.iter().filter_map(|said| Json::parse(&said.to_string()).ok());
        let cited = cited.filter_map(|said| citations::read(said, words.clone()));
        for citation in cited {
            let citation = Delta::Citation { choice: 0, citation };
            self.answer.say(citation, &mut |delta| out.push(delta));
        }
    }
}

fn thought(text: String) -> Option<Delta> {
    (!text.is_empty()).then_some(Delta::Thinking { choice: 0, text })
}
