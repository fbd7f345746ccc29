//! The events of a response, read into pieces of the common form.
//!
//! What an event adds goes out at once. What was never added, because a server says an item only when
//! it is done or only in its last event, goes out then: each word once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::form::{Delta, PartKind, SoundForm};
use crate::json::{string, write_string};
use crate::openai::UpstreamError;
use crate::responses::native::{failure, used};
use crate::responses::output::{
    Call, Content, Incomplete, Item, cancelled, citation, finish, likely,
};
use crate::sse;
use crate::stream::{BadFrame, StreamEvent};

/// How a tool that takes any text is called where it is a function, before and behind the text.
const CUSTOM: [&str; 2] = [r#"{"input":""#, r#""}"#];

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    output_index: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    summary_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    annotation: Option<Value>,
    logprobs: Option<Vec<Value>>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// How far an item has come.
#[derive(Debug, Default)]
struct Progress {
    /// Its number among the calls, once it has begun as one.
    call: Option<u32>,
    is_custom: bool,
    /// Some of its text is out.
    said: bool,
    /// All of it is.
    done: bool,
    /// Characters of the answer's text before its part.
    before: u64,
}

/// What must be remembered between the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    started: bool,
    items: BTreeMap<u64, Progress>,
    calls: u32,
    characters: u64,
    /// Of its sound, if it has told some.
    sound: Option<SoundForm>,
}

impl StreamReader {
    /// Reads a frame as [`Splitter`](sse::Splitter) yields it and appends what it says; behind the
    /// last one that the answer is whole, or why it never will be.
    ///
    /// # Errors
    /// The data is not an event of a response.
    pub fn read(&mut self, frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), BadFrame> {
        let (frame, data) = sse::in_one_line(frame);
        let Some(data) = data else {
            events.push(StreamEvent::Comment(frame));
            return Ok(());
        };
        let text = std::str::from_utf8(&frame[data.range()]).map_err(|_| BadFrame::NotUtf8)?;
        // Some servers end every stream in this word; here another event says that the answer is whole.
        if matches!(text.trim(), "" | "[DONE]") {
            return Ok(());
        }
        let event: Event<'_> = parse(text)?;
        let response: Option<Response<'_>> =
            event.response.map(|response| parse(response.get())).transpose()?;
        let mut deltas = Vec::new();
        let last = match (&*event.r#type, response) {
            ("error", _) => Some(StreamEvent::Error(UpstreamError::read(text))),
            (kind @ ("response.failed" | "response.cancelled"), response) => {
                let error = response.as_ref().and_then(|response| response.error);
                let error = if kind.ends_with("failed") { failure(error) } else { cancelled() };
                // What is charged for an answer that broke off. One that has not begun is no answer
                // yet.
                let used =
                    event.response.and_then(|raw| used(response?.usage, raw.get().as_bytes()));
                deltas.extend(used.filter(|_| self.started).map(Delta::Usage));
                Some(StreamEvent::Error(error))
            }
            (kind, Some(response)) => {
                self.start(response.id.as_deref(), response.model.as_deref(), &mut deltas);
                let is_whole = matches!(kind, "response.completed" | "response.incomplete");
                let raw = event.response.filter(|_| is_whole);
                raw.map(|raw| self.finish(response, raw, kind, &mut deltas)).transpose()?
            }
            (_, None) => {
                self.start(None, None, &mut deltas);
                self.add(event, &mut deltas)?;
                None
            }
        };
        events.extend(deltas.into_iter().map(StreamEvent::Delta));
        events.extend(last);
        Ok(())
    }

    fn start(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<Delta>) {
        if !std::mem::replace(&mut self.started, true) {
            let own = |text: Option<&str>| text.map(str::to_owned);
            out.push(Delta::Start { id: own(id), model: own(model), usage: None });
        }
    }

