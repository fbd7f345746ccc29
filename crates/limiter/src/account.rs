//! One node's part of a scope: what it admitted in the last minute and what it has open.

use std::collections::BTreeSet;

use dunlin_types::{Epoch, MonoMillis, RequestId};

use crate::bucket::Bucket;
use crate::claim::Amounts;
use crate::ring::ScopeId;

/// What an admitted request took.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taken {
    /// Of whose limits.
    pub scope: ScopeId,
    /// Who took it.
    pub request: RequestId,
    /// Tokens; 0 where they are not limited.
    pub tokens: u64,
    /// Whether it holds a slot.
    pub slot: bool,
    /// When; of a lease, its end.
    pub at: MonoMillis,
    /// The request that brought the lease which it was taken of.
    pub lease: Option<RequestId>,
}

/// One unbroken sequence of reports of a node: its life, and a count within it.
pub(crate) type Run = (Epoch, u64);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    /// The run that told of it. Slots told in another run may have been freed since, unheard.
    pub(crate) run: Run,
    pub(crate) requests: Bucket,
    pub(crate) tokens: Bucket,
    pub(crate) open: BTreeSet<RequestId>,
}

impl Account {
    /// `second` is the slot of `taken.at` by the clock of the account's node.
    pub(crate) fn take(&mut self, taken: &Taken, second: u64) {
        self.requests.take_in(second, 1, taken.at);
        self.tokens.take_in(second, taken.tokens, taken.at);
        if taken.slot {
            self.open.insert(taken.request);
        }
    }

    /// A request ended after `used` tokens: the rest comes back, what was too much is a debt.
    pub(crate) fn end(&mut self, taken: &Taken, second: u64, used: u64, now: MonoMillis) {
        self.open.remove(&taken.request);
        if taken.tokens > used {
            self.tokens.give_back_in(second, taken.tokens - used, now);
        } else if taken.tokens > 0 {
            // The slot is not that of the claim: a debt is as old as it is known.
            let (late, since) = (used - taken.tokens, now.since(taken.at).as_secs());
            self.tokens.take_in(second.saturating_add(since), late, now);
        }
    }

    /// A request is undone: all that it took comes back.
    pub(crate) fn void(&mut self, taken: &Taken, second: u64, now: MonoMillis) {
        self.open.remove(&taken.request);
        self.requests.give_back_in(second, 1, now);
        self.tokens.give_back_in(second, taken.tokens, now);
    }

    pub(crate) fn used(&mut self, now: MonoMillis) -> Amounts {
        Amounts {
            requests: self.requests.taken(now),
            tokens: self.tokens.taken(now),
            parallel: self.open.len() as u64,
        }
    }

    pub(crate) fn is_idle(&mut self, now: MonoMillis) -> bool {
        self.used(now) == Amounts::default()
    }
}
