//! The log as readers see it: all entries by length, the newest ones whole. Replication reads
//! here and touches sled only for a peer that has fallen far behind.

use std::collections::VecDeque;
use std::ops::Range;

use crate::raft::{LogEntry, LogId, Vote};

/// Entries kept in memory, in encoded bytes. Those the writer has not written yet stay beyond it.
const RECENT_BYTES: u64 = 16 * 1024 * 1024;

/// A number that grows with every append given to the writer.
pub(super) type Sequence = u64;

#[derive(Debug, Default)]
pub(super) struct Tail {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
    first: u64,
    /// The encoded length of each entry from `first` on.
    lengths: VecDeque<u32>,
    bytes: u64,
    recent: VecDeque<(Sequence, LogEntry)>,
    recent_bytes: u64,
    given: Sequence,
    written: Sequence,
}

impl Tail {
    /// A tail without entries, as the single records on the disk describe it.
    pub(super) fn new(vote: Option<Vote>, committed: Option<LogId>, purged: Option<LogId>) -> Self {
        let first = purged.map_or(0, |id| id.index + 1);
        Self { vote, committed, purged, last: purged, first, ..Self::default() }
    }

    /// The index of the first entry there is, or would be.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// One past the index of the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.lengths.len() as u64
    }

    /// The first index that is in memory.
    pub(super) fn recent_from(&self) -> u64 {
        self.end() - self.recent.len() as u64
    }

    /// One past the last entry that is durable; entries before the first are, in a snapshot.
    pub(super) fn durable_end(&self) -> u64 {
        let waiting = self.recent.iter().rev().take_while(|(given, _)| *given > self.written);
        self.end() - waiting.count() as u64
    }

    /// Encoded bytes of all entries.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds entries at the end; the writer is to confirm the returned sequence once they can be
    /// read from the disk.
    pub(super) fn append(&mut self, entries: Vec<(LogEntry, u32)>) -> Sequence {
        self.given += 1;
        for (entry, length) in entries {
            if self.lengths.is_empty() {
                // Where an empty log begins is the Raft core's decision.
                self.first = entry.log_id.index;
            }
            assert_eq!(entry.log_id.index, self.end(), "the log has no holes");
            self.last = Some(entry.log_id);
            self.lengths.push_back(length);
            self.bytes += u64::from(length);
            self.recent_bytes += u64::from(length);
            self.recent.push_back((self.given, entry));
        }
        self.given
    }

    /// The next entry found on the disk at the start.
    pub(super) fn found(&mut self, entry: LogEntry, length: u32) {
        self.append(vec![(entry, length)]);
        self.confirm(self.given);
    }

    /// The disk holds everything up to this sequence: old entries may leave the memory.
    pub(super) fn confirm(&mut self, written: Sequence) {
        self.written = self.written.max(written);
        while self.recent_bytes > RECENT_BYTES
            && self.recent.front().is_some_and(|(given, _)| *given <= self.written)
        {
            self.forget_oldest_recent();
        }
    }

    fn forget_oldest_recent(&mut self) {
        let at = self.lengths.len() - self.recent.len();
        self.recent_bytes -= u64::from(self.lengths[at]);
        self.recent.pop_front();
    }

    /// Removes all entries after `last`.
    pub(super) fn truncate_after(&mut self, last: Option<LogId>) {
        let end = last.map_or(0, |id| id.index + 1).max(self.first);
        while self.end() > end {
            let length = u64::from(self.lengths.pop_back().expect("end() counts it"));
            self.bytes -= length;
            if self.recent.pop_back().is_some() {
                self.recent_bytes -= length;
            }
        }
        self.last = self.last.min(last).max(self.purged);
    }

    /// Forgets all entries up to and with `upto`, which may lie beyond the end.
    pub(super) fn purge(&mut self, upto: LogId) {
        while self.first <= upto.index && !self.lengths.is_empty() {
            if self.recent.len() == self.lengths.len() {
                self.forget_oldest_recent();
            }
            self.bytes -= u64::from(self.lengths.pop_front().expect("not empty"));
            self.first += 1;
        }
        self.first = self.first.max(upto.index + 1);
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(Some(upto));
    }

    /// The entries of a range, which must be in memory.
    pub(super) fn recent(&self, range: Range<u64>) -> Vec<LogEntry> {
        let skip = usize::try_from(range.start - self.recent_from()).expect("in memory");
        let take = usize::try_from(range.end - range.start).expect("in memory");
        self.recent.iter().skip(skip).take(take).map(|(_, entry)| entry.clone()).collect()
    }

    /// Where a read that starts at `start` must end so that it holds at most `bytes`, but at least
    /// one entry.
    pub(super) fn end_within(&self, range: Range<u64>, bytes: u64) -> u64 {
        let skip = usize::try_from(range.start.saturating_sub(self.first)).expect("an index");
        let mut left = bytes;
        let mut end = range.start;
        for length in self.lengths.iter().skip(skip) {
            let fits = left.checked_sub(u64::from(*length));
            if end == range.end || (fits.is_none() && end > range.start) {
                break;
            }
            left = fits.unwrap_or(0);
            end += 1;
        }
        end
    }

    /// Encoded bytes of the entries after `index`.
    pub(super) fn bytes_after(&self, index: u64) -> u64 {
        let count = self.end().saturating_sub(index.saturating_add(1));
        let newest = self.lengths.iter().rev().zip(0..count);
        newest.map(|(length, _)| u64::from(*length)).sum()
    }

    /// The highest index such that the entries after it hold at least `bytes`; none if the whole
    /// log holds less.
    pub(super) fn index_before_last(&self, bytes: u64) -> Option<u64> {
        let mut left = bytes;
        for (back, length) in self.lengths.iter().rev().enumerate() {
            left = left.saturating_sub(u64::from(*length));
            if left == 0 {
                return self.end().checked_sub(back as u64 + 2);
            }
        }
        None
    }
}
