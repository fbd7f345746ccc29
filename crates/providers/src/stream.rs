//! The decoder of OpenAI's streams, which all compatible servers send.

use std::ops::ControlFlow::{self, Break, Continue};

use bytes::Bytes;
use dunlin_llm::edit::renamed;
use dunlin_llm::form::Delta;
use dunlin_llm::openai::{DeltaReader, read_frame};
use dunlin_llm::sse::{FrameTooLong, Splitter};
use dunlin_llm::{BadFrame, StreamEvent, responses};

use crate::frames::{Frames, ReadFrame};

/// The longest event of a response: the last one repeats the whole answer, pictures included.
pub const MAX_EVENT_BYTES: usize = 16 << 20;

/// Why a stream cannot be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A frame without end.
    #[error(transparent)]
    FrameTooLong(#[from] FrameTooLong),
    /// A frame that is no event.
    #[error(transparent)]
    BadFrame(#[from] BadFrame),
    /// The connection closed before `[DONE]`.
    #[error("the stream ended before the answer did")]
    Cut,
}

/// Reads frames, passed on as they are or taken apart into deltas.
pub(crate) enum OpenAiStream {
    /// Chunks of a chat pass; if it says so, thoughts called `reasoning` become
    /// `reasoning_content`.
    Passing { says_reasoning: bool },
    /// Chunks of a chat are taken apart.
    Translating { reader: Box<DeltaReader>, deltas: Vec<Delta> },
    /// Events of a response pass.
    Responses,
}

impl OpenAiStream {
    pub(crate) fn passing(says_reasoning: bool) -> Frames<Self> {
        Self::Passing { says_reasoning }.into()
    }

    pub(crate) fn translating() -> Frames<Self> {
        Self::Translating { reader: Box::default(), deltas: Vec::new() }.into()
    }

    pub(crate) fn of_responses() -> Frames<Self> {
        Frames::new(Self::Responses, Splitter::with_frames_of(MAX_EVENT_BYTES))
    }
}

impl ReadFrame for OpenAiStream {
    fn read(
        &mut self,
        frame: Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<ControlFlow<()>, StreamError> {
        match self {
            Self::Responses => responses::read_frame(frame, events)?,
            Self::Passing { says_reasoning: true } => {
                events.push(read_frame(rename_reasoning(frame))?);
            }
            Self::Passing { says_reasoning: false } => events.push(read_frame(frame)?),
            Self::Translating { reader, deltas } => {
                let event = read_frame(frame)?;
                if let StreamEvent::Chunk(chunk) = &event {
                    reader.read(chunk.data(), deltas)?;
                    events.extend(deltas.drain(..).map(StreamEvent::Delta));
                } else {
                    events.push(event);
                }
            }
        }
        Ok(if events.last().is_some_and(is_last) { Break(()) } else { Continue(()) })
    }

    fn close(&mut self, rest: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        // Some servers close right behind the word, without the blank line.
        let is_chat = !matches!(self, Self::Responses);
        if is_chat && rest.trim_ascii() == b"data: [DONE]" {
            events.push(StreamEvent::Done(Bytes::from_static(b"data: [DONE]\n\n")));
            return Ok(());
        }
        Err(StreamError::Cut)
    }
}

/// The frame with its thoughts under the name that clients know. Frames of several lines, which
/// nobody sends, stay as they are.
fn rename_reasoning(frame: Bytes) -> Bytes {
    let (Some(start), Some(end)) =
        (frame.iter().position(|byte| *byte == b'{'), frame.iter().rposition(|byte| *byte == b'}'))
    else {
        return frame;
    };
    if !frame.starts_with(b"data:") || end < start {
        return frame;
    }
    let data = frame.slice(start..=end);
    let renamed = renamed(data.clone(), "choices[*].delta.reasoning", "reasoning_content");
    if renamed.as_ptr() == data.as_ptr() {
        return frame;
    }
    Bytes::from([&frame[..start], &renamed, &frame[end + 1..]].concat())
}

fn is_last(event: &StreamEvent) -> bool {
    matches!(event, StreamEvent::Done(_) | StreamEvent::Error(_) | StreamEvent::Failed(..))
}
