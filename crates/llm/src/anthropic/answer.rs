//! An answer that comes as the call of a tool: the tool's arguments are its words, and what the model
//! says beside them is none of it.

use super::JSON_TOOL;
use crate::form::{Delta, Part, PartKind};

/// The most words that wait for the call, in bytes. Beyond it they are taken for the answer.
const MAX_HELD_BYTES: u64 = 4 << 20;

/// Makes the first call of the tool the answer. False: there is none, and the words are.
pub fn answer_in_json(parts: &mut Vec<Part>) -> bool {
    let is_call =
        |part: &Part| matches!(&part.kind, PartKind::ToolCall(call) if call.name == JSON_TOOL);
    if !parts.iter().any(is_call) {
        return false;
    }
    let mut is_given = false;
    parts.retain_mut(|part| match &mut part.kind {
        PartKind::ToolCall(call) if call.name == JSON_TOOL => {
            part.kind = PartKind::Text(std::mem::take(&mut call.arguments));
            !std::mem::replace(&mut is_given, true)
        }
        PartKind::Text(_) => false,
        PartKind::Refusal(_)
        | PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::Thinking { .. }
        | PartKind::RedactedThinking(_)
        | PartKind::ToolCall(_)
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => true,
    });
    true
}

/// The same of a stream: words wait until the tool is called, or it is known that it is not.
#[derive(Debug, Default)]
pub struct JsonAnswer {
    state: State,
    held: Vec<Delta>,
    held_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No call is expected: words are the answer.
    #[default]
    Spoken,
    /// A call may come.
    Expected,
    /// It has begun.
    Called,
}

impl JsonAnswer {
    /// `expected`: the model has the tool.
    #[must_use]
    pub fn new(expected: bool) -> Self {
        let state = if expected { State::Expected } else { State::Spoken };
        Self { state, ..Self::default() }
    }

    /// The tool is called. True if it is this call that is the answer.
    pub fn call(&mut self) -> bool {
        self.held.clear();
        std::mem::replace(&mut self.state, State::Called) != State::Called
    }

    /// The model says something, or something is said of its words.
    pub fn say(&mut self, delta: Delta, on: &mut impl FnMut(Delta)) {
        match self.state {
            State::Spoken => on(delta),
            State::Called => {}
            State::Expected => {
                self.held_bytes += delta.text_bytes();
                self.held.push(delta);
                if self.held_bytes > MAX_HELD_BYTES {
                    self.end(on);
                }
            }
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self, on: &mut impl FnMut(Delta)) {
        if self.state == State::Expected {
            self.state = State::Spoken;
        }
        self.held.drain(..).for_each(on);
    }
}
