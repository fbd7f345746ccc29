//! The decoder of Anthropic's streams, for all providers that send them.

use bytes::Bytes;
use dunlin_llm::StreamEvent;
use dunlin_llm::anthropic::{DeltaReader, FrameReader};
use dunlin_llm::form::Delta;
use dunlin_llm::sse::Splitter;

use crate::{StreamDecoder, StreamError};

/// Reads frames, passed on as they are or taken apart into deltas.
#[derive(Default)]
pub(crate) struct AnthropicStream {
    splitter: Splitter,
    frames: FrameReader,
    translating: Option<DeltaReader>,
    deltas: Vec<Delta>,
    /// A part of the answer has come.
    has_begun: bool,
    /// The answer is whole, or can no longer become it. What follows is not looked at.
    ended: bool,
}

impl AnthropicStream {
    pub(crate) fn passing() -> Self {
        Self::default()
    }

    pub(crate) fn translating() -> Self {
        Self { translating: Some(DeltaReader::default()), ..Self::default() }
    }

    fn read(&mut self, frame: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        let event = self.frames.read(frame)?;
        self.ended = matches!(event, StreamEvent::Done(_) | StreamEvent::Error(_));
        if matches!(event, StreamEvent::Done(_)) && !self.has_begun {
            return Err(StreamError::Cut);
        }
        self.has_begun |= matches!(event, StreamEvent::Chunk(_));
        let Some(reader) = &mut self.translating else {
            events.push(event);
            return Ok(());
        };
        match event {
            StreamEvent::Chunk(chunk) => {
                reader.read(&chunk, &mut self.deltas)?;
                events.extend(self.deltas.drain(..).map(StreamEvent::Delta));
            }
            // A ping has data, which clients of other dialects would take for an answer's.
            StreamEvent::Comment(_) => {
                events.push(StreamEvent::Comment(Bytes::from_static(b": ping\n\n")));
            }
            StreamEvent::Done(_) => events.push(StreamEvent::Done(Bytes::new())),
            StreamEvent::Delta(_) | StreamEvent::Error(_) | StreamEvent::Failed(..) => {
                events.push(event)
            }
        }
        Ok(())
    }
}

impl StreamDecoder for AnthropicStream {
    fn push(&mut self, read: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        self.splitter.push(read);
        let mut read = Ok(());
        while !self.ended && read.is_ok() {
            read = match self.splitter.next_frame() {
                Ok(Some(frame)) => self.read(frame, events),
                Ok(None) => break,
                Err(error) => Err(error.into()),
            };
        }
        self.ended |= read.is_err();
        read
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        // The last frame may lack the blank line behind it.
        let rest = self.splitter.rest();
        let whole = [rest.trim_ascii_end(), b"\n\n"].concat();
        if let Ok(StreamEvent::Done(_)) = FrameReader::default().read(Bytes::from(whole.clone())) {
            return self.read(Bytes::from(whole), events);
        }
        Err(StreamError::Cut)
    }
}
