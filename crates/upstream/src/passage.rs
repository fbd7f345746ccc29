//! The bytes of an answer that passes as it comes, whose end tells how its backend is.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dunlin_providers::ProviderError;
use dunlin_router::Outcome;

use crate::pieces::Pieces;
use crate::stream::Ending;
use crate::upload::Progress;

/// The bytes of one answer. Dropping it cancels it upstream.
pub struct Passage {
    held: Option<Bytes>,
    /// `None`: what is held is all.
    pieces: Option<Pieces>,
    /// What a whole answer says of the backend.
    pub(crate) outcome: Outcome,
    pub(crate) ending: Option<Ending>,
    /// Of a body that may still be on its way.
    pub(crate) upload: Option<Arc<Progress>>,
}

impl Passage {
    /// One whose end says `outcome`, if it is whole.
    pub(crate) fn new(pieces: Pieces, outcome: Outcome) -> Self {
        Self { held: None, pieces: Some(pieces), outcome, ending: None, upload: None }
    }

    /// One that begins with what is held, or is no more than that.
    pub(crate) fn held(held: Bytes, rest: Option<Pieces>) -> Self {
        let (held, outcome) = (Some(held), Outcome::Success);
        Self { held, pieces: rest, outcome, ending: None, upload: None }
    }

    /// Whether nothing more will come: an answer of a known length is over with its last byte.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.held.is_none() && self.pieces.as_ref().is_none_or(Pieces::are_over)
    }

    /// All of it, if it is at hand.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        let whole = if self.pieces.is_none() { self.held.take() } else { None }?;
        self.tell(self.outcome);
        Some(whole)
    }

    /// The next bytes; `None` at the end. An error means that it broke off.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, ProviderError>>> {
        let next = match (self.held.take(), &mut self.pieces) {
            (Some(held), _) => Some(Ok(held)),
            (None, Some(pieces)) => ready!(pieces.poll_next(cx)),
            (None, None) => None,
        };
        match &next {
            Some(Ok(_)) if !self.is_over() => {}
            Some(Ok(_)) | None => self.tell(self.outcome),
            // It says nothing of the backend that a client goes away.
            Some(Err(_)) if self.upload.as_ref().is_some_and(|upload| upload.fault().is_some()) => {
                self.ending = None;
            }
            Some(Err(_)) => self.tell(Outcome::Broken),
        }
        Poll::Ready(next)
    }

    fn tell(&mut self, outcome: Outcome) {
        if let Some(ending) = self.ending.take() {
            ending.tell(outcome);
        }
    }
}
