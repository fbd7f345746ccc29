//! ConverseStream's answers: a frame for each event, of which `metadata` is the last.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use dunlin_llm::anthropic::{JSON_TOOL, JsonAnswer};
use dunlin_llm::form::{Delta, Finish, PartKind, Source};
use dunlin_llm::openai::UpstreamError;
use dunlin_llm::sse::FrameTooLong;
use dunlin_llm::{BadFrame, StreamEvent};
use serde::Deserialize;

use super::frames::{Cutter, Frame};
use super::read::{ServiceTier, WireCitation, WireUsage, finish, is_run_there};
use super::whole::frames_of_reply;
use crate::StreamDecoder;
use crate::stream::{MAX_EVENT_BYTES, StreamError};

/// The payload of every event.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    content_block_index: u64,
    start: Start,
    delta: WireDelta,
    stop_reason: Option<String>,
    usage: Option<WireUsage>,
    service_tier: Option<ServiceTier>,
    /// Of an exception.
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Start {
    tool_use: Option<ToolStart>,
    image: Option<ImageStart>,
}

#[derive(Deserialize)]
struct ImageStart {
    format: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolStart {
    tool_use_id: String,
    name: String,
    r#type: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct WireDelta {
    text: Option<String>,
    tool_use: Option<ToolDelta>,
    reasoning_content: Option<ReasoningDelta>,
    citation: Option<WireCitation>,
    image: Option<ImageDelta>,
}

/// A piece of a picture, or why none comes.
#[derive(Deserialize)]
struct ImageDelta {
    source: Option<ImageSource>,
    error: Option<ImageError>,
}

#[derive(Deserialize)]
struct ImageSource {
    bytes: String,
}

#[derive(Deserialize)]
struct ImageError {
    message: Option<String>,
}

#[derive(Deserialize)]
struct ToolDelta {
    input: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

/// What a block is, once it has begun with a name.
enum Block {
    Call(u32),
    /// The call that is the answer.
    Answer,
}

/// The words of a block, which are all from its sources: known once it is over.
#[derive(Default)]
struct Cites {
    block: u64,
    /// Characters of the answer before it, and with it.
    before: u64,
    said: u64,
    cited: Vec<WireCitation>,
}

impl Cites {
    /// Something is said in `block`, or nothing more in the one before.
    fn pass_to(&mut self, block: u64, mut say: impl FnMut(Delta)) {
        let words = self.before..self.said;
        for cited in self.cited.drain(..) {
            say(Delta::Citation { choice: 0, citation: cited.of(words.clone()) });
        }
        (self.block, self.before) = (block, self.said);
    }
}

/// A picture that has begun. Each piece of it is encoded for itself.
struct Picture {
    media_type: String,
    bytes: Vec<u8>,
}

impl Picture {
    fn begin(format: &str) -> Self {
        Self { media_type: format!("image/{format}"), bytes: Vec::new() }
    }

    fn add(&mut self, delta: ImageDelta) -> Result<(), StreamError> {
        let unread = |why: &str| BadFrame::NotAChunk { reason: format!("a picture: {why}") };
        if let Some(ImageError { message }) = delta.error {
            return Err(unread(message.as_deref().unwrap_or("it was not made")).into());
        }
        let Some(ImageSource { bytes: piece }) = delta.source else { return Ok(()) };
        if self.bytes.len() + piece.len() > MAX_EVENT_BYTES {
            return Err(FrameTooLong.into());
        }
        let read = STANDARD.decode_vec(piece, &mut self.bytes);
        read.map_err(|error| unread(&error.to_string()).into())
    }

    fn whole(self) -> PartKind {
        let (media_type, data) = (self.media_type, STANDARD.encode(self.bytes));
        PartKind::Image { source: Source::Inline { media_type, data }, detail: None }
    }
}

/// Reads a stream frame by frame.
#[derive(Default)]
pub(super) struct Frames {
    cutter: Cutter,
    started: bool,
    /// The blocks that call tools, by their index.
    blocks: Vec<(u64, Block)>,
    calls: u32,
    answer: JsonAnswer,
    cites: Cites,
    picture: Option<Picture>,
    /// Nothing but what was used is missing.
    finished: bool,
    /// The answer is whole, or can no longer become it. What follows is not looked at.
    ended: bool,
    /// What has come of an answer that does not come in pieces.
    whole: Option<BytesMut>,
}

impl Frames {
    /// `by_tool`: the answer is to come as the call of a tool.
    pub(super) fn new(by_tool: bool) -> Self {
        Self { answer: JsonAnswer::new(by_tool), ..Self::default() }
    }

