//! Cohere's answers: whole ones, and streams of named events, of which `message-end` is the last.

use std::ops::ControlFlow::{self, Break, Continue};

use bytes::Bytes;
use dunlin_llm::form::{Choice, Citation, Delta, Finish, Part, PartKind, Reply, ToolCall, Vectors};
use dunlin_llm::openai::UpstreamError;
use dunlin_llm::sse::data_lines;
use dunlin_llm::{BadFrame, BadReply, ChatRequest, StreamEvent};
use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::whole;
use crate::StreamError;
use crate::frames::ReadFrame;
use crate::logprobs::{Logprob, openais};

#[derive(Deserialize)]
struct WireReply {
    id: Option<String>,
    finish_reason: Option<String>,
    message: WireMessage,
    usage: Option<WireUsage>,
    logprobs: Option<Vec<WireLogprob>>,
}

/// How likely a piece of the text was.
#[derive(Deserialize)]
struct WireLogprob {
    text: Option<String>,
    logprobs: Option<Vec<f64>>,
}

impl WireLogprob {
    fn logprob(self) -> Option<Logprob> {
        Logprob::of_tokens(self.text?, &self.logprobs?)
    }
}

#[derive(Deserialize, Default)]
struct WireMessage {
    content: Option<Vec<WireContent>>,
    tool_plan: Option<String>,
    tool_calls: Option<Vec<WireCall>>,
    citations: Option<Vec<WireCitation>>,
}

#[derive(Deserialize)]
struct WireCitation {
    start: Option<u64>,
    end: Option<u64>,
    sources: Option<Vec<WireSource>>,
}

#[derive(Deserialize)]
struct WireSource {
    r#type: Option<String>,
    id: Option<String>,
    url: Option<String>,
    document: Option<Map<String, Value>>,
}

impl WireCitation {
    /// One for each document: what tools said has no title.
    fn citations(self) -> impl Iterator<Item = Citation> {
        let words = self.start.zip(self.end).map(|(start, end)| start..end);
        self.sources.into_iter().flatten().filter_map(move |source| {
            let document = source.document.filter(|_| source.r#type.as_deref() == Some("document"));
            let said = |name: &str| Some(document.as_ref()?.get(name)?.as_str()?.to_owned());
            document.as_ref()?;
            // A document that the client sent has no address, but an id.
            let named = || format!("source:{}", source.id.as_deref().unwrap_or("unknown"));
            let url = source.url.clone().or_else(|| said("url")).unwrap_or_else(named);
            let (words, title) = (words.clone(), said("title").unwrap_or_default());
            Some(Citation { words, title, url: Some(url), ..Citation::default() })
        })
    }
}

#[derive(Deserialize)]
struct WireContent {
    text: Option<String>,
    thinking: Option<String>,
}

#[derive(Deserialize)]
struct WireCall {
    id: Option<String>,
    function: Option<WireFunction>,
}

#[derive(Deserialize)]
struct WireFunction {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    tokens: Option<WireTokens>,
    billed_units: Option<WireTokens>,
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    cached_tokens: Option<u64>,
}

/// Cohere's numbers may have a point in them.
#[derive(Deserialize)]
struct WireTokens {
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "dunlin_llm::lenient::count")]
    output_tokens: Option<u64>,
}

fn count(number: Option<u64>) -> Tokens {
    Tokens(number.unwrap_or(0))
}

impl WireUsage {
    fn usage(self) -> Option<Usage> {
        let tokens = self.tokens.or(self.billed_units)?;
        let usage = Usage {
            prompt: count(tokens.input_tokens),
            completion: count(tokens.output_tokens),
            cached: count(self.cached_tokens),
            ..Usage::default()
        };
        usage.if_any()
    }
}

/// What Cohere calls an end and is none.
fn failure(word: &str, error: Option<String>) -> Option<UpstreamError> {
    let is_any = error.is_some() || matches!(word, "ERROR" | "TIMEOUT");
    let message = error.unwrap_or_else(|| word.to_lowercase());
    is_any.then(|| UpstreamError { message, ..UpstreamError::default() })
}

