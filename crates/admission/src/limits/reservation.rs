//! What a request holds of its limits, until it ends or is undone.

use dunlin_limiter::{Remaining, Taken};
use dunlin_types::Tokens;

use super::Limits;
use super::scopes::is_of_model;
use crate::Counted;
use crate::refusal::{LimitScope, LimitStatus};

/// What one scope gave. Dropped, it was never taken.
pub(super) struct Part {
    limits: Limits,
    taken: Option<Taken>,
    remaining: Remaining,
}

impl Part {
    pub(super) fn new(limits: Limits, taken: Taken, remaining: Remaining) -> Self {
        Self { limits, taken: Some(taken), remaining }
    }

    fn end(mut self, used: u64) {
        if let Some(taken) = self.taken.take() {
            self.limits.ended(&taken, used);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.limits.voided(&taken);
        }
    }
}

/// What a request holds of all its limits. Dropped before it was [begun](Self::begin), it took
/// nothing; after that, no tokens.
pub(crate) struct Reservation {
    parts: Vec<Held>,
    status: Vec<LimitStatus>,
    begun: bool,
}

/// What a request holds of one limit.
struct Held {
    /// `None`: of a deployment's.
    of: Option<LimitScope>,
    /// The tokens that count there.
    counted: Counted,
    part: Part,
}

impl Reservation {
    pub(super) fn new(parts: Vec<(LimitScope, Part)>, counted: Counted) -> Self {
        let status = parts.iter().flat_map(|(of, part)| {
            let each = part.remaining.0.iter();
            each.map(|(what, limit, remaining)| LimitStatus {
                of: *of,
                what: *what,
                limit: *limit,
                remaining: *remaining,
            })
        });
        let status = status.collect();
        let parts = parts.into_iter().map(|(of, part)| Held { of: Some(of), counted, part });
        let parts = parts.collect();
        Self { parts, status, begun: false }
    }

    /// Of scopes of which nobody is told what is left.
    pub(super) fn untold(parts: Vec<(Counted, Part)>) -> Self {
        let parts = parts.into_iter().map(|(counted, part)| Held { of: None, counted, part });
        Self { parts: parts.collect(), status: Vec::new(), begun: false }
    }

    /// The limits after this request took of them, in the order in which they are checked.
    pub(crate) fn status(&self) -> &[LimitStatus] {
        &self.status
    }

    /// The request is about to be sent: from here on it counts, whatever becomes of it.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// The request was about to be sent, and is none.
    pub(crate) fn undo(&mut self) {
        self.begun = false;
    }

    /// The request goes on at another model: what it took for this one alone counts, if it was sent,
    /// as a request without tokens.
    pub(crate) fn leave_model(&mut self) {
        for held in self.parts.extract_if(.., |held| held.of.is_some_and(is_of_model)) {
            if self.begun {
                held.part.end(0);
            }
        }
    }

    /// The request is over and used so many tokens. Those that the provider had in its cache are
    /// part of the prompt, and are not counted.
    pub(crate) fn settle(mut self, prompt: Tokens, cached: Tokens, completion: Tokens) {
        let prompt = prompt.0.saturating_sub(cached.0);
        self.end(prompt, completion.0);
    }

    fn end(&mut self, prompt: u64, completion: u64) {
        let parts = self.parts.drain(..);
        parts.for_each(|held| held.part.end(held.counted.of(prompt, completion)));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.begun {
            self.end(0, 0);
        }
    }
}
