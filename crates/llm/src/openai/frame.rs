//! One frame of a provider's stream, read for the few facts that matter.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::UpstreamError;
use crate::estimate::{Choice, output_bytes};
use crate::json::{Span, member_at};
use crate::sse;
use crate::stream::{BadFrame, Chunk, StreamEvent};
use crate::tier::Tier;
use crate::usage;

#[derive(Deserialize)]
#[serde(bound(deserialize = "C: Deserialize<'de>"))]
struct Peek<'a, C> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    choices: Option<C>,
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
    let Some(data) = data else {
        // Older llama.cpp says so in a field of its own.
        let error = frame.strip_prefix(b"error:").map(UpstreamError::parse);
        return Ok(error.map_or(StreamEvent::Comment(frame), StreamEvent::Error));
    };
    let text = std::str::from_utf8(&frame[data.range()]).map_err(|_| BadFrame::NotUtf8)?;
    match text.trim() {
        "" => return Ok(StreamEvent::Comment(frame)),
        "[DONE]" => return Ok(StreamEvent::Done(frame)),
        _ => {}
    }
    match serde_json::from_str::<Peek<'_, Vec<Choice>>>(text) {
        Ok(mut peek) => {
            let choices = peek.choices.take().unwrap_or_default();
            let text_bytes = choices.iter().map(Choice::text_bytes).sum();
            let ended = choices.iter().filter(|choice| choice.ends()).count() as u64;
            Ok(peek.event(&frame, data, (!choices.is_empty(), text_bytes, ended)))
        }
        // Choices of a shape that no one knows are passed on too.
        Err(_) => {
            let mut peek: Peek<'_, &RawValue> = serde_json::from_str(text)?;
            let choices = peek.choices.take().map_or("[]", RawValue::get);
            let said = (!is_empty_list(choices), output_bytes(choices), 0);
            Ok(peek.event(&frame, data, said))
        }
    }
}

impl<C> Peek<'_, C> {
    /// What the frame says, whose data is at `data`: whether there are choices, so many bytes of text
    /// in them, and how many of them end.
    fn event(
        &self,
        frame: &Bytes,
        data: Span,
        (has_choices, text_bytes, ended): (bool, u64, u64),
    ) -> StreamEvent {
        let text = std::str::from_utf8(&frame[data.range()]).expect("it was read as text");
        let flat_error = self.object.is_some_and(|object| object.get() == r#""error""#);
        if self.error.is_some() || flat_error {
            return StreamEvent::Error(UpstreamError::read(text));
        }
        if !has_choices && let Some(error) = UpstreamError::in_empty_chunk(text) {
            return StreamEvent::Error(error);
        }
        let members = [self.id, self.object, self.model, self.usage, self.service_tier];
        if !has_choices
            && members.iter().all(Option::is_none)
            && let Some(error) = UpstreamError::in_frame(frame)
        {
            return StreamEvent::Error(error);
        }
        let at = |value: &RawValue| Span::of(value.get(), text).shifted(data.start);
        let usage = self.usage.map(RawValue::get).filter(|usage| *usage != "null");
        StreamEvent::Chunk(Chunk {
            model: self.model.map(at),
            id: self.id.and_then(|id| at(id).unquoted(id.get())),
            usage: usage.and_then(usage::read),
            usage_at: self.usage.and_then(|usage| {
                let member = member_at(text, Span::of(usage.get(), text), "usage")?;
                Some(member.shifted(data.start))
            }),
            tells_usage: usage.is_some(),
            has_choices,
            text_bytes,
            ended,
            tier: Tier::of(self.service_tier),
            frame: frame.clone(),
        })
    }
}

fn even_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn is_empty_list(value: &str) -> bool {
    value.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(']'))
}

#[cfg(test)]
mod tests;
