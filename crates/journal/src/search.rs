//! Finds records in segments: block by block, those first that may hold the next ones in order, until
//! nothing better can come.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_types::{Epoch, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::index::Block;
use crate::query::{Order, Position, Query};
use crate::segment::{Segment, Shelf};
use crate::{Error, SpendRecord};

/// The records of one answer have at most so many bytes on disk; what would be more is found from
/// where the answer ends.
pub const MAX_FOUND_BYTES: usize = 16 << 20;

/// A record and its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Where it is.
    pub at: Position,
    /// What it is.
    pub record: SpendRecord,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// In order.
    pub rows: Vec<Row>,
    /// There may be more behind this place. `None`: there is nothing more. In an order other than
    /// [`Order::Started`] it says only that not everything was looked at.
    pub reached: Option<Position>,
    /// How many there are in all of each node, if that was asked.
    pub counts: BTreeMap<NodeId, u64>,
    /// Whether all were counted.
    pub counted_all: bool,
}

/// Searches. Stops early once `expired` says so, and tells how far it came.
///
/// # Errors
/// [`Error::Read`].
pub fn search(
    shelves: &[Shelf],
    query: &Query,
    expired: &dyn Fn() -> bool,
) -> Result<Found, Error> {
    Search { shelves, query, expired, taken: BTreeMap::new(), limit: query.limit, bytes: 0 }.run()
}

/// Where a record comes in the order asked for: the least is the best.
type Place = (u64, Position);

struct Search<'a> {
    shelves: &'a [Shelf],
    query: &'a Query,
    expired: &'a dyn Fn() -> bool,
    /// The best so far, with the lengths of their frames. In the order of records; where the order
    /// asked for descends, the last one is the best.
    taken: BTreeMap<Place, (SpendRecord, usize)>,
    limit: usize,
    bytes: usize,
}

/// A block that may hold what is asked for.
#[derive(Clone, Copy)]
struct Candidate {
    shelf: usize,
    segment: usize,
    block: usize,
    /// The best that it can hold.
    best: UnixMillis,
}