fn finish(word: &str) -> Finish {
    match word {
        "COMPLETE" => Finish::Stop,
        "STOP_SEQUENCE" => Finish::StopSequence(None),
        "MAX_TOKENS" => Finish::Length,
        "TOOL_CALL" => Finish::ToolCalls,
        "ERROR_TOXIC" => Finish::ContentFilter,
        other => Finish::Other(other.to_lowercase()),
    }
}

fn named(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.is_empty())
}

fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Reads a whole answer. One that failed is the provider's error.
pub(super) fn reply(body: &[u8]) -> Result<Result<Reply, UpstreamError>, BadReply> {
    let wire: WireReply = serde_json::from_slice(body)?;
    let word = wire.finish_reason.ok_or(BadReply::Unended)?;
    if let Some(error) = failure(&word, None) {
        return Ok(Err(error));
    }
    let mut parts: Vec<Part> = Vec::new();
    for content in wire.message.content.into_iter().flatten() {
        let thought = said(content.thinking);
        parts.extend(thought.map(|text| PartKind::Thinking { text, signature: None }.into()));
        parts.extend(said(content.text).map(Part::text));
    }
    // The plan comes before the calls, as it is sent back.
    parts.extend(said(wire.message.tool_plan).map(Part::text));
    for (at, call) in wire.message.tool_calls.into_iter().flatten().enumerate() {
        let (name, arguments) =
            call.function.map_or((None, None), |called| (called.name, called.arguments));
        let id = call.id.unwrap_or_else(|| format!("call_{at}"));
        let arguments = said(arguments).unwrap_or_else(|| "{}".to_owned());
        let name = named(name).ok_or(BadReply::Unnamed)?;
        parts.push(PartKind::ToolCall(ToolCall { id, name, arguments, signature: None }).into());
    }
    let finish = finish(&word);
    let citations = wire.message.citations.into_iter().flatten();
    let citations = citations.flat_map(WireCitation::citations).collect();
    let likely = wire.logprobs.into_iter().flatten().filter_map(WireLogprob::logprob);
    let logprobs = openais(likely.collect());
    let choice = Choice { index: 0, parts, finish, logprobs, citations };
    let usage = wire.usage.and_then(WireUsage::usage);
    Ok(Ok(Reply { id: wire.id, choices: vec![choice], usage, ..Reply::default() }))
}

/// Reads the answer of `/v2/embed`.
pub(super) fn vectors(body: &[u8], request: &ChatRequest) -> Result<Vectors, BadReply> {
    #[derive(Deserialize)]
    struct Wire {
        embeddings: ByType,
        meta: Option<Meta>,
    }
    #[derive(Deserialize)]
    struct ByType {
        float: Vec<Vec<f32>>,
    }
    #[derive(Deserialize)]
    struct Meta {
        billed_units: Option<WireTokens>,
    }
    let wire: Wire = serde_json::from_slice(body)?;
    let billed = wire.meta.and_then(|meta| meta.billed_units);
    let usage =
        |billed: WireTokens| Usage { prompt: count(billed.input_tokens), ..Usage::default() };
    Ok(Vectors {
        vectors: wire.embeddings.float,
        encoding: request.vector_encoding().unwrap_or_default(),
        usage: billed.map(usage),
        prompt_estimate: request.prompt_estimate(),
    })
}

#[derive(Deserialize)]
struct WireEvent {
    r#type: Option<String>,
    id: Option<String>,
    index: Option<u32>,
    delta: Option<WireDelta>,
    logprobs: Option<WireLogprob>,
}

#[derive(Deserialize, Default)]
struct WireDelta {
    message: Option<DeltaMessage>,
    finish_reason: Option<String>,
    error: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize, Default)]
struct DeltaMessage {
    content: Option<OneOf<WireContent>>,
    tool_plan: Option<String>,
    tool_calls: Option<OneOf<WireCall>>,
    citations: Option<OneOf<WireCitation>>,
}

/// In events one thing, but for the first, which has empty lists.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOf<T> {
    One(T),
    #[expect(dead_code, reason = "read to be left out")]
    Many(Vec<serde::de::IgnoredAny>),
}

impl<T> OneOf<T> {
    fn one(self) -> Option<T> {
        match self {
            Self::One(one) => Some(one),
            Self::Many(_) => None,
        }
    }
}

/// Reads a stream event by event.
#[derive(Default)]
pub(super) struct Events {
    started: bool,
}