    fn frame(&mut self, frame: &Frame, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        let wire: Wire = match serde_json::from_slice(&frame.payload) {
            Ok(wire) => wire,
            Err(_) if frame.message_type != "event" => Wire::default(),
            Err(error) => return Err(BadFrame::from(error).into()),
        };
        if frame.message_type != "event" {
            self.ended = true;
            events.push(StreamEvent::Error(failure(frame, wire.message)));
            return Ok(());
        }
        let mut say = |delta| events.push(StreamEvent::Delta(delta));
        if !std::mem::replace(&mut self.started, true) {
            say(Delta::Start { id: None, model: None, usage: None });
        }
        match frame.kind.as_str() {
            "contentBlockStart" => self.block(wire, &mut say),
            "contentBlockDelta" => self.delta(wire, &mut say)?,
            "contentBlockStop" => {
                let picture = self.picture.take().map(Picture::whole);
                picture.into_iter().for_each(|media| say(Delta::Media { choice: 0, media }));
                self.pass_to(wire.content_block_index.saturating_add(1), &mut say);
            }
            "messageStop" => {
                self.finished = true;
                self.pass_to(0, &mut say);
                self.answer.end(&mut say);
                let finish = finish(
                    wire.stop_reason
                        .as_deref()
                        .filter(|w| !w.is_empty())
                        .ok_or(StreamError::Cut)?,
                );
                let only_json = finish == Finish::ToolCalls && self.calls == 0;
                let finish = if only_json { Finish::Stop } else { finish };
                say(Delta::Finish { choice: 0, finish });
            }
            "metadata" if self.finished => {
                if let Some(tier) = wire.service_tier.as_ref().and_then(ServiceTier::tier) {
                    say(Delta::Served(tier));
                }
                if let Some(usage) = wire.usage.as_ref().and_then(WireUsage::usage) {
                    say(Delta::Usage(usage));
                }
                self.ended = true;
                events.push(StreamEvent::Done(Bytes::new()));
            }
            // The beginning says only the role.
            _ => {}
        }
        Ok(())
    }

    /// Another block is spoken of.
    fn pass_to(&mut self, block: u64, say: &mut impl FnMut(Delta)) {
        let Self { cites, answer, .. } = self;
        cites.pass_to(block, |delta| answer.say(delta, say));
    }

    fn block(&mut self, wire: Wire, say: &mut impl FnMut(Delta)) {
        self.picture = wire.start.image.map(|ImageStart { format }| Picture::begin(&format));
        let Some(ToolStart { tool_use_id: id, name, r#type }) = wire.start.tool_use else { return };
        if is_run_there(r#type.as_deref()) {
            return;
        }
        if name == JSON_TOOL {
            if self.answer.call() {
                self.blocks.push((wire.content_block_index, Block::Answer));
            }
            return;
        }
        let call = self.calls;
        self.calls += 1;
        self.blocks.push((wire.content_block_index, Block::Call(call)));
        say(Delta::ToolCall { choice: 0, call, id, name, signature: None });
    }

    fn delta(&mut self, wire: Wire, say: &mut impl FnMut(Delta)) -> Result<(), StreamError> {
        let choice = 0;
        if let Some(delta) = wire.delta.image {
            // Its start says in what form it is.
            self.picture.get_or_insert_with(|| Picture::begin("png")).add(delta)?;
        }
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        if wire.content_block_index != self.cites.block {
            self.pass_to(wire.content_block_index, say);
        }
        self.cites.cited.extend(wire.delta.citation);
        if let Some(text) = said(wire.delta.text) {
            self.cites.said += text.chars().count() as u64;
            self.answer.say(Delta::Text { choice, text }, say);
        }
        if let Some(text) = said(wire.delta.tool_use.and_then(|tool| tool.input)) {
            let mut blocks = self.blocks.iter().rev();
            match blocks.find(|(index, _)| *index == wire.content_block_index) {
                Some((_, Block::Call(call))) => say(Delta::Arguments { choice, call: *call, text }),
                Some((_, Block::Answer)) => say(Delta::Text { choice, text }),
                None => {}
            }
        }
        let Some(reasoning) = wire.delta.reasoning_content else { return Ok(()) };
        if let Some(text) = said(reasoning.text) {
            say(Delta::Thinking { choice, text });
        }
        if let Some(signature) = said(reasoning.signature) {
            say(Delta::Signature { choice, signature, of_thought: true });
        }
        if let Some(data) = said(reasoning.redacted_content) {
            say(Delta::RedactedThinking { choice, data });
        }
        Ok(())
    }
}

/// Exceptions have the status that they would have had as a whole answer.
fn failure(frame: &Frame, message: Option<String>) -> UpstreamError {
    let status = match frame.kind.as_str() {
        "accessDeniedException" => Some("403"),
        "internalServerException" | "modelStreamErrorException" => Some("500"),
        "modelTimeoutException" => Some("408"),
        "serviceUnavailableException" => Some("503"),
        "throttlingException" => Some("429"),
        "validationException" => Some("400"),
        _ => None,
    };
    let message = message.or_else(|| frame.error.clone()).filter(|words| !words.is_empty());
    UpstreamError {
        message: message.unwrap_or_else(|| frame.kind.clone()),
        kind: Some(frame.kind.clone()),
        code: status.map(str::to_owned),
        details: None,
    }
}

impl StreamDecoder for Frames {
    fn push(&mut self, read: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        // A frame begins with its length, which is less.
        let is_whole = !self.started && self.cutter.is_empty() && read.first() == Some(&b'{');
        if self.whole.is_some() || is_whole {
            let whole = self.whole.get_or_insert_default();
            whole.extend_from_slice(&read);
            self.ended = whole.len() > MAX_EVENT_BYTES;
            return if self.ended { Err(FrameTooLong.into()) } else { Ok(()) };
        }
        self.cutter.push(&read);
        let mut read = Ok(());
        while !self.ended && read.is_ok() {
            read = match self.cutter.next_frame() {
                Ok(Some(frame)) => self.frame(&frame, events),
                Ok(None) => break,
                Err(error) => Err(error),
            };
        }
        self.ended |= read.is_err();
        read
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        if let Some(whole) = self.whole.take() {
            for frame in frames_of_reply(&whole).ok_or(StreamError::Cut)? {
                self.frame(&frame, events)?;
            }
            return Ok(());
        }
        self.ended = true;
        if !self.finished {
            return Err(StreamError::Cut);
        }
        events.push(StreamEvent::Done(Bytes::new()));
        Ok(())
    }
}
