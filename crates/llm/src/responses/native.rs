//! Answers of a provider that has responses itself, for clients that speak of them too: read for
//! the few facts that matter, passed on as they are.

use std::borrow::Cow;

use bytes::Bytes;
use dunlin_types::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Dialect;
use crate::json::{Span, string};
use crate::openai::UpstreamError;
use crate::reply::{BadReply, ChatReply};
use crate::sse;
use crate::stream::{BadFrame, Chunk, StreamEvent};
use crate::tier::Tier;
use crate::tool_models::{drawn, written};
use crate::tools::Tools;
use crate::usage;

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_usage: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

/// What a response says of what its tools used.
#[derive(Deserialize)]
struct PeekTools<'a> {
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_usage: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekEvent<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
}

/// What a response used: its `usage`, and calls of its provider's tools, which are items of its output.
pub(super) fn used(usage: Option<&RawValue>, body: &[u8]) -> Option<Usage> {
    let usage = read_usage(usage?)?;
    let peek: Option<PeekTools<'_>> = serde_json::from_slice(body).ok();
    let usage = match peek {
        Some(told) => told.counted_in(usage),
        None => usage,
    };
    Some(Tools::of_answer(body).counted_in(usage))
}

impl<'a> Peek<'a> {
    fn told(&self) -> PeekTools<'a> {
        let Self { output, tool_usage, tools, .. } = *self;
        PeekTools { output, tool_usage, tools }
    }
}

impl PeekTools<'_> {
    /// What a response used, with what its tool for pictures had made.
    fn counted_in(self, usage: Usage) -> Usage {
        let tools = self.tools.map(RawValue::get);
        let drawn = self.tool_usage.and_then(|used| drawn(used.get(), tools));
        let written = self.output.map(|output| written(output.get(), tools));
        drawn.into_iter().chain(written.into_iter().flatten()).fold(usage, Usage::with_part)
    }
}

fn read_usage(wire: &RawValue) -> Option<Usage> {
    usage::read(wire.get())
}

/// Reads a whole response; keeps its bytes. One that failed is the provider's error.
///
/// # Errors
/// The body is not one whole JSON object.
pub fn parse_reply(bytes: Bytes) -> Result<Result<ChatReply, UpstreamError>, BadReply> {
    let text = std::str::from_utf8(&bytes).map_err(|_| BadReply::NotUtf8)?;
    let peek: Peek<'_> = serde_json::from_str(text)?;
    if is(peek.status, r#""failed""#) {
        return Ok(Err(failure(peek.error)));
    }
    let at = |value: &RawValue| Span::of(value.get(), text);
    let id = peek.id.and_then(|id| string(id.get())).map(Into::into);
    let usage = peek.usage.and_then(read_usage);
    let usage = usage.map(|usage| peek.told().counted_in(usage));
    let places = (peek.model.map(at), peek.output.map(at));
    let tier = Tier::of(peek.service_tier);
    Ok(Ok(ChatReply::of_bytes(Dialect::Responses, bytes, places, id, usage).served_in(tier)))
}

/// Reads a frame as [`Splitter`](sse::Splitter) yields it and appends what it says: an event with
/// its bytes, and behind the last one that the answer is whole.
///
/// # Errors
/// The data is not a JSON object with a type.
pub fn read_frame(frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), BadFrame> {
    let (frame, data) = sse::in_one_line(frame);
    let Some(data) = data else {
        events.push(StreamEvent::Comment(frame));
        return Ok(());
    };
    let text = std::str::from_utf8(&frame[data.range()]).map_err(|_| BadFrame::NotUtf8)?;
    // Some servers end every stream in this word; here another event says that the answer is whole.
    if matches!(text.trim(), "" | "[DONE]") {
        events.push(StreamEvent::Comment(frame));
        return Ok(());
    }
    let peek: PeekEvent<'_> = parse(text)?;
    let response: Option<Peek<'_>> =
        peek.response.map(|response| parse(response.get())).transpose()?;
    let mut failed = None;
    let is_whole = match &*peek.r#type {
        "error" => {
            events.push(StreamEvent::Error(UpstreamError::read(text)));
            return Ok(());
        }
        "response.failed" => {
            failed = Some(failure(response.as_ref().and_then(|response| response.error)));
            false
        }
        "response.completed" | "response.incomplete" | "response.cancelled" => true,
        _ => false,
    };
    let at = |value: &RawValue| Span::of(value.get(), text).shifted(data.start);
    let (mut model, mut id, mut used, mut tier) = (None, None, None, None);
    if let Some(response) = response {
        model = response.model.filter(|model| model.get().starts_with('"')).map(at);
        id = response.id.and_then(|id| at(id).unquoted(id.get()));
        used = response.usage.and_then(read_usage);
        used = used.map(|used| response.told().counted_in(used));
        tier = Tier::of(response.service_tier);
    }
    let text_bytes = peek.delta.and_then(|delta| string(delta.get()));
    let text_bytes = text_bytes.map_or(0, |delta| delta.len() as u64);
    let chunk = Chunk {
        model,
        id,
        tells_usage: used.is_some(),
        usage: used,
        usage_at: None,
        has_choices: true,
        ended: u64::from(is_whole),
        text_bytes,
        tier,
        frame,
    };
    events.push(match failed {
        Some(error) => StreamEvent::Failed(error, Box::new(chunk)),
        None => StreamEvent::Chunk(chunk),
    });
    if is_whole {
        events.push(StreamEvent::Done(Bytes::new()));
    }
    Ok(())
}

fn is(value: Option<&RawValue>, json: &str) -> bool {
    value.is_some_and(|value| value.get() == json)
}

pub(super) fn failure(error: Option<&RawValue>) -> UpstreamError {
    let said = error.filter(|error| error.get() != "null");
    UpstreamError::parse(said.map_or(b"", |error| error.get().as_bytes()))
}

fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, BadFrame> {
    serde_json::from_str(text).map_err(BadFrame::from)
}
