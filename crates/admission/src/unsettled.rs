//! What this life of the node has recorded and the replicated state does not hold yet: beside what that
//! holds, nothing is missing and nothing counts twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_journal::SpendRecord;
use dunlin_types::{EntityId, Line, NanoUsd};

/// What is recorded and not settled, by everyone who spends it.
#[derive(Default)]
pub(crate) struct Unsettled(Mutex<Open>);

type Sums = BTreeMap<EntityId, NanoUsd>;

#[derive(Default)]
struct Open {
    /// Of the records behind `to`.
    later: Sums,
    /// Their numbers.
    numbers: BTreeSet<u64>,
    /// Of the stretch that was proposed last, which the state holds from the moment it is settled.
    proposed: Sums,
    /// The last record of that stretch.
    to: u64,
    /// Records up to here are known to be settled.
    settled: u64,
}

impl Unsettled {
    /// What an entity has spent beside what a state holds. `settled` reads the number of the last
    /// record that is settled there, out of a state that is published at that moment or later.
    pub(crate) fn of(&self, entity: EntityId, settled: impl FnOnce() -> u64) -> NanoUsd {
        let open = self.open();
        let of = |sums: &Sums| sums.get(&entity).copied().unwrap_or_default();
        // The next stretch is proposed under the lock, once the state holds the one before.
        let proposed = if settled() < open.to { of(&open.proposed) } else { NanoUsd::ZERO };
        of(&open.later) + proposed
    }

    /// The last record of this life that is settled.
    pub(crate) fn settled_through(&self) -> u64 {
        self.open().settled
    }

    /// Counts record `number`, unless the settler was faster.
    pub(crate) fn add(&self, number: u64, record: &SpendRecord) {
        let mut open = self.open();
        if number > open.to && record.cost > NanoUsd::ZERO && open.numbers.insert(number) {
            spenders(record).for_each(|of| *open.later.entry(of).or_default() += record.cost);
        }
    }

    /// The records up to `to` are about to be settled; all before them are.
    pub(crate) fn propose(&self, records: &[(u64, Arc<SpendRecord>)], to: u64) {
        let mut open = self.open();
        let Open { later, numbers, proposed, .. } = &mut *open;
        proposed.clear();
        for (number, record) in records.iter().filter(|(number, _)| *number <= to) {
            let was_counted = numbers.remove(number);
            for of in spenders(record) {
                *proposed.entry(of).or_default() += record.cost;
                if was_counted {
                    take(later, of, record.cost);
                }
            }
        }
        open.to = to;
    }

    /// They are.
    pub(crate) fn settled(&self, through: u64) {
        self.open().settled = through;
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().expect("no code panics while it holds the sums")
    }
}

fn take(sums: &mut Sums, of: EntityId, cost: NanoUsd) {
    let Some(sum) = sums.get_mut(&of) else { return };
    sum.0 = sum.0.saturating_sub(cost.0);
    if *sum == NanoUsd::ZERO {
        sums.remove(&of);
    }
}

/// Those from whose main pot it is spent.
fn spenders(record: &SpendRecord) -> impl Iterator<Item = EntityId> + '_ {
    record.charged.iter().filter(|(pot, _)| pot.line == Line::Main).map(|(pot, _)| pot.of)
}

#[cfg(test)]
mod tests {
    use dunlin_types::{KeyDigest, PotId, UnixMillis};

    use super::*;

    const KEY: EntityId = EntityId(7);

    fn record(cost: u64) -> Arc<SpendRecord> {
        let charged = vec![(PotId { of: KEY, line: Line::Main }, UnixMillis(0))];
        let record = crate::tests::record(KeyDigest::of("sk-a"), 1, cost);
        Arc::new(SpendRecord { charged, ..record })
    }

    #[test]
    fn no_record_counts_twice_or_never_at_whatever_moment_it_is_settled() {
        let unsettled = Unsettled::default();
        let records: Vec<_> = (1..=5).map(|number| (number, record(1 << number))).collect();
        let add = |number: usize| unsettled.add(number as u64, &records[number - 1].1);
        // What the state holds with each record, and what is shown with it.
        let shown = |settled: u64| {
            let held: u64 = (1..=settled).map(|number| 1 << number).sum();
            held + unsettled.of(KEY, || settled).0
        };
        add(1);
        add(2);
        assert_eq!(shown(0), 0b110);
        unsettled.propose(&records[..2], 2);
        // The state holds them before the settler has seen that.
        assert_eq!((shown(0), shown(2)), (0b110, 0b110));
        add(3);
        assert_eq!((shown(0), shown(2)), (0b1110, 0b1110));
        unsettled.settled(2);
        assert_eq!(shown(2), 0b1110);
        // The settler reads a record before it was counted here, and one behind it is.
        add(5);
        unsettled.propose(&records[2..], 4);
        assert_eq!((shown(2), shown(4)), (0b11_1110, 0b11_1110));
        add(4);
        assert_eq!((shown(2), shown(4)), (0b11_1110, 0b11_1110));
        unsettled.settled(4);
        unsettled.propose(&records[4..], 5);
        assert_eq!((shown(4), shown(5)), (0b11_1110, 0b11_1110));
        assert_eq!(unsettled.settled_through(), 4);
    }
}
