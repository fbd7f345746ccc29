//! One frame of a provider's stream, read for the few facts that matter.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::UpstreamError;
use crate::estimate::output_bytes;
use crate::json::{Span, member_at};
use crate::sse;
use crate::stream::{BadFrame, Chunk, StreamEvent};
use crate::tier::Tier;
use crate::usage;

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Option<&'a RawValue>,
}

/// Reads a frame as [`Splitter`](sse::Splitter) yields it. The event keeps its bytes; only data
/// that came in several lines is joined into one.
///
/// # Errors
/// The data is neither `[DONE]` nor a JSON object.
pub fn read_frame(frame: Bytes) -> Result<StreamEvent, BadFrame> {
    let (frame, data) = sse::in_one_line(frame);
    let Some(data) = data else { return Ok(StreamEvent::Comment(frame)) };
    let text = std::str::from_utf8(&frame[data.range()]).map_err(|_| BadFrame::NotUtf8)?;
    match text.trim() {
        "" => return Ok(StreamEvent::Comment(frame)),
        "[DONE]" => return Ok(StreamEvent::Done(frame)),
        _ => {}
    }
    let peek: Peek<'_> = serde_json::from_str(text)
        .map_err(|error| BadFrame::NotAChunk { reason: error.to_string() })?;
    let flat_error = peek.object.is_some_and(|object| object.get() == r#""error""#);
    if peek.error.is_some() || flat_error {
        return Ok(StreamEvent::Error(UpstreamError::read(text)));
    }
    let at = |value: &RawValue| Span::of(value.get(), text).shifted(data.start);
    let chunk = Chunk {
        model: peek.model.map(at),
        id: peek.id.and_then(|id| at(id).unquoted(id.get())),
        usage: peek.usage.and_then(|usage| usage::read(usage.get())),
        usage_at: peek.usage.and_then(|usage| {
            let member = member_at(text, Span::of(usage.get(), text), "usage")?;
            Some(member.shifted(data.start))
        }),
        has_choices: peek.choices.is_some_and(|choices| !is_empty_list(choices.get())),
        text_bytes: peek.choices.map_or(0, |choices| output_bytes(choices.get())),
        tier: Tier::of(peek.service_tier),
        frame,
    };
    Ok(StreamEvent::Chunk(chunk))
}

fn even_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn is_empty_list(value: &str) -> bool {
    value.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(']'))
}

#[cfg(test)]
mod tests;
