//! Parallel calls, one after the other. Some servers mix the pieces of theirs; clients of Anthropic's
//! messages and of OpenAI's responses read one item at a time.

use std::collections::VecDeque;

use super::Delta;

/// The most that calls which wait for another's end may hold, in bytes of arguments. Beyond it none
/// waits any more.
const MAX_HELD_BYTES: usize = 4 << 20;

/// Holds back calls that begin before another one's arguments are whole.
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

struct Held {
    call: u32,
    begins: Delta,
    arguments: String,
}

impl OneByOne {
    /// Hands on whatever it is the turn of. Calls that wait come before whatever is no call.
    pub(crate) fn push(&mut self, delta: Delta, mut on: impl FnMut(Delta)) {
        match &delta {
            Delta::ToolCall { choice: 0, call, .. } => {
                let call = *call;
                if self.open.as_ref().is_some_and(|open| !open.arguments.is_whole()) {
                    let arguments = String::new();
                    self.held.push_back(Held { call, begins: delta, arguments });
                    return;
                }
                self.release(&mut on);
                self.open = Some(Open { call, arguments: Extent::default() });
            }
            Delta::Arguments { choice: 0, call, text } => match &mut self.open {
                Some(open) if open.call == *call => open.arguments.read(text),
                Some(_) | None => return self.hold(*call, text, on),
            },
            Delta::Text { choice: 0, .. }
            | Delta::Refusal { choice: 0, .. }
            | Delta::Thinking { choice: 0, .. }
            | Delta::Signature { choice: 0, .. }
            | Delta::RedactedThinking { choice: 0, .. }
            | Delta::Media { choice: 0, .. }
            | Delta::Finish { choice: 0, .. } => self.release(&mut on),
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
            | Delta::Served(_) => {}
        }
        on(delta);
    }

    /// Hands on all calls that wait: no more comes of the one before.
    pub(crate) fn release(&mut self, mut on: impl FnMut(Delta)) {
        self.open = None;
        self.held_bytes = 0;
        for Held { call, begins, arguments } in self.held.drain(..) {
            on(begins);
            if !arguments.is_empty() {
                on(Delta::Arguments { choice: 0, call, text: arguments });
            }
        }
    }

    /// More of a call that waits; what is of no such call is of one that is over, or of none.
    fn hold(&mut self, call: u32, text: &str, on: impl FnMut(Delta)) {
        let Some(held) = self.held.iter_mut().find(|held| held.call == call) else { return };
        held.arguments.push_str(text);
        self.held_bytes += text.len();
        if self.held_bytes > MAX_HELD_BYTES {
            self.release(on);
        }
    }
}

/// How far a JSON object that comes in pieces has come.
#[derive(Default)]
struct Extent {
    depth: u32,
    is_in_string: bool,
    is_escaped: bool,
    has_closed: bool,
}

impl Extent {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_in_string => self.is_escaped = true,
                b'"' => self.is_in_string = !self.is_in_string,
                _ if self.is_in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.has_closed = self.depth == 0;
                }
                _ => {}
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.has_closed && self.depth == 0
    }
}
