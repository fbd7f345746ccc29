//! Ollama's answers: whole ones, and streams of one JSON object in each line, of which the last
//! says `done`.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use dunlin_llm::form::{Choice, Delta, Finish, Part, PartKind, Reply, ToolCall, Vectors};
use dunlin_llm::openai::UpstreamError;
use dunlin_llm::sse::{FrameTooLong, MAX_FRAME_BYTES};
use dunlin_llm::{BadFrame, BadReply, ChatRequest, StreamEvent};
use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::StreamDecoder;
use crate::logprobs::{Logprob, openais};
use crate::stream::StreamError;

/// A whole answer, or one line of a stream.
#[derive(Deserialize)]
struct Wire<'a> {
    model: Option<String>,
    created_at: Option<String>,
    message: Option<WireMessage>,
    /// Of `/api/generate`.
    response: Option<String>,
    thinking: Option<String>,
    done: Option<bool>,
    done_reason: Option<String>,
    logprobs: Option<Vec<Logprob>>,
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    prompt_eval_count: Option<u64>,
    /// Of those.
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    prompt_eval_cached_count: Option<u64>,
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    eval_count: Option<u64>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct WireMessage {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<WireCall>>,
}

#[derive(Deserialize)]
struct WireCall {
    id: Option<String>,
    function: WireFunction,
}

#[derive(Deserialize)]
struct WireFunction {
    name: String,
    #[serde(default, deserialize_with = "arguments")]
    arguments: Option<String>,
}

/// An object, which some models and servers give as a text.
fn arguments<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let said = Option::<Box<RawValue>>::deserialize(from)?;
    let object = |said: Box<RawValue>| {
        let text: String = match serde_json::from_str(said.get()) {
            Ok(text) => text,
            Err(_) => said.get().to_owned(),
        };
        let is_object = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(&text).is_ok();
        is_object.then_some(text).ok_or(D::Error::custom("the arguments of a call are no object"))
    };
    said.map(object).transpose()
}

impl Wire<'_> {
    fn thought(&mut self) -> Option<String> {
        let said = self.message.as_mut().and_then(|message| message.thinking.take());
        said.or(self.thinking.take()).filter(|text| !text.is_empty())
    }

    fn words(&mut self) -> Option<String> {
        let said = self.message.as_mut().and_then(|message| message.content.take());
        said.or(self.response.take()).filter(|text| !text.is_empty())
    }

    /// The calls, of which `before` came earlier. Older servers give them no ids; those made here
    /// differ from answer to answer by the time that the server puts on each.
    fn calls(&mut self, before: usize) -> Vec<ToolCall> {
        let calls = self.message.as_mut().and_then(|message| message.tool_calls.take());
        let time = self.created_at.as_deref().unwrap_or_default();
        let call = |(at, call): (usize, WireCall)| {
            let made = || {
                let seed = format!("{time} {at} {}", call.function.name);
                format!("call_{}", &hex::encode(Sha256::digest(seed))[..24])
            };
            let id = call.id.filter(|id| !id.is_empty()).unwrap_or_else(made);
            let arguments = call.function.arguments.unwrap_or_else(|| "{}".to_owned());
            ToolCall { id, name: call.function.name, arguments, signature: None }
        };
        (before..).zip(calls.into_iter().flatten()).map(call).collect()
    }

    fn usage(&self) -> Option<Usage> {
        // A prompt that was in the cache is not counted by some versions.
        let (prompt, completion) = (self.prompt_eval_count, self.eval_count);
        prompt.or(completion)?;
        let count = |tokens: Option<u64>| Tokens(tokens.unwrap_or(0));
        let (prompt, completion) = (count(prompt), count(completion));
        let cached = count(self.prompt_eval_cached_count).min(prompt);
        Usage { prompt, cached, completion, ..Usage::default() }.if_any()
    }

    fn finish(&self, has_calls: bool) -> Finish {
        match self.done_reason.as_deref() {
            Some("length") => Finish::Length,
            _ if has_calls => Finish::ToolCalls,
            // Loading and unloading a model is all that such a request asked.
            Some("stop" | "load" | "unload") | None => Finish::Stop,
            Some(other) => Finish::Other(other.to_owned()),
        }
    }
}

