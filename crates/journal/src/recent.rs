//! The last records in memory: who settles them reads them here and not from the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::SpendRecord;

/// Remembered at most; older ones are read from the disk. A node settles what it has recorded several
/// times a second.
pub(crate) const MAX_RECENT_RECORDS: usize = 4_096;
/// A longer record, such as one with its prompt, is read from the disk, and those before it as well.
pub(crate) const MAX_RECENT_BYTES: usize = 16 << 10;

/// Records without a gap between them, up to the last.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The number of the last one.
    last: u64,
    records: VecDeque<Arc<SpendRecord>>,
}

impl Recent {
    /// Record `number` comes after the last; `None` is too long to be remembered.
    pub(crate) fn add(&mut self, number: u64, record: Option<Arc<SpendRecord>>) {
        self.last = number;
        if record.is_none() {
            self.records.clear();
        } else if self.records.len() == MAX_RECENT_RECORDS {
            self.records.pop_front();
        }
        self.records.extend(record);
    }

    /// Forgets the records up to `through`.
    pub(crate) fn forget(&mut self, through: u64) {
        let first = self.first();
        let gone = usize::try_from((through + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.records.drain(..gone.min(self.records.len()));
    }

    /// Up to `max` records that follow record `after`, if they are remembered.
    pub(crate) fn after(&self, after: u64, max: usize) -> Option<Vec<(u64, Arc<SpendRecord>)>> {
        let skipped = usize::try_from((after + 1).checked_sub(self.first())?).ok()?;
        let records = self.records.iter().skip(skipped).take(max).map(Arc::clone);
        Some((after + 1..).zip(records).collect())
    }

    /// The number of the first one that is remembered, or of the next to come.
    fn first(&self) -> u64 {
        self.last + 1 - self.records.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(numbers: impl Iterator<Item = u64>) -> Recent {
        let mut recent = Recent::default();
        numbers.for_each(|number| recent.add(number, Some(Arc::default())));
        recent
    }

    fn numbers(recent: &Recent, after: u64, max: usize) -> Option<Vec<u64>> {
        let found = recent.after(after, max)?;
        Some(found.into_iter().map(|(number, _)| number).collect())
    }

    #[test]
    fn what_follows_a_record_is_given_whole_or_not_at_all() {
        let mut recent = recent(1..=5);
        assert_eq!(numbers(&recent, 0, 9), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(numbers(&recent, 2, 2), Some(vec![3, 4]));
        assert_eq!(numbers(&recent, 5, 9), Some(vec![]));
        recent.forget(3);
        assert_eq!(numbers(&recent, 2, 9), None, "3 is forgotten");
        assert_eq!(numbers(&recent, 3, 9), Some(vec![4, 5]));
        recent.forget(2);
        assert_eq!(numbers(&recent, 3, 9), Some(vec![4, 5]), "what is settled is told twice");
        recent.forget(5);
        assert_eq!(numbers(&recent, 5, 9), Some(vec![]));
        recent.add(6, None);
        assert_eq!(numbers(&recent, 5, 9), None, "6 is too long");
        recent.add(7, Some(Arc::default()));
        assert_eq!(numbers(&recent, 6, 9), Some(vec![7]));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let most = MAX_RECENT_RECORDS as u64;
        let recent = recent(1..=most + 2);
        assert_eq!(numbers(&recent, 1, 1), None);
        assert_eq!(numbers(&recent, 2, 1), Some(vec![3]));
    }
}
