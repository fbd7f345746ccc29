//! The decoder of Google's streams, which end with their connection.

use std::ops::ControlFlow::{self, Break, Continue};

use bytes::Bytes;
use dunlin_llm::gemini::{StreamReader, frames_of_reply};
use dunlin_llm::{ChatRequest, StreamEvent};

use super::passes;
use crate::StreamError;
use crate::frames::{self, Frames, ReadFrame};

/// Reads frames, passed on as they are or taken apart into deltas.
pub(crate) struct GoogleStream {
    reader: StreamReader,
    passing: bool,
}

impl GoogleStream {
    /// The decoder of an answer to `request`.
    pub(crate) fn answering(request: &ChatRequest) -> Frames<Self> {
        let reader = Self { reader: StreamReader::default(), passing: passes(request) };
        Frames::new(reader)
    }
}

impl ReadFrame for GoogleStream {
    fn read(
        &mut self,
        frame: Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<ControlFlow<()>, StreamError> {
        if self.passing {
            events.push(self.reader.pass(frame)?);
        } else {
            self.reader.read(frame, events)?;
        }
        let has_failed = matches!(events.last(), Some(StreamEvent::Error(_)));
        Ok(if has_failed { Break(()) } else { Continue(()) })
    }

    fn of_whole(&self, body: &[u8]) -> Option<Vec<Bytes>> {
        frames_of_reply(body)
    }

    fn close(&mut self, rest: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        // Half a frame is a cut, not nonsense.
        if !rest.trim_ascii().is_empty() {
            let read = self.read(frames::ended(&rest), events).map_err(|_| StreamError::Cut)?;
            if read.is_break() {
                return Ok(());
            }
        }
        if !self.reader.is_whole() {
            return Err(StreamError::Cut);
        }
        events.push(StreamEvent::Done(Bytes::new()));
        Ok(())
    }
}