    /// An event about one item.
    fn add(&mut self, event: Event<'_>, out: &mut Vec<Delta>) -> Result<(), BadFrame> {
        let at = event.output_index.unwrap_or(0);
        let delta = || match event.delta.map(|delta| string(delta.get())) {
            Some(Some(text)) => Ok(text.into_owned()),
            Some(None) | None => {
                let reason = format!("`{}` without a text in its delta", event.r#type);
                Err(BadFrame::NotAChunk { reason })
            }
        };
        match &*event.r#type {
            "response.output_item.added" => {
                if let Some(item) = event.item {
                    self.begin(at, item, out)?;
                }
            }
            "response.content_part.added" => self.item(at).before = self.characters,
            "response.output_text.delta" => {
                self.say(at, delta()?, out);
                let logprobs = likely(event.logprobs);
                out.extend(logprobs.map(|logprobs| Delta::Logprobs { choice: 0, logprobs }));
            }
            "response.refusal.delta" => {
                self.item(at).said = true;
                out.push(Delta::Refusal { choice: 0, text: delta()? });
            }
            "response.reasoning_summary_part.added"
                if event.summary_index > Some(0) && self.item(at).said =>
            {
                out.push(Delta::Thinking { choice: 0, text: "\n\n".to_owned() });
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.item(at).said = true;
                out.push(Delta::Thinking { choice: 0, text: delta()? });
            }
            "response.audio.delta" => self.speak(delta()?, String::new(), out),
            "response.audio.transcript.delta" => self.speak(String::new(), delta()?, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.argue(at, &delta()?, out);
            }
            "response.output_text.annotation.added" => {
                let before = self.item(at).before;
                let cited = event.annotation.and_then(|said| citation(&said, before));
                out.extend(cited.map(|citation| Delta::Citation { choice: 0, citation }));
            }
            "response.output_item.done" => {
                if let Some(item) = event.item {
                    self.end(at, item, out)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn item(&mut self, at: u64) -> &mut Progress {
        let before = self.characters;
        self.items.entry(at).or_insert_with(|| Progress { before, ..Progress::default() })
    }

    fn say(&mut self, at: u64, text: String, out: &mut Vec<Delta>) {
        self.item(at).said |= !text.is_empty();
        self.characters += text.chars().count() as u64;
        if !text.is_empty() {
            out.push(Delta::Text { choice: 0, text });
        }
    }

    /// Events about sounds do not name their item.
    fn speak(&mut self, data: String, transcript: String, out: &mut Vec<Delta>) {
        let more = PartKind::spoken(data, transcript);
        let media = self.sound.get_or_insert_default().fit(more);
        out.push(Delta::Media { choice: 0, media });
    }

    fn begin(&mut self, at: u64, item: &RawValue, out: &mut Vec<Delta>) -> Result<(), BadFrame> {
        if let Item::Call(call) = read(item)? {
            self.begin_call(at, call, out);
        }
        Ok(())
    }

    /// What a call is said to hold when it begins comes again when it is done.
    fn begin_call(&mut self, at: u64, call: Call, out: &mut Vec<Delta>) {
        let number = self.calls;
        let Call { id, name, is_custom, .. } = call;
        let progress = self.item(at);
        if progress.call.is_some() {
            return;
        }
        (progress.call, progress.is_custom) = (Some(number), is_custom);
        self.calls += 1;
        out.push(Delta::ToolCall { choice: 0, call: number, id, name, signature: None });
        if is_custom {
            out.push(Delta::Arguments { choice: 0, call: number, text: CUSTOM[0].to_owned() });
        }
    }

    fn argue(&mut self, at: u64, text: &str, out: &mut Vec<Delta>) {
        let progress = self.item(at);
        let Some(call) = progress.call.filter(|_| !text.is_empty()) else { return };
        progress.said = true;
        let text = if progress.is_custom { escaped(text) } else { text.to_owned() };
        out.push(Delta::Arguments { choice: 0, call, text });
    }

    /// An item is whole: what has not been said of it is said.
    fn end(&mut self, at: u64, item: &RawValue, out: &mut Vec<Delta>) -> Result<(), BadFrame> {
        let progress = self.item(at);
        if std::mem::replace(&mut progress.done, true) {
            return Ok(());
        }
        let said = progress.said;
        match read(item)? {
            Item::Message(contents) if !said => {
                for content in contents {
                    self.say_whole(at, content, out);
                }
            }
            Item::Thought { text, seal } => {
                let has_text = said || !text.is_empty();
                if !said && has_text {
                    out.push(Delta::Thinking { choice: 0, text });
                }
                out.extend(seal.map(|seal| match has_text {
                    true => Delta::Signature { choice: 0, signature: seal, of_thought: true },
                    false => Delta::RedactedThinking { choice: 0, data: seal },
                }));
            }
            Item::Call(call) => {
                let input = call.input.clone();
                self.begin_call(at, call, out);
                if !said {
                    self.argue(at, &input, out);
                }
                let Progress { call: number, is_custom, .. } = *self.item(at);
                if let (Some(call), true) = (number, is_custom) {
                    out.push(Delta::Arguments { choice: 0, call, text: CUSTOM[1].to_owned() });
                }
            }
            Item::Picture(media) => out.push(Delta::Media { choice: 0, media }),
            Item::Message(_) | Item::Other => {}
        }
        Ok(())
    }

    fn say_whole(&mut self, at: u64, mut content: Content, out: &mut Vec<Delta>) {
        let sound = content.sound().filter(|_| self.sound.is_none());
        out.extend(sound.map(|media| Delta::Media { choice: 0, media }));
        let Content { text, refusal, annotations, logprobs, .. } = content;
        let before = self.characters;
        self.say(at, text, out);
        if !refusal.is_empty() {
            out.push(Delta::Refusal { choice: 0, text: refusal });
        }
        let logprobs = likely(logprobs);
        out.extend(logprobs.map(|logprobs| Delta::Logprobs { choice: 0, logprobs }));
        let cited = annotations.into_iter().flatten();
        let cited = cited.filter_map(|annotation| citation(&annotation, before));
        out.extend(cited.map(|citation| Delta::Citation { choice: 0, citation }));
    }

    fn finish(
        &mut self,
        response: Response<'_>,
        raw: &RawValue,
        kind: &str,
        out: &mut Vec<Delta>,
    ) -> Result<StreamEvent, BadFrame> {
        // A server that tells of items as they come has told of all.
        let untold = response.output.into_iter().flatten().filter(|_| self.items.is_empty());
        for (at, item) in (0..).zip(untold.collect::<Vec<_>>()) {
            self.end(at, item, out)?;
        }
        let incomplete = kind.ends_with(".incomplete");
        let incomplete = incomplete.then(|| response.incomplete_details.unwrap_or_default());
        let finish = finish(incomplete.as_ref(), self.calls > 0);
        out.push(Delta::Finish { choice: 0, finish });
        out.extend(used(response.usage, raw.get().as_bytes()).map(Delta::Usage));
        Ok(StreamEvent::Done(Bytes::new()))
    }
}

fn read(item: &RawValue) -> Result<Item, BadFrame> {
    Item::read(item).map_err(BadFrame::from)
}

fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, BadFrame> {
    serde_json::from_str(text).map_err(BadFrame::from)
}

/// A piece of a text as it stands within the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let mut quoted = Vec::new();
    write_string(&mut quoted, text);
    String::from_utf8_lossy(&quoted[1..quoted.len() - 1]).into_owned()
}
