//! The decoder of OpenAI's streams, which all compatible servers send.

use bytes::Bytes;
use dunlin_llm::openai::read_frame;
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

#[derive(Default)]
pub(crate) struct OpenAiStream {
    splitter: Splitter,
    /// The answer is whole, or can no longer become it. What follows is not looked at.
    ended: bool,
}

impl OpenAiStream {
    fn read_frames(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        while !self.ended
            && let Some(frame) = self.splitter.next_frame()?
        {
            let event = read_frame(frame)?;
            self.ended = matches!(event, StreamEvent::Done(_) | StreamEvent::Error(_));
            events.push(event);
        }
        Ok(())
    }
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
