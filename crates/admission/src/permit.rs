//! The right to one request: holds what its limits gave, and ends in one settlement or void.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use dunlin_consensus::ProposeError;
use dunlin_journal::SpendRecord;
use dunlin_ledger::Held;
use dunlin_state::{Command, Key, Reply};
use dunlin_types::{NanoUsd, PotId, RequestId, Tokens, UnixMillis};
use tracing::warn;

use crate::limits::{Reservation, Under};
use crate::money::Hold;
use crate::refusal::{LimitStatus, Refusal};
use crate::slots::Slot;
use crate::{Admission, Demand, Shared};

/// A claim whose answer was lost is made again so much later.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A finished background response or batch: it is charged once, whichever node finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Names the thing, the same on every node.
    pub request: RequestId,
    /// When it was made.
    pub made: UnixMillis,
    /// Whether its tokens count against the limits of a minute.
    pub limited: bool,
}

/// An admitted request. Dropped, it is void: what was reserved comes back, nothing is charged.
#[must_use = "a permit that is dropped is void"]
pub struct Permit {
    pub(crate) admission: Admission,
    pub(crate) key: Option<Arc<Key>>,
    pub(crate) reservation: Option<Reservation>,
    /// Of the limits for the model it turned to.
    pub(crate) turned: Option<Reservation>,
    pub(crate) hold: Hold,
    pub(crate) entry: Option<Entry>,
    /// Its place among the requests of this node.
    pub(crate) slot: Slot,
}

/// The place of a request among what a deployment may be sent. Dropped before it was begun, it was
/// never taken; after that, the request ended there without an answer.
#[must_use = "an entry that is dropped is given back"]
pub struct Entry {
    pub(crate) reservation: Option<Reservation>,
    pub(crate) hold: Option<Hold>,
}

impl Entry {
    /// The request is about to be sent there: from here on it counts.
    pub fn begin(&mut self) {
        if let Some(reservation) = &mut self.reservation {
            reservation.begin();
        }
    }

    /// Nothing is spent by being there: it holds its place alone.
    pub fn spend_nothing(&mut self) {
        self.hold = None;
    }
}

impl Permit {
    /// The key that was let in; `None` for the master key.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.key.as_deref()
    }

    /// How far the limits are used with this request.
    #[must_use]
    pub fn limits(&self) -> &[LimitStatus] {
        self.reservation.as_ref().map_or(&[], Reservation::status)
    }

    /// Where the cost will go: each pot, and the period in which the request was admitted.
    #[must_use]
    pub fn charged(&self) -> &[(PotId, UnixMillis)] {
        self.hold.charged()
    }

    /// What it holds of each budget.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let there = self.entry.as_ref().and_then(|entry| entry.hold.as_ref());
        iter::once(&self.hold).chain(there).flat_map(Hold::held).collect()
    }

    /// The request is about to be sent: from here on it counts for limits of requests, whatever
    /// becomes of it.
    pub fn begin(&mut self) {
        if let Some(reservation) = &mut self.reservation {
            reservation.begin();
        }
    }

    /// What was about to be sent is no request by itself: all that it took comes back.
    pub fn undo(mut self) {
        if let Some(reservation) = &mut self.reservation {
            reservation.undo();
        }
    }

    /// The request is about to be tried at the model of `demand`, at what that may cost there: it holds
    /// of the budgets and takes of the limits that are for that model alone, and no longer of those
    /// that were for the one before.
    ///
    /// # Errors
    /// [`Refusal`]: it is not to be tried there.
    pub async fn turn_to(&mut self, demand: &Demand) -> Result<(), Refusal> {
        let rules = self.admission.0.rules.load_full();
        let is_other = demand.served != *self.hold.served();
        if !is_other || self.key.is_none() {
            let payers = is_other.then(Vec::new);
            return self.hold.turn_to(demand, payers).await;
        }
        let payers = self.admission.payers_at(self.hold.payers(), demand, &rules);
        // First the limits: where they refuse, it has not turned, and is asked about them again.
        let under = Under::model(&payers, &rules);
        let mut turned = self.admission.0.limits.reserve(under, demand).await?;
        self.hold.turn_to(demand, Some(payers)).await?;
        turned.begin();
        if let Some(reservation) = &mut self.reservation {
            reservation.leave_model();
        }
        // What it took at the last fallback counts there as one request.
        self.turned = Some(turned);
        Ok(())
    }

    /// The request is about to be sent where this is its place.
    pub fn enter(&mut self, entry: Option<Entry>) {
        self.entry = entry;
    }

    /// It was not answered there.
    pub fn leave(&mut self) {
        self.entry = None;
    }

    /// Puts the request on record and gives back what it did not use. The record survives a kill of
    /// this process from here on; while the disk takes none it is charged all the same, waits, and is
    /// said to. Returns what its key has spent with it.
    pub fn settle(self, record: SpendRecord) -> Option<NanoUsd> {
        self.conclude(record, None)
    }

    /// Puts on record that something was made which is not finished, and is charged when it is `found`
    /// so: what it may cost is held until then.
    pub fn settle_awaiting(self, found: Found, record: SpendRecord) -> Option<NanoUsd> {
        self.conclude(record, Some(found))
    }

    /// The same without a record of its making: its client did not wait for that.
    pub fn leave_awaiting(self, found: Found) {
        let there = self.entry.and_then(|entry| entry.hold);
        self.admission.0.money.await_found(found, iter::once(self.hold).chain(there));
    }

    fn conclude(self, mut record: SpendRecord, awaited: Option<Found>) -> Option<NanoUsd> {
        let Self { admission, key, reservation, turned, hold, entry, slot: _over } = self;
        let shared = &admission.0;
        let (there, held_there) = entry.map_or((None, None), |e| (e.reservation, e.hold));
        record.charged = hold.charged().to_vec();
        match &held_there {
            Some(held) => record.charged.extend_from_slice(held.charged()),
            None => record.charged.extend(shared.money.charged_at(&record)),
        }
        for reservation in [reservation, turned, there].into_iter().flatten() {
            reservation.settle(record.prompt, record.cached, record.completion);
        }
        let record = Arc::new(record);
        let holds = iter::once(hold).chain(held_there);
        admission.put_on_record(Arc::clone(&record), |number| match awaited {
            None => holds.for_each(|hold| hold.settle(record.cost, number)),
            Some(found) => shared.money.await_found(found, holds),
        });
        if let Some(key) = &key
            && record.completion > Tokens(0)
        {
            admission.outputs().learn(key.id, &record.model, record.completion);
        }
        key.map(|key| admission.key_spend(&key))
    }

    /// Puts the request on record: as `charged` if nobody has charged what was found, else as
    /// `free`. In the background, for the cluster is asked; a node that stops waits for it. What
    /// the cluster cannot be asked about is left to the next one who finds it; a node that is
    /// killed after the cluster was asked and before it is on record leaves it uncharged.
    pub fn settle_found(mut self, found: Found, charged: SpendRecord, free: SpendRecord) {
        if !found.limited {
            // Dropped, it gives back what it took.
            (self.reservation, self.turned) = (None, None);
        }
        if self.admission.is_charged(found) {
            self.settle(free);
            return;
        }
        let tasks = self.admission.0.tasks.clone();
        tasks.spawn(async move {
            let is_first = self.admission.claim(found).await;
            if is_first == Some(true) {
                let admission = self.admission.clone();
                self.settle(charged);
                admission.0.money.void_awaited(found);
            } else {
                self.settle(free);
            }
        });
    }
}

