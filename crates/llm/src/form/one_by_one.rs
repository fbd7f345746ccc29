//! One item after the other. Some servers mix the pieces of parallel calls, or speak in the midst of
//! a call; clients of Anthropic's messages and of OpenAI's responses read one item at a time.

use std::collections::VecDeque;

use super::{Delta, Extent};

/// The most that may wait for the end of a call, in bytes. Beyond it nothing waits any more.
const MAX_HELD_BYTES: usize = 4 << 20;

/// Holds back what begins before a call's arguments are whole.
#[derive(Default)]
pub(crate) struct OneByOne {
    open: Option<Open>,
    held: VecDeque<Held>,
    held_bytes: usize,
}

struct Open {
    call: u32,
    arguments: Extent,
}

/// What waits, and, if it is a call, what has come of its arguments.
struct Held {
    delta: Delta,
    arguments: String,
}

impl OneByOne {
    /// Hands on whatever it is the turn of.
    pub(crate) fn push(&mut self, delta: Delta, mut on: impl FnMut(Delta)) {
        match &delta {
            Delta::Arguments { choice: 0, call, text } => {
                let Some(open) = self.open.as_mut().filter(|open| open.call == *call) else {
                    return self.hold_arguments(*call, text, on);
                };
                open.arguments.read(text);
                let is_whole = open.arguments.is_whole();
                on(delta);
                if is_whole {
                    self.hand_on(on);
                }
            }
            Delta::ToolCall { choice: 0, .. }
            | Delta::Text { choice: 0, .. }
            | Delta::Refusal { choice: 0, .. }
            | Delta::Thinking { choice: 0, .. }
            | Delta::Signature { choice: 0, .. }
            | Delta::RedactedThinking { choice: 0, .. }
            | Delta::Citation { choice: 0, .. }
            | Delta::Logprobs { choice: 0, .. } => {
                if self.waits() {
                    return self.hold(delta, on);
                }
                self.open = Open::of(&delta);
                on(delta);
            }
            Delta::Media { choice: 0, .. } | Delta::Finish { choice: 0, .. } => {
                self.release(&mut on);
                on(delta);
            }
            Delta::Start { .. }
            | Delta::Text { .. }
            | Delta::Refusal { .. }
            | Delta::Thinking { .. }
            | Delta::Signature { .. }
            | Delta::RedactedThinking { .. }
            | Delta::Media { .. }
            | Delta::ToolCall { .. }
            | Delta::Arguments { .. }
            | Delta::Logprobs { .. }
            | Delta::Citation { .. }
            | Delta::Finish { .. }
            | Delta::Usage(_)
            | Delta::Served(_) => on(delta),
        }
    }

    /// Hands on all that waits: no more comes of any call.
    pub(crate) fn release(&mut self, mut on: impl FnMut(Delta)) {
        self.open = None;
        while !self.held.is_empty() {
            self.hand_on(&mut on);
        }
    }

    fn waits(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.arguments.is_whole())
    }

    /// Hands on what waits, as far as the next call that is not whole.
    fn hand_on(&mut self, mut on: impl FnMut(Delta)) {
        while let Some(Held { delta, arguments }) = self.held.pop_front() {
            self.held_bytes = self.held_bytes.saturating_sub(weight(&delta) + arguments.len());
            self.open = Open::of(&delta);
            on(delta);
            let Some(open) = &mut self.open else { continue };
            open.arguments.read(&arguments);
            let (call, is_whole) = (open.call, open.arguments.is_whole());
            if !arguments.is_empty() {
                on(Delta::Arguments { choice: 0, call, text: arguments });
            }
            if !is_whole {
                return;
            }
        }
    }

    fn hold(&mut self, delta: Delta, on: impl FnMut(Delta)) {
        self.held_bytes += weight(&delta);
        self.held.push_back(Held { delta, arguments: String::new() });
        self.bound(on);
    }

    /// More of a call that waits; what is of no such call is of one that is over, or of none.
    fn hold_arguments(&mut self, call: u32, text: &str, on: impl FnMut(Delta)) {
        let is_it =
            |held: &Held| matches!(held.delta, Delta::ToolCall { call: of, .. } if of == call);
        let Some(held) = self.held.iter_mut().find(|held| is_it(held)) else { return };
        held.arguments.push_str(text);
        self.held_bytes += text.len();
        self.bound(on);
    }

    fn bound(&mut self, on: impl FnMut(Delta)) {
        if self.held_bytes > MAX_HELD_BYTES {
            self.release(on);
        }
    }
}

impl Open {
    fn of(delta: &Delta) -> Option<Self> {
        let Delta::ToolCall { call, .. } = delta else { return None };
        Some(Self { call: *call, arguments: Extent::default() })
    }
}

/// What it takes to hold it, about.
fn weight(delta: &Delta) -> usize {
    let text = match delta {
        Delta::Text { text, .. }
        | Delta::Refusal { text, .. }
        | Delta::Thinking { text, .. }
        | Delta::Arguments { text, .. } => text.len(),
        Delta::Signature { signature, .. } => signature.len(),
        Delta::RedactedThinking { data, .. } => data.len(),
        Delta::ToolCall { id, name, .. } => id.len() + name.len(),
        Delta::Citation { .. } | Delta::Logprobs { .. } => 1 << 10,
        Delta::Start { .. }
        | Delta::Media { .. }
        | Delta::Finish { .. }
        | Delta::Usage(_)
        | Delta::Served(_) => 0,
    };
    text + size_of::<Delta>()
}