/// Reads a whole answer of `/api/chat` or `/api/generate`.
pub(super) fn reply(body: &[u8]) -> Result<Reply, BadReply> {
    let mut wire: Wire<'_> = serde_json::from_slice(body)?;
    if wire.message.is_none() && wire.response.is_none() {
        return Err(BadReply::Empty);
    }
    let mut parts: Vec<Part> = Vec::new();
    parts.extend(wire.thought().map(|text| PartKind::Thinking { text, signature: None }.into()));
    parts.extend(wire.words().map(Part::text));
    let calls = wire.calls(0);
    let finish = wire.finish(!calls.is_empty());
    parts.extend(calls.into_iter().map(|call| PartKind::ToolCall(call).into()));
    let usage = wire.usage();
    let logprobs = wire.logprobs.and_then(openais);
    let choice = Choice { index: 0, parts, finish, logprobs, citations: Vec::new() };
    Ok(Reply { model: wire.model, choices: vec![choice], usage, ..Reply::default() })
}

/// Reads the answer of `/api/embed`.
pub(super) fn vectors(body: &[u8], request: &ChatRequest) -> Result<Vectors, BadReply> {
    #[derive(Deserialize)]
    struct Wire {
        embeddings: Vec<Vec<f32>>,
        #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
        prompt_eval_count: Option<u64>,
    }
    let wire: Wire = serde_json::from_slice(body)?;
    let count = |tokens| Usage { prompt: Tokens(tokens), ..Usage::default() };
    Ok(Vectors {
        vectors: wire.embeddings,
        encoding: request.vector_encoding().unwrap_or_default(),
        usage: wire.prompt_eval_count.map(count),
        prompt_estimate: request.prompt_estimate(),
    })
}

/// Reads a stream line by line.
#[derive(Default)]
pub(super) struct Lines {
    /// The start of a line whose end has not been read yet.
    carried: BytesMut,
    started: bool,
    calls: usize,
    /// The answer is whole, or can no longer become it. What follows is not looked at.
    ended: bool,
}

impl Lines {
    fn line(&mut self, line: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let text = std::str::from_utf8(line).map_err(|_| BadFrame::NotUtf8)?;
        let read: Result<Wire<'_>, _> = serde_json::from_str(text);
        // Every line says whether it is the last, but for one that says what has gone wrong.
        let has_failed = match &read {
            Ok(wire) => wire.error.is_some() || wire.done.is_none() && wire.message.is_none(),
            Err(_) => UpstreamError::told(text).is_some(),
        };
        if has_failed {
            self.ended = true;
            events.push(StreamEvent::Error(UpstreamError::parse(line)));
            return Ok(());
        }
        let mut wire = read.map_err(BadFrame::from)?;
        let mut say = |delta| events.push(StreamEvent::Delta(delta));
        if !std::mem::replace(&mut self.started, true) {
            say(Delta::Start { id: None, model: wire.model.take(), usage: None });
        }
        if let Some(text) = wire.thought() {
            say(Delta::Thinking { choice: 0, text });
        }
        if let Some(text) = wire.words() {
            say(Delta::Text { choice: 0, text });
        }
        if let Some(logprobs) = wire.logprobs.take().and_then(openais) {
            say(Delta::Logprobs { choice: 0, logprobs });
        }
        for ToolCall { id, name, arguments, signature } in wire.calls(self.calls) {
            let call = u32::try_from(self.calls).unwrap_or(u32::MAX);
            self.calls += 1;
            say(Delta::ToolCall { choice: 0, call, id, name, signature });
            say(Delta::Arguments { choice: 0, call, text: arguments });
        }
        if wire.done == Some(true) {
            self.ended = true;
            say(Delta::Finish { choice: 0, finish: wire.finish(self.calls > 0) });
            if let Some(usage) = wire.usage() {
                say(Delta::Usage(usage));
            }
            events.push(StreamEvent::Done(Bytes::new()));
        }
        Ok(())
    }

    fn read(&mut self, mut read: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            self.carry(&read[..end])?;
            read = &read[end + 1..];
            let line = self.carried.split();
            self.line(&line, events)?;
            if self.ended {
                return Ok(());
            }
        }
        self.carry(read)
    }

    fn carry(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if self.carried.len() + bytes.len() > MAX_FRAME_BYTES {
            return Err(FrameTooLong.into());
        }
        self.carried.extend_from_slice(bytes);
        Ok(())
    }
}

impl StreamDecoder for Lines {
    fn push(&mut self, read: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        let read = self.read(&read, events);
        self.ended |= read.is_err();
        read
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        // The last line may come without its end. If it is not whole, neither is the answer.
        let rest = self.carried.split();
        let before = events.len();
        let is_whole = self.line(&rest, events).is_ok() && self.ended;
        self.ended = true;
        if !is_whole {
            events.truncate(before);
            return Err(StreamError::Cut);
        }
        Ok(())
    }
}