impl Search<'_> {
    fn run(mut self) -> Result<Found, Error> {
        let (filters, mut found) = (&self.query.filters, Found::default());
        found.counted_all = true;
        // Something is left out of which nothing is known but that it comes behind.
        let mut more = false;
        let mut stopped = None;
        // Segments that went while they were looked for: they were too old.
        let mut gone = BTreeSet::new();
        for candidate in self.candidates() {
            let shelf = &self.shelves[candidate.shelf];
            let segment = &shelf.segments[candidate.segment];
            let full = self.is_full_before(candidate.best);
            more |= full;
            let block = &segment.blocks.blocks[candidate.block];
            if full && !self.query.count {
                break;
            }
            if full && filters.is_time_only() && filters.covers(block) {
                *found.counts.entry(shelf.node).or_default() += u64::from(block.records);
                continue;
            }
            if self.may_stop_at(candidate.best) && (self.expired)() {
                stopped = Some(candidate.best);
                found.counted_all = false;
                break;
            }
            if gone.contains(&(candidate.shelf, candidate.segment)) {
                continue;
            }
            let records = match segment.block(&shelf.dir, candidate.block) {
                Err(Error::Read { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    gone.insert((candidate.shelf, candidate.segment));
                    continue;
                }
                records => records?,
            };
            let records = records.into_iter().filter(|(_, record, _)| filters.wants(record));
            for (number, record, length) in records {
                *found.counts.entry(shelf.node).or_default() += 1;
                more |= !self.take(position(shelf.node, segment, &record, number), record, length);
            }
        }
        found.reached = self.reached(more, stopped);
        let rows = self.taken.into_iter().map(|((_, at), (record, _))| Row { at, record });
        found.rows = rows.collect();
        if !self.query.ascending {
            found.rows.reverse();
        }
        Ok(found)
    }

    /// The blocks to be read, in the order in which they are.
    fn candidates(&self) -> Vec<Candidate> {
        let (filters, mut candidates) = (&self.query.filters, Vec::new());
        for (shelf, held) in self.shelves.iter().enumerate() {
            for (number, segment) in held.segments.iter().enumerate() {
                let may_have = |block: &usize| {
                    let block = &segment.blocks.blocks[*block];
                    filters.may_be_in(block) && self.may_come_after(block)
                };
                let blocks: Vec<usize> =
                    (0..segment.blocks.blocks.len()).filter(may_have).collect();
                let has_words = || {
                    let words = segment.words(&held.dir);
                    words.is_none_or(|words| filters.may_match(&words))
                };
                if blocks.is_empty() || (filters.has_words() && !has_words()) {
                    continue;
                }
                candidates.extend(blocks.into_iter().map(|block| {
                    let place = &segment.blocks.blocks[block];
                    let best = if self.query.ascending { place.from } else { place.until };
                    Candidate { shelf, segment: number, block, best }
                }));
            }
        }
        candidates.sort_by_key(|candidate| candidate.best);
        if !self.query.ascending {
            candidates.reverse();
        }
        candidates
    }

    fn may_come_after(&self, block: &Block) -> bool {
        let Some(after) = self.query.after else { return true };
        if self.query.ascending {
            block.until >= after.started
        } else {
            block.from <= after.started
        }
    }

    /// Whether who goes on from there has come further: all blocks that hold something of the moment
    /// at which the last answer ended are read.
    fn may_stop_at(&self, best: UnixMillis) -> bool {
        self.query.after.is_none_or(|after| {
            if self.query.ascending { best > after.started } else { best < after.started }
        })
    }

    /// Whether enough is found that is better than all that began at `best` or is worse.
    fn is_full_before(&self, best: UnixMillis) -> bool {
        if self.query.order != Order::Started || self.taken.len() < self.limit {
            return false;
        }
        self.worst().is_none_or(|(_, worst)| {
            if self.query.ascending { worst.started < best } else { worst.started > best }
        })
    }

    fn worst(&self) -> Option<&Place> {
        let ends = (self.taken.first_key_value(), self.taken.last_key_value());
        let worst = if self.query.ascending { ends.1 } else { ends.0 };
        worst.map(|(place, _)| place)
    }

    /// Keeps a record if it is among the best. False: it, or one that is worse, comes behind.
    fn take(&mut self, at: Position, record: SpendRecord, length: usize) -> bool {
        let is_behind = |after: Position| {
            if self.query.ascending { at > after } else { at < after }
        };
        if self.query.after.is_some_and(|after| !is_behind(after)) {
            return true;
        }
        let record = if self.query.said { record } else { SpendRecord { said: None, ..record } };
        self.bytes += length;
        self.taken.insert((self.query.order.rank(&record), at), (record, length));
        let mut all = true;
        while self.taken.len() > self.limit
            || (self.bytes > MAX_FOUND_BYTES && self.taken.len() > 1)
        {
            let worst =
                if self.query.ascending { self.taken.pop_last() } else { self.taken.pop_first() };
            let (_, (_, length)) = worst.expect("there are more than are wanted");
            self.bytes -= length;
            self.limit = self.limit.min(self.taken.len());
            all = false;
        }
        all
    }

    fn reached(&self, more: bool, stopped: Option<UnixMillis>) -> Option<Position> {
        let in_order = self.query.order == Order::Started;
        let behind = self.worst().filter(|_| more && in_order).map(|(_, at)| *at);
        let stopped = stopped.map(|best| {
            // Everything that began strictly before, in the order asked for, was seen.
            let (node, epoch, number) = if self.query.ascending {
                (NodeId(0), Epoch(0), 0)
            } else {
                (NodeId(u64::MAX), Epoch(u64::MAX), u64::MAX)
            };
            Position { started: best, node, epoch, number }
        });
        let both = [behind, stopped];
        let both = both.into_iter().flatten();
        if self.query.ascending { both.min() } else { both.max() }
    }
}

fn position(node: NodeId, segment: &Segment, record: &SpendRecord, number: u64) -> Position {
    Position { started: record.started, node, epoch: segment.epoch, number }
}

#[cfg(test)]
mod tests;
