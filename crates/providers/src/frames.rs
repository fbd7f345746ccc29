//! The loop that the decoders of server-sent events share: frame after frame, up to the last one.

use std::ops::ControlFlow::{self, Break, Continue};

use bytes::Bytes;
use dunlin_llm::StreamEvent;
use dunlin_llm::openai::UpstreamError;
use dunlin_llm::sse::Splitter;

use crate::stream::MAX_EVENT_BYTES;
use crate::{StreamDecoder, StreamError};

/// What the frames of one dialect say.
pub(crate) trait ReadFrame: Send {
    /// Appends what `frame` says. [`Break`]: the answer is whole, or can no longer become it.
    ///
    /// # Errors
    /// The frame is none of the dialect's. Nothing that follows is read.
    fn read(
        &mut self,
        frame: Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<ControlFlow<()>, StreamError>;

    /// The frames of a stream that says what `body` does, which is a whole answer: some servers give
    /// one where a stream was asked for. `None`: it is none.
    fn of_whole(&self, body: &[u8]) -> Option<Vec<Bytes>>;

    /// The connection has closed before a last frame, behind `rest`: a frame that lacks its blank
    /// line, half a frame, or nothing.
    ///
    /// # Errors
    /// [`StreamError::Cut`]: the answer is not whole.
    fn close(&mut self, rest: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError>;
}

/// Cuts a stream into frames for its reader. What follows the last one is not looked at.
pub(crate) struct Frames<R> {
    reader: R,
    splitter: Splitter,
    ended: bool,
}

impl<R: ReadFrame> Frames<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, splitter: Splitter::with_frames_of(MAX_EVENT_BYTES), ended: false }
    }

    fn read(&mut self, events: &mut Vec<StreamEvent>) -> Result<ControlFlow<()>, StreamError> {
        while let Some(frame) = self.splitter.next_frame()? {
            let read = self.reader.read(frame.clone(), events).or_else(|error| {
                // What is no piece of an answer may tell why none comes.
                let told = UpstreamError::in_frame(&frame).ok_or(error)?;
                events.push(StreamEvent::Error(told));
                Ok::<_, StreamError>(Break(()))
            })?;
            if read.is_break() {
                return Ok(Break(()));
            }
        }
        Ok(Continue(()))
    }
}

impl<R: ReadFrame> StreamDecoder for Frames<R> {
    fn push(&mut self, read: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        self.splitter.push(read);
        let read = self.read(events);
        self.ended = !matches!(read, Ok(Continue(())));
        read.map(|_| ())
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let rest = self.splitter.rest();
        // A failure that is told instead of a stream.
        if let Some(error) = UpstreamError::within(&rest) {
            events.push(StreamEvent::Error(error));
            return Ok(());
        }
        let Some(frames) = self.reader.of_whole(&rest) else {
            return self.reader.close(rest, events);
        };
        for frame in frames {
            if self.reader.read(frame, events)?.is_break() {
                return Ok(());
            }
        }
        self.reader.close(Bytes::new(), events)
    }
}

/// The last frame of a stream that closed without the blank line behind it.
pub(crate) fn ended(rest: &Bytes) -> Bytes {
    Bytes::from([rest.trim_ascii_end(), b"\n\n"].concat())
}
