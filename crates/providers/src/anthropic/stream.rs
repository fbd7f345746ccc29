//! The decoder of Anthropic's streams, for all providers that send them.

use std::ops::ControlFlow::{self, Break, Continue};

use bytes::Bytes;
use dunlin_llm::StreamEvent;
use dunlin_llm::anthropic::{DeltaReader, FrameReader, frames_of_reply};
use dunlin_llm::form::Delta;

use crate::StreamError;
use crate::frames::{self, Frames, ReadFrame};

/// Reads frames, passed on as they are or taken apart into deltas.
#[derive(Default)]
pub(crate) struct AnthropicStream {
    frames: FrameReader,
    translating: Option<DeltaReader>,
    deltas: Vec<Delta>,
    /// A part of the answer has come.
    has_begun: bool,
    /// It has said why it ends, where that must be said in another dialect.
    has_ended: bool,
}

impl AnthropicStream {
    pub(crate) fn passing() -> Frames<Self> {
        Frames::new(Self::default())
    }

    /// `by_tool`: the answer is to come as the call of a tool.
    pub(crate) fn translating(by_tool: bool) -> Frames<Self> {
        Frames::new(Self { translating: Some(DeltaReader::new(by_tool)), ..Self::default() })
    }

    fn take_apart(
        &mut self,
        event: StreamEvent,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), StreamError> {
        let Some(reader) = &mut self.translating else {
            events.push(event);
            return Ok(());
        };
        match event {
            StreamEvent::Chunk(chunk) => {
                reader.read(&chunk, &mut self.deltas)?;
                self.has_ended |= self.deltas.iter().any(|d| matches!(d, Delta::Finish { .. }));
                events.extend(self.deltas.drain(..).map(StreamEvent::Delta));
            }
            // A ping has data, which clients of other dialects would take for an answer's.
            StreamEvent::Comment(_) => {
                events.push(StreamEvent::Comment(Bytes::from_static(b": ping\n\n")));
            }
            StreamEvent::Done(_) if !self.has_ended => return Err(StreamError::Cut),
            StreamEvent::Done(_) => events.push(StreamEvent::Done(Bytes::new())),
            StreamEvent::Delta(_) | StreamEvent::Error(_) | StreamEvent::Failed(..) => {
                events.push(event)
            }
        }
        Ok(())
    }
}

impl ReadFrame for AnthropicStream {
    fn read(
        &mut self,
        frame: Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<ControlFlow<()>, StreamError> {
        let event = self.frames.read(frame)?;
        let is_last = matches!(event, StreamEvent::Done(_) | StreamEvent::Error(_));
        if matches!(event, StreamEvent::Done(_)) && !self.has_begun {
            return Err(StreamError::Cut);
        }
        self.has_begun |= matches!(event, StreamEvent::Chunk(_));
        self.take_apart(event, events)?;
        Ok(if is_last { Break(()) } else { Continue(()) })
    }

    fn of_whole(&self, body: &[u8]) -> Option<Vec<Bytes>> {
        frames_of_reply(body)
    }

    fn close(&mut self, rest: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        let whole = frames::ended(&rest);
        match FrameReader::default().read(whole.clone()) {
            Ok(StreamEvent::Done(_)) => self.read(whole, events).map(|_| ()),
            _ => Err(StreamError::Cut),
        }
    }
}
