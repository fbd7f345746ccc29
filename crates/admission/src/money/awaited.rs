//! What things may cost that nobody waits for, such as responses in the background and batches: held
//! from when they are made until what they cost is settled, so that no budget is spent twice
//! meanwhile.
//!
//! It is held by the node that made them. Whoever charges them, what is held ends with the state in
//! which their cost is: no look at the budgets finds both of them, or neither.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dunlin_ledger::Purses;
use dunlin_state::State;
use dunlin_types::{MonoMillis, NanoUsd, PotId, RequestId, UnixMillis};

use super::{Hold, Money};
use crate::{Admission, Found};

/// Things that one node holds for at once. What is made beyond them is charged, and not held for.
const MAX_AWAITED: usize = 10_000;
/// So soon after it was made nothing is given up: whoever asks after it may not have begun. The same
/// after it was claimed: whoever did has it to settle.
const NEW_FOR: Duration = Duration::from_secs(10);

/// Things that are held for.
#[derive(Default)]
pub(super) struct Things {
    count: AtomicUsize,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    things: BTreeMap<RequestId, Thing>,
    /// A state in which none of them is settled.
    seen: Option<Arc<State>>,
}

struct Thing {
    made: UnixMillis,
    since: MonoMillis,
    /// When it was first seen to be claimed and not settled.
    claimed: Option<MonoMillis>,
    held: Vec<Charged>,
}

/// Something that is held for in the purses, and what its cost is charged to. Dropped, it is held for.
pub(super) struct Charged {
    request: RequestId,
    pots: Vec<(PotId, UnixMillis)>,
}

impl Things {
    /// False if there is no room for it.
    fn insert(&self, request: RequestId, thing: Thing) -> bool {
        let mut all = self.all();
        let has_room = all.things.len() < MAX_AWAITED;
        if has_room {
            all.things.insert(request, thing);
            all.seen = None;
            self.count(&all);
        }
        has_room
    }

    fn remove(&self, request: RequestId) -> Vec<Charged> {
        let mut all = self.all();
        let thing = all.things.remove(&request);
        self.count(&all);
        thing.map_or_else(Vec::new, |thing| thing.held)
    }

    /// Frees what is held for things whose cost this state has.
    pub(super) fn void_settled(&self, state: &Arc<State>, purses: &mut Purses) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut all = self.all();
        let before = all.seen.replace(Arc::clone(state));
        if before.is_some_and(|before| before.has_same_claims(state)) {
            return;
        }
        let is_settled = |request: &RequestId, thing: &mut Thing| {
            state.is_claimed(*request, thing.made) && !state.is_claim_unsettled(*request)
        };
        for (_, thing) in all.things.extract_if(.., is_settled) {
            thing.held.iter().for_each(|held| purses.void(held.request));
        }
        self.count(&all);
    }

    /// Those that nobody asks after any more.
    fn forgotten(
        &self,
        state: &State,
        is_asked_after: impl Fn(RequestId) -> bool,
        now: MonoMillis,
    ) -> Vec<Charged> {
        let is_over = |request: &RequestId, thing: &mut Thing| {
            let is_claimed = state.is_claim_unsettled(*request);
            let claimed = is_claimed.then(|| *thing.claimed.get_or_insert(now));
            now.since(claimed.unwrap_or(thing.since)) >= NEW_FOR && !is_asked_after(*request)
        };
        let mut all = self.all();
        let over: Vec<_> = all.things.extract_if(.., is_over).collect();
        self.count(&all);
        over.into_iter().flat_map(|(_, thing)| thing.held).collect()
    }

    fn count(&self, all: &All) {
        self.count.store(all.things.len(), Ordering::Release);
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().expect("no code panics while it holds what is awaited")
    }
}

impl Hold {
    /// What it holds, if anything, is held on for.
    pub(super) fn leave(mut self) -> Option<Charged> {
        let pots = take(&mut self.charged);
        let request = self.about.request;
        take(&mut self.asked).then_some(Charged { request, pots })
    }
}

impl Money {
    /// What is held becomes what it cost.
    pub(super) fn settle_held(&self, held: &Charged, cost: NanoUsd, number: u64) {
        let charge = |(pot, period): &(PotId, UnixMillis)| (pot.clone(), *period, cost);
        let charges: Vec<_> = held.pots.iter().map(charge).collect();
        let mut purses = self.purses();
        purses.settle(held.request, &charges, number);
        self.freed(&purses);
    }

    /// Holds on for `found`.
    pub(crate) fn await_found(&self, found: Found, holds: impl Iterator<Item = Hold>) {
        self.await_all(found, holds.filter_map(Hold::leave).collect());
    }

    /// The same of what is held in the name of what is found.
    pub(super) fn await_held(&self, found: Found, pots: Vec<(PotId, UnixMillis)>) {
        self.await_all(found, vec![Charged { request: found.request, pots }]);
    }

    fn await_all(&self, found: Found, held: Vec<Charged>) {
        let requests: Vec<_> = held.iter().map(|held| held.request).collect();
        let since = self.0.clock.mono();
        let thing = Thing { made: found.made, since, claimed: None, held };
        if !requests.is_empty() && !self.0.awaited.insert(found.request, thing) {
            self.void(requests);
        }
    }

    /// What is held for a thing becomes what it cost, as the journal's record `number` says, or will
    /// say.
    pub(crate) fn settle_awaited(&self, found: Found, cost: NanoUsd, number: u64) {
        for held in self.0.awaited.remove(found.request) {
            self.settle_held(&held, cost, number);
        }
    }

    /// What is held for a thing is free.
    pub(crate) fn void_awaited(&self, found: Found) {
        let held = self.0.awaited.remove(found.request);
        self.void(held.into_iter().map(|held| held.request));
    }

    fn void(&self, requests: impl IntoIterator<Item = RequestId>) {
        let mut purses = self.purses();
        requests.into_iter().for_each(|request| purses.void(request));
        self.freed(&purses);
    }
}

impl Admission {
    /// Gives back what is held for things that nobody asks after any more.
    pub fn release_awaited(&self, is_asked_after: impl Fn(RequestId) -> bool) {
        let (state, now) = (self.0.consensus.state(), self.0.clock.mono());
        let money = &self.0.money;
        let over = money.0.awaited.forgotten(&state, is_asked_after, now);
        money.void(over.into_iter().map(|held| held.request));
    }
}