impl Events {
    fn frame(
        &mut self,
        frame: &[u8],
        events: &mut Vec<StreamEvent>,
    ) -> Result<ControlFlow<()>, StreamError> {
        let data = data_lines(frame).collect::<Vec<_>>().join(&b' ');
        if data.is_empty() || data == b"[DONE]" {
            return Ok(Continue(()));
        }
        let text = std::str::from_utf8(&data).map_err(|_| BadFrame::NotUtf8)?;
        let wire: WireEvent = serde_json::from_str(text).map_err(BadFrame::from)?;
        let (index, delta) = (wire.index.unwrap_or(0), wire.delta.unwrap_or_default());
        if !self.started {
            self.started = true;
            let start = Delta::Start { id: wire.id, model: None, usage: None };
            events.push(StreamEvent::Delta(start));
        }
        match wire.r#type.as_deref() {
            Some("message-end") => end(delta, events)?,
            Some(kind) => {
                let message = delta.message.unwrap_or_default();
                say(kind, index, message, &mut |delta| events.push(StreamEvent::Delta(delta)))?;
                let likely = wire.logprobs.and_then(WireLogprob::logprob);
                let likely = openais(likely.into_iter().collect());
                events.extend(
                    likely.map(|logprobs| {
                        StreamEvent::Delta(Delta::Logprobs { choice: 0, logprobs })
                    }),
                );
                return Ok(Continue(()));
            }
            None => {
                events.push(StreamEvent::Error(UpstreamError::parse(&data)));
            }
        }
        Ok(Break(()))
    }
}

fn end(delta: WireDelta, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
    let word = delta.finish_reason.unwrap_or_default();
    if let Some(error) = failure(&word, delta.error) {
        events.push(StreamEvent::Error(error));
        return Ok(());
    }
    if word.is_empty() {
        return Err(StreamError::Cut);
    }
    events.push(StreamEvent::Delta(Delta::Finish { choice: 0, finish: finish(&word) }));
    let usage = delta.usage.and_then(WireUsage::usage);
    events.extend(usage.map(|usage| StreamEvent::Delta(Delta::Usage(usage))));
    events.push(StreamEvent::Done(Bytes::new()));
    Ok(())
}

/// What is not named here has no place in other dialects.
fn say(
    kind: &str,
    index: u32,
    message: DeltaMessage,
    out: &mut impl FnMut(Delta),
) -> Result<(), BadFrame> {
    let choice = 0;
    match kind {
        "content-start" | "content-delta" => {
            let Some(content) = message.content.and_then(OneOf::one) else { return Ok(()) };
            if let Some(text) = said(content.thinking) {
                out(Delta::Thinking { choice, text });
            }
            if let Some(text) = said(content.text) {
                out(Delta::Text { choice, text });
            }
        }
        "tool-plan-delta" => {
            if let Some(text) = said(message.tool_plan) {
                out(Delta::Text { choice, text });
            }
        }
        "tool-call-start" | "tool-call-delta" => {
            let Some(call) = message.tool_calls.and_then(OneOf::one) else { return Ok(()) };
            let (name, arguments) =
                call.function.map_or((None, None), |called| (called.name, called.arguments));
            if kind == "tool-call-start" {
                let id = call.id.unwrap_or_else(|| format!("call_{index}"));
                let name = named(name).ok_or(BadFrame::Unnamed)?;
                out(Delta::ToolCall { choice, call: index, id, name, signature: None });
            }
            if let Some(text) = said(arguments) {
                out(Delta::Arguments { choice, call: index, text });
            }
        }
        "citation-start" => {
            let cited = message.citations.and_then(OneOf::one);
            let cited = cited.into_iter().flat_map(WireCitation::citations);
            cited.for_each(|citation| out(Delta::Citation { choice, citation }));
        }
        _ => {}
    }
    Ok(())
}

impl ReadFrame for Events {
    fn read(
        &mut self,
        frame: Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<ControlFlow<()>, StreamError> {
        self.frame(&frame, events)
    }

    fn of_whole(&self, body: &[u8]) -> Option<Vec<Bytes>> {
        whole::frames_of_reply(body)
    }

    fn close(&mut self, rest: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        let before = events.len();
        if matches!(self.frame(&rest, events), Ok(Break(()))) {
            return Ok(());
        }
        events.truncate(before);
        Err(StreamError::Cut)
    }
}
