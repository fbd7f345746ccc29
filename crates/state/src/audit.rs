//! The audit log: who changed what, from where, and how it was before. Rows are chained: none can be
//! changed, left out or slipped in without the hashes after it showing so.
//!
//! The newest rows are kept, within [`MAX_AUDIT_ROWS`] and [`MAX_AUDIT_BYTES`]. The hash of the
//! last one that was dropped stays, so that the chain goes on over it.

mod row;

use std::sync::Arc;

use dunlin_types::ChainHash;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

pub use row::{Action, Actor, AuditRow, Table};

/// So many rows are kept; of more, the oldest are dropped.
pub const MAX_AUDIT_ROWS: usize = 10_000;
/// So many bytes of rows are kept, as they are chained.
pub const MAX_AUDIT_BYTES: usize = 8 << 20;

/// A row in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditLink {
    /// Of the chain up to and with this row.
    pub hash: ChainHash,
    /// The row.
    pub row: AuditRow,
}

/// The newest rows of the audit log.
#[derive(Clone, Debug, Default)]
pub struct AuditLog {
    links: OrdMap<u64, Arc<AuditLink>>,
    bytes: usize,
    dropped: u64,
    anchor: ChainHash,
}

/// Where a chain of rows breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {number} does not follow from the rows before it")]
pub struct BrokenChain {
    /// The first row that does not.
    pub number: u64,
}

/// The rows as a snapshot has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditDocument {
    /// The number of the last row that was dropped; 0 for none.
    dropped: u64,
    /// The chain's hash up to it.
    anchor: ChainHash,
    links: Vec<Arc<AuditLink>>,
}

impl AuditLog {
    /// The rows that are kept, oldest first.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &Arc<AuditLink>> {
        self.links.values()
    }

    /// The rows after the `number`th, oldest first.
    pub fn after(&self, number: u64) -> impl Iterator<Item = &Arc<AuditLink>> {
        self.links.range(number.saturating_add(1)..).map(|(_, link)| link)
    }

    /// One row, if it is kept.
    #[must_use]
    pub fn row(&self, number: u64) -> Option<&Arc<AuditLink>> {
        self.links.get(&number)
    }

    /// The number of the newest row, and the hash of the whole chain; 0 before the first.
    #[must_use]
    pub fn head(&self) -> (u64, ChainHash) {
        let newest = self.links.get_max();
        newest.map_or((self.dropped, self.anchor), |(number, link)| (*number, link.hash))
    }

    /// The number of the last row that is kept no longer, and the hash of the chain up to it.
    #[must_use]
    pub fn anchor(&self) -> (u64, ChainHash) {
        (self.dropped, self.anchor)
    }

    /// Recomputes the chain of the rows that are kept.
    ///
    /// # Errors
    /// [`BrokenChain`]: the first row that is not what it was when it was chained.
    pub fn verify(&self) -> Result<(), BrokenChain> {
        let (mut number, mut hash) = self.anchor();
        for link in self.rows() {
            number += 1;
            hash = hash.with(&link.row.text());
            if link.row.number != number || link.hash != hash {
                return Err(BrokenChain { number });
            }
        }
        Ok(())
    }

    /// Adds a row, under the next number, and drops what is beyond the bounds.
    pub(crate) fn push(&mut self, row: AuditRow) {
        let (newest, hash) = self.head();
        let row = AuditRow { number: newest + 1, ..row };
        let text = row.text();
        self.bytes += text.len();
        self.links.insert(row.number, Arc::new(AuditLink { hash: hash.with(&text), row }));
        while self.links.len() > MAX_AUDIT_ROWS || self.bytes > MAX_AUDIT_BYTES {
            let (number, oldest) = self.links.get_min().expect("there are more than fit").clone();
            self.links.remove(&number);
            self.bytes -= oldest.row.text().len();
            (self.dropped, self.anchor) = (number, oldest.hash);
        }
    }

    pub(crate) fn document(&self) -> AuditDocument {
        let links = self.rows().cloned().collect();
        AuditDocument { dropped: self.dropped, anchor: self.anchor, links }
    }
}

impl AuditDocument {
    pub(crate) fn into_log(self) -> AuditLog {
        let Self { dropped, anchor, links } = self;
        let bytes = links.iter().map(|link| link.row.text().len()).sum();
        let links = links.into_iter().map(|link| (link.row.number, link)).collect();
        AuditLog { links, bytes, dropped, anchor }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> AuditRow {
        AuditRow { object: text.to_owned(), ..AuditRow::default() }
    }

    fn numbers(log: &AuditLog) -> (u64, u64) {
        let mut rows = log.rows().map(|link| link.row.number);
        let first = rows.next().expect("a row");
        (first, rows.next_back().unwrap_or(first))
    }

    #[test]
    fn the_chain_goes_on_over_the_rows_that_were_dropped() {
        let mut log = AuditLog::default();
        assert_eq!(log.head(), (0, ChainHash::default()));
        let mut hash = ChainHash::default();
        let most = MAX_AUDIT_ROWS as u64;
        for _ in 0..most + 3 {
            log.push(row("a key"));
            hash = hash.with(&log.rows().next_back().expect("a row").row.text());
        }
        assert_eq!(numbers(&log), (4, most + 3));
        assert_eq!(log.head(), (most + 3, hash));
        assert_eq!(log.verify(), Ok(()));
        let restored = log.document().into_log();
        assert_eq!((restored.head(), restored.bytes), (log.head(), log.bytes));
        assert_eq!(restored.verify(), Ok(()));

        let mut log = AuditLog::default();
        (0..5).for_each(|_| log.push(row(&"x".repeat(MAX_AUDIT_BYTES / 4))));
        assert_eq!(numbers(&log), (3, 5));
        assert_eq!((log.verify(), log.head().0), (Ok(()), 5));
    }

    #[test]
    fn whatever_is_done_to_a_row_shows() {
        let mut log = AuditLog::default();
        (0..9).for_each(|number| log.push(row(&number.to_string())));
        type Harm = fn(&mut AuditLog);
        let harms: [(Harm, u64); 5] = [
            (|log| Arc::make_mut(log.links.get_mut(&5).unwrap()).row.object.push('x'), 5),
            (|log| drop(log.links.remove(&5)), 5),
            (
                |log| {
                    let (one, other) = (log.links[&4].clone(), log.links[&5].clone());
                    log.links.insert(4, other);
                    log.links.insert(5, one);
                },
                4,
            ),
            (|log| drop(log.links.remove(&1)), 1),
            (|log| log.anchor = ChainHash::default().with("x"), 1),
        ];
        for (harm, number) in harms {
            let mut harmed = log.clone();
            harm(&mut harmed);
            assert_eq!(harmed.verify(), Err(BrokenChain { number }));
        }
    }
}