impl Admission {
    /// Records a finished background response or batch, unless that was done, once its readers have
    /// been answered: `records` say who pays for which part. True if it is on record, whoever recorded
    /// it; false if the cluster could not be asked.
    pub async fn charge(&self, found: Found, records: Vec<SpendRecord>) -> bool {
        if self.is_charged(found) {
            return true;
        }
        let admission = self.clone();
        // Whoever waits for it may leave: once it is claimed, nobody else will charge it.
        let charging = self.0.tasks.spawn(async move {
            let Some(is_first) = admission.claim(found).await else { return false };
            if !is_first {
                return true;
            }
            let money = &admission.0.money;
            // What several pay for is not what was held: that is free once its own part is settled.
            let is_alone = records.len() == 1;
            let has_own_part = records.iter().any(|record| record.request == found.request);
            for mut record in records {
                let cost = record.cost;
                record.charged.extend(money.charged_at(&record));
                admission.put_on_record(Arc::new(record), |number| {
                    if is_alone {
                        money.settle_awaited(found, cost, number);
                    }
                });
            }
            if !has_own_part {
                money.void_awaited(found);
            }
            true
        });
        charging.await.unwrap_or(false)
    }

    /// Writes a record, or has it wait until the disk takes it; `charge` is told the number under
    /// which its cost counts until it is settled.
    fn put_on_record(&self, record: Arc<SpendRecord>, charge: impl FnOnce(u64)) {
        let Shared { journal, backlog, unsettled, clock, .. } = &*self.0;
        match journal.append(&record) {
            Ok(number) => {
                unsettled.add(number, &record);
                charge(number);
            }
            Err(error) => {
                let number = backlog.number();
                charge(number);
                backlog.add(number, record, &error, clock.mono());
            }
        }
    }

    /// Whether who asks is the one to charge it; `None` if the cluster cannot be asked. Where the
    /// answer is lost it is asked for again, for the claim may have been granted.
    async fn claim(&self, Found { request, made, .. }: Found) -> Option<bool> {
        let by = Some(rand::random());
        loop {
            let error = match self.0.consensus.propose(Command::Claim { request, made, by }).await {
                Ok(reply) => return Some(reply == Reply::Done),
                Err(error) => error,
            };
            warn!(request.id = %request, %error, "cannot yet claim the spend of a finished background response or batch");
            if !matches!(error, ProposeError::Unknown { .. }) {
                return None;
            }
            tokio::time::sleep(ASKED_AGAIN_AFTER).await;
        }
    }
}
