//! One frame of a provider's stream, read for the few facts that matter.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::upstream_error;
use super::usage;
use crate::json::Span;
use crate::sse;
use crate::stream::{BadFrame, Chunk, StreamEvent};
use crate::tier::Tier;

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekMessage<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PeekDelta {
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    partial_json: String,
}

/// Reads the frames of one stream. What they say of usage adds up, so that the last word is all.
#[derive(Debug, Default)]
pub struct FrameReader {
    usage: usage::Wire,
}

impl FrameReader {
    /// Reads a frame as [`Splitter`](sse::Splitter) yields it. The event keeps its bytes; a ping is
    /// a comment.
    ///
    /// # Errors
    /// The data is not a JSON object with a type, or not what its type says.
    pub fn read(&mut self, frame: Bytes) -> Result<StreamEvent, BadFrame> {
        let (frame, data) = sse::in_one_line(frame);
        let Some(data) = data else { return Ok(StreamEvent::Comment(frame)) };
        let text = std::str::from_utf8(&frame[data.range()]).map_err(|_| BadFrame::NotUtf8)?;
        if text.trim().is_empty() {
            return Ok(StreamEvent::Comment(frame));
        }
        let peek: Peek<'_> = parse(text)?;
        match &*peek.r#type {
            "ping" => return Ok(StreamEvent::Comment(frame)),
            "error" => return Ok(StreamEvent::Error(upstream_error(text))),
            "message_stop" => return Ok(StreamEvent::Done(frame)),
            _ => {}
        }
        let at = |value: &RawValue| Span::of(value.get(), text).shifted(data.start);
        let message: Option<PeekMessage<'_>> =
            peek.message.map(|message| parse(message.get())).transpose()?;
        let (mut model, mut id, mut said) = (None, None, peek.usage);
        if let Some(message) = message {
            model = message.model.filter(|model| model.get().starts_with('"')).map(at);
            id = message.id.and_then(|id| at(id).unquoted(id.get()));
            said = message.usage.or(said);
        }
        let text_bytes = peek.delta.map_or(0, |delta| {
            // A delta without text, such as a seal.
            parse(delta.get()).map_or(0, |delta: PeekDelta| {
                delta.text.len() + delta.thinking.len() + delta.partial_json.len()
            })
        });
        let tier = said.and_then(|usage| Tier::asked(usage.get()));
        let usage = said.and_then(|usage| {
            self.usage = std::mem::take(&mut self.usage).updated(usage::Wire::read(usage.get()));
            self.usage.usage()
        });
        let text_bytes = text_bytes as u64;
        Ok(StreamEvent::Chunk(Chunk {
            model,
            id,
            tells_usage: usage.is_some(),
            usage,
            usage_at: None,
            has_choices: true,
            ended: u64::from(peek.r#type == "message_delta"),
            text_bytes,
            tier,
            frame,
        }))
    }
}

fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, BadFrame> {
    serde_json::from_str(text).map_err(BadFrame::from)
}
