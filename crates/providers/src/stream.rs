//! The decoder of OpenAI's streams, which all compatible servers send.

use bytes::Bytes;
use dunlin_llm::edit::renamed;
use dunlin_llm::form::Delta;
use dunlin_llm::openai::{DeltaReader, read_frame};
use dunlin_llm::sse::{FrameTooLong, Splitter};
use dunlin_llm::{BadFrame, StreamEvent, responses};

use crate::StreamDecoder;

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
#[derive(Default)]
pub(crate) struct OpenAiStream {
    splitter: Splitter,
    /// Thoughts are called `reasoning`, and are to be `reasoning_content`.
    says_reasoning: bool,
    manner: Manner,
    /// The answer is whole, or can no longer become it. What follows is not looked at.
    ended: bool,
}

/// What becomes of frames.
#[derive(Default)]
enum Manner {
    /// Chunks of a chat pass.
    #[default]
    Passing,
    /// Chunks of a chat are taken apart.
    Translating(Translating),
    /// Events of a response pass.
    Responses,
}

#[derive(Default)]
struct Translating {
    reader: DeltaReader,
    deltas: Vec<Delta>,
}

impl OpenAiStream {
    pub(crate) fn passing(says_reasoning: bool) -> Self {
        Self { says_reasoning, ..Self::default() }
    }

    pub(crate) fn translating() -> Self {
        Self { manner: Manner::Translating(Translating::default()), ..Self::default() }
    }

    pub(crate) fn of_responses() -> Self {
        let splitter = Splitter::with_frames_of(MAX_EVENT_BYTES);
        Self { manner: Manner::Responses, splitter, ..Self::default() }
    }

    fn read_frames(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        while !self.ended
            && let Some(mut frame) = self.splitter.next_frame()?
        {
            if let Manner::Responses = self.manner {
                responses::read_frame(frame, events)?;
                self.ended = events.last().is_some_and(is_last);
                continue;
            }
            if self.says_reasoning {
                frame = rename_reasoning(frame);
            }
            let event = read_frame(frame)?;
            self.ended = is_last(&event);
            match (event, &mut self.manner) {
                (
                    StreamEvent::Chunk(chunk),
                    Manner::Translating(Translating { reader, deltas }),
                ) => {
                    reader.read(chunk.data(), deltas)?;
                    events.extend(deltas.drain(..).map(StreamEvent::Delta));
                }
                (event, _) => events.push(event),
            }
        }
        Ok(())
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

impl StreamDecoder for OpenAiStream {
    fn push(&mut self, read: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        self.splitter.push(read);
        let read = self.read_frames(events);
        self.ended |= read.is_err();
        read
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        // Some servers close right behind the word, without the blank line.
        let is_chat = !matches!(self.manner, Manner::Responses);
        if is_chat && self.splitter.rest().trim_ascii() == b"data: [DONE]" {
            events.push(StreamEvent::Done(Bytes::from_static(b"data: [DONE]\n\n")));
            return Ok(());
        }
        Err(StreamError::Cut)
    }
}
