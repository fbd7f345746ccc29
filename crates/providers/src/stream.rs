//! The decoder of OpenAI's streams, which all compatible servers send.

use std::ops::ControlFlow::{self, Break, Continue};

use bytes::Bytes;
use dunlin_llm::edit::renamed;
use dunlin_llm::openai::{Choices, DeltaReader, frames_of_reply, read_frame};
use dunlin_llm::sse::FrameTooLong;
use dunlin_llm::{BadFrame, ChatRequest, StreamEvent, Word, responses};

use crate::frames::{self, Frames, ReadFrame};

/// The longest event of a stream: it may be a picture, or repeat a whole answer.
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
    /// The connection closed before all of the answer had said why it ends.
    #[error("the stream ended before the answer did")]
    Cut,
}

/// Reads frames, and knows when the answer is whole: behind `[DONE]`, or where the connection closes
/// after each choice has said why it ends.
pub(crate) struct OpenAiStream {
    form: Form,
    /// Choices that have not said so.
    open: u64,
    /// Some of an answer has come: the word for the end alone is none.
    has_begun: bool,
    /// One of them has said so.
    has_ended: bool,
}

/// What becomes of frames.
enum Form {
    /// Chunks of a chat pass.
    Passing,
    /// Chunks of a chat are taken apart.
    Translating(Box<DeltaReader>),
    /// Events of a response pass.
    Responses,
}

impl OpenAiStream {
    /// Of an answer to `request` that passes.
    pub(crate) fn passing(request: &ChatRequest) -> Frames<Self> {
        Self::of(Form::Passing, request.choices())
    }

    /// Of an answer to `request` that is taken apart.
    pub(crate) fn translating(request: &ChatRequest) -> Frames<Self> {
        Self::of(Form::Translating(Box::default()), request.choices())
    }

    pub(crate) fn of_responses() -> Frames<Self> {
        Self::of(Form::Responses, 1)
    }

    fn of(form: Form, choices: u32) -> Frames<Self> {
        Frames::new(Self { form, open: choices.into(), has_begun: false, has_ended: false })
    }

    /// Counts the choices that end in what has been read.
    fn count(&mut self, choices: Choices) {
        self.open = self.open.saturating_sub(choices.ended);
        self.has_begun |= choices.any;
        self.has_ended |= choices.ended > 0;
    }

    /// True if the word for the end, come now, would be no end: nothing goes before it, or nothing
    /// tells why, for a client to whom another dialect must say so.
    fn is_cut(&self) -> bool {
        let is_translated = matches!(self.form, Form::Translating(_));
        !self.has_begun || is_translated && !self.has_ended
    }
}

impl ReadFrame for OpenAiStream {
    fn read(
        &mut self,
        frame: Bytes,
        events: &mut Vec<StreamEvent>,
    ) -> Result<ControlFlow<()>, StreamError> {
        let choices = match &mut self.form {
            Form::Responses => {
                responses::read_frame(frame, events)?;
                Choices::default()
            }
            Form::Passing => {
                let event = read_frame(rename_reasoning(frame))?;
                let choices = Choices::of(&event);
                events.push(event);
                choices
            }
            Form::Translating(reader) => reader.read(frame, events)?,
        };
        self.count(choices);
        let is_chat = !matches!(self.form, Form::Responses);
        match events.last() {
            Some(StreamEvent::Done(_)) if is_chat && self.is_cut() => {
                events.pop();
                Err(StreamError::Cut)
            }
            Some(event) if is_last(event) => Ok(Break(())),
            Some(_) | None => Ok(Continue(())),
        }
    }

    fn of_whole(&self, body: &[u8]) -> Option<Vec<Bytes>> {
        match self.form {
            Form::Responses => None,
            Form::Passing | Form::Translating(_) => frames_of_reply(body),
        }
    }

    fn close(&mut self, rest: Bytes, events: &mut Vec<StreamEvent>) -> Result<(), StreamError> {
        if matches!(self.form, Form::Responses) {
            return Err(StreamError::Cut);
        }
        // Some servers close right behind the word, without the blank line.
        let rest = rest.trim_ascii();
        if rest != b"data: [DONE]" {
            // Half a frame is a cut, not nonsense.
            if !rest.is_empty() {
                let last = frames::ended(&Bytes::copy_from_slice(rest));
                if self.read(last, events).map_err(|_| StreamError::Cut)?.is_break() {
                    return Ok(());
                }
            }
            if self.open > 0 {
                return Err(StreamError::Cut);
            }
        }
        if self.is_cut() {
            return Err(StreamError::Cut);
        }
        events.push(StreamEvent::Done(Bytes::from_static(b"data: [DONE]\n\n")));
        Ok(())
    }
}

/// An answer whose thoughts, at `path`, are under the name that clients know: newer servers, such as
/// vLLM, and clouds of several models call them `reasoning`.
pub(crate) fn with_known_thoughts(answer: Bytes, path: &str) -> Bytes {
    match has_thoughts(&answer) {
        true => renamed(answer, path, "reasoning_content"),
        false => answer,
    }
}

static REASONING: Word = Word::new(br#""reasoning""#);

fn has_thoughts(answer: &[u8]) -> bool {
    REASONING.is_in(answer)
}

/// The same of a frame. Those of several lines, which nobody sends, stay as they are.
fn rename_reasoning(frame: Bytes) -> Bytes {
    if !has_thoughts(&frame) {
        return frame;
    }
    let (Some(start), Some(end)) =
        (frame.iter().position(|byte| *byte == b'{'), frame.iter().rposition(|byte| *byte == b'}'))
    else {
        return frame;
    };
    if !frame.starts_with(b"data:") || end < start {
        return frame;
    }
    let data = frame.slice(start..=end);
    let renamed = with_known_thoughts(data.clone(), "choices[*].delta.reasoning");
    if renamed.as_ptr() == data.as_ptr() {
        return frame;
    }
    Bytes::from([&frame[..start], &renamed, &frame[end + 1..]].concat())
}

fn is_last(event: &StreamEvent) -> bool {
    matches!(event, StreamEvent::Done(_) | StreamEvent::Error(_) | StreamEvent::Failed(..))
}
