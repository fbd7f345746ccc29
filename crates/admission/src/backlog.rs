//! Spend that the disk does not take. Its budgets are charged all the same, and its records wait in
//! memory until the disk takes them: a full disk must not make spent money free again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dunlin_journal::{Error, SpendRecord};
use dunlin_ledger::UNRECORDED;
use dunlin_types::{EntityId, Line, MonoMillis, NanoUsd, Seldom};
use tracing::{error, info};

use crate::Admission;

/// Records that wait. Those beyond are never written; what they cost stays charged on this node for as
/// long as it runs.
const MAX_WAITING: usize = 10_000;
/// How often it is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How often it is said that the disk takes nothing.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What is charged and not on record.
#[derive(Default)]
pub(crate) struct Backlog {
    waiting: Mutex<Waiting>,
    told: Mutex<Seldom>,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<(u64, Arc<SpendRecord>)>,
    /// Numbers that were given out.
    numbered: u64,
    lost: u64,
    /// Of everything each entity spends.
    spent: BTreeMap<EntityId, NanoUsd>,
}

impl Backlog {
    /// Under which number something is charged that has no record.
    pub(crate) fn number(&self) -> u64 {
        let mut waiting = self.waiting();
        waiting.numbered += 1;
        UNRECORDED + waiting.numbered
    }

    /// A record that was charged under `number` waits until it can be written, if it ever can.
    pub(crate) fn add(&self, number: u64, record: Arc<SpendRecord>, why: &Error, now: MonoMillis) {
        let request = record.request;
        let mut waiting = self.waiting();
        waiting.charge(&record);
        let may_be_written = !matches!(why, Error::TooLong { .. });
        let is_lost = !may_be_written || waiting.records.len() >= MAX_WAITING;
        if is_lost {
            waiting.lost += 1;
        } else {
            waiting.records.push_back((number, record));
        }
        let (records, lost) = (waiting.records.len(), waiting.lost);
        drop(waiting);
        if may_be_written
            && !self.told.lock().expect("no panic while it is held").is_due(now, TELL_EVERY)
        {
            return;
        }
        error!(
            request.id = %request, error = %why, waiting = records, lost,
            "spend is not on record: it is charged, and lost if this node stops; free disk space"
        );
    }

    /// What an entity has spent that is on no record.
    pub(crate) fn of(&self, entity: EntityId) -> NanoUsd {
        self.waiting().spent.get(&entity).copied().unwrap_or_default()
    }

    /// How many wait, and how many never can be written.
    pub(crate) fn figures(&self) -> (usize, u64) {
        let waiting = self.waiting();
        (waiting.records.len(), waiting.lost)
    }

    /// Writes what waits, oldest first, up to the first that cannot be; for one writer. `recorded`
    /// is told of each the number under which it was charged, and that of its record.
    pub(crate) fn write(
        &self,
        append: impl Fn(&Arc<SpendRecord>) -> Result<u64, Error>,
        mut recorded: impl FnMut(u64, u64, &SpendRecord),
    ) {
        let mut written = 0_usize;
        loop {
            let Some((number, record)) = self.waiting().records.front().cloned() else { break };
            let Ok(seq) = append(&record) else { break };
            recorded(number, seq, &record);
            let mut waiting = self.waiting();
            waiting.records.pop_front();
            waiting.discharge(&record);
            written += 1;
        }
        if written > 0 {
            let (waiting, _) = self.figures();
            info!(written, waiting, "the disk takes records again: what was charged is on record");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while it is held")
    }
}

impl Waiting {
    fn charge(&mut self, record: &SpendRecord) {
        for entity in spenders(record) {
            *self.spent.entry(entity).or_default() += record.cost;
        }
    }

    fn discharge(&mut self, record: &SpendRecord) {
        for entity in spenders(record) {
            let Some(spent) = self.spent.get_mut(&entity) else { continue };
            spent.0 = spent.0.saturating_sub(record.cost.0);
            if *spent == NanoUsd::ZERO {
                self.spent.remove(&entity);
            }
        }
    }
}

/// Those from whose main pot it is spent.
fn spenders(record: &SpendRecord) -> impl Iterator<Item = EntityId> {
    record.charged.iter().filter(|(pot, _)| pot.line == Line::Main).map(|(pot, _)| pot.of)
}

/// Tries again, for ever.
pub(crate) async fn run(admission: Admission) {
    let mut ticks = tokio::time::interval(RETRY_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let shared = &*admission.0;
        let append = |record: &Arc<SpendRecord>| shared.journal.append(record);
        shared.backlog.write(append, |before, number, record| {
            shared.money.recorded(before, number);
            shared.unsettled.add(number, record);
        });
    }
}

#[cfg(test)]
mod tests;
