//! The decoder of OpenAI's streams, which all compatible servers send.

use bytes::Bytes;
use dunlin_llm::edit::renamed;
use dunlin_llm::form::Delta;
use dunlin_llm::openai::{DeltaReader, read_frame};
use dunlin_llm::sse::{FrameTooLong, Splitter};
use dunlin_llm::{BadFrame, StreamEvent};

use crate::StreamDecoder;

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
    translating: Option<Translating>,
    /// The answer is whole, or can no longer become it. What follows is not looked at.
    ended: bool,
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
        Self { translating: Some(Translating::default()), ..Self::default() }
    }

    fn read_frames(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        while !self.ended
            && let Some(mut frame) = self.splitter.next_frame()?
        {
            if self.says_reasoning {
                frame = rename_reasoning(frame);
            }
            let event = read_frame(frame)?;
            self.ended = matches!(event, StreamEvent::Done(_) | StreamEvent::Error(_));
            match (event, &mut self.translating) {
                (StreamEvent::Chunk(chunk), Some(Translating { reader, deltas })) => {
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
        if self.splitter.rest().trim_ascii() == b"data: [DONE]" {
            events.push(StreamEvent::Done(Bytes::from_static(b"data: [DONE]\n\n")));
            return Ok(());
        }
        Err(StreamError::Cut)
    }
}
