//! What things may cost that nobody waits for, such as responses in the background and batches: held
//! from when they are made until they are charged, so that no budget is spent twice meanwhile.
//!
//! It is held by the node that made them. Where that is killed, they are charged all the same, and no
//! longer held for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use dunlin_types::{MonoMillis, RequestId, UnixMillis};

use crate::money::Hold;
use crate::{Admission, Found};

/// Things that one node holds for at once. What is made beyond them is charged, and not held for.
const MAX_AWAITED: usize = 10_000;
/// So soon after it was made nothing is given up: whoever asks after it may not have begun.
const NEW_FOR: Duration = Duration::from_secs(10);

/// Things that are held for.
#[derive(Default)]
pub(crate) struct Awaited(Mutex<BTreeMap<RequestId, Held>>);

struct Held {
    made: UnixMillis,
    since: MonoMillis,
    holds: Vec<Hold>,
}

impl Awaited {
    /// Holds on for `found`, from `now`.
    pub(crate) fn keep(&self, found: Found, holds: impl Iterator<Item = Hold>, now: MonoMillis) {
        let held = Held { made: found.made, since: now, holds: holds.collect() };
        let mut all = self.all();
        if all.len() < MAX_AWAITED {
            all.insert(found.request, held);
        }
    }

    /// What is held for a thing that is about to be charged.
    pub(crate) fn take(&self, request: RequestId) -> Vec<Hold> {
        self.all().remove(&request).map_or_else(Vec::new, |held| held.holds)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<RequestId, Held>> {
        self.0.lock().expect("no code panics while it holds what is awaited")
    }
}

impl Admission {
    /// Gives back what is held for things that others have charged, or that nobody asks after any more.
    pub fn release_awaited(&self, is_asked_after: impl Fn(RequestId) -> bool) {
        let (state, now) = (self.0.consensus.state(), self.0.clock.mono());
        let is_over = |request: &RequestId, held: &mut Held| {
            let is_new = now.since(held.since) < NEW_FOR;
            state.is_claimed(*request, held.made) || !(is_new || is_asked_after(*request))
        };
        let over: Vec<_> = self.0.awaited.all().extract_if(.., is_over).collect();
        drop(over);
    }
}
