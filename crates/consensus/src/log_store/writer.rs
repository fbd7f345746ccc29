//! The one thread that writes the log. It drains its queue into a batch, makes the batch durable
//! with one sync, and only then says so; whatever waits meanwhile shares the next sync.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use dunlin_metrics::OnPanic;
use openraft::storage::IOFlushed;
use sled::Batch;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::disk::Disk;
use super::record::{self, Fact};
use super::tail::{Sequence, Tail};
use crate::raft::Types;

/// How much is written before a sync. Half of a segment of sled: it reuses a segment once the
/// copy of its pages is written, and the copy should be durable by then.
const ROUND_BYTES: usize = 256 * 1024;
/// Purged entries removed at a time while nobody waits.
const PURGE_ENTRIES: u64 = 64;

pub(super) enum Write {
    /// Sealed entries from this index on.
    Append { first: u64, sealed: Vec<Vec<u8>>, sequence: Sequence, flushed: IOFlushed<Types> },
    /// A sealed vote, durable before `done`.
    Vote { sealed: Vec<u8>, done: oneshot::Sender<io::Result<()>> },
    /// A sealed commit position. A lost one costs a replay, so it waits for no sync.
    Committed { sealed: Vec<u8> },
    /// Remove all entries from this index on.
    Truncate { from: u64 },
    /// Remove all entries of this range; the sealed fact says up to where the log is purged.
    Purge { sealed: Vec<u8>, gone: Range<u64> },
}

/// What becomes true at the next sync.
enum Waiting {
    Flushed(IOFlushed<Types>),
    Done(oneshot::Sender<io::Result<()>>),
}

pub(super) struct Writer {
    pub(super) disk: Disk,
    pub(super) queue: mpsc::Receiver<Write>,
    pub(super) tail: Arc<Mutex<Tail>>,
    pub(super) stop: CancellationToken,
}

#[derive(Default)]
struct Round {
    batch: Batch,
    bytes: usize,
    sequence: Sequence,
    must_sync: bool,
    waiting: Vec<Waiting>,
}

impl Writer {
    /// Writes until the queue is closed or the disk fails. A failed sync is never tried again: the
    /// system reports it once and may have dropped the data. The node ends instead.
    pub(super) fn run(mut self) {
        let stop = self.stop.clone();
        // sled panics on some failures of a disk.
        let _ends_node = OnPanic::new(move || stop.cancel());
        let mut purging = 0..0;
        while let Some(first) = self.next(&mut purging) {
            if let Err(cause) = self.round(first, &mut purging) {
                error!(error = %cause, "the raft log cannot be made durable: this node exits");
                self.stop.cancel();
                return self.disk.abandon();
            }
        }
        if let Err(cause) = self.disk.make_durable() {
            error!(error = %cause, "the raft log was not made durable at shutdown");
            self.disk.abandon();
        }
    }

    /// The next thing to write. While there is none, purged entries are removed.
    fn next(&mut self, purging: &mut Range<u64>) -> Option<Write> {
        while !purging.is_empty() {
            match self.queue.try_recv() {
                Ok(write) => return Some(write),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
                Err(mpsc::error::TryRecvError::Empty) => {
                    let end = purging.end.min(purging.start + PURGE_ENTRIES);
                    if let Err(cause) = self.remove(purging.start, end) {
                        error!(error = %cause, "cannot delete purged raft log entries");
                        *purging = 0..0;
                    } else {
                        purging.start = end;
                    }
                }
            }
        }
        self.queue.blocking_recv()
    }

    fn round(&mut self, first: Write, purging: &mut Range<u64>) -> io::Result<()> {
        let mut round = Round::default();
        let mut next = Some(first);
        let mut outcome = Ok(());
        while let Some(write) = next.take() {
            outcome = self.stage(write, &mut round, purging);
            if outcome.is_err() || round.bytes >= ROUND_BYTES {
                break;
            }
            next = self.queue.try_recv().ok();
        }
        let outcome = outcome.and_then(|()| self.settle(&mut round));
        for waiting in round.waiting {
            let result =
                outcome.as_ref().copied().map_err(|e| io::Error::new(e.kind(), e.to_string()));
            match waiting {
                Waiting::Flushed(flushed) => flushed.io_completed(result),
                // The one who asked for the vote may have been cancelled.
                Waiting::Done(done) => drop(done.send(result)),
            }
        }
        outcome
    }

    fn stage(
        &mut self,
        write: Write,
        round: &mut Round,
        purging: &mut Range<u64>,
    ) -> io::Result<()> {
        match write {
            Write::Append { first, sealed, sequence, flushed } => {
                round.waiting.push(Waiting::Flushed(flushed));
                round.must_sync = true;
                for (index, sealed) in (first..).zip(sealed) {
                    for (key, piece) in record::pieces(index, &sealed) {
                        round.batch.insert(&key, piece);
                    }
                    round.bytes += sealed.len();
                    if round.bytes >= ROUND_BYTES {
                        self.settle(round)?;
                    }
                }
                round.sequence = sequence;
            }
            Write::Vote { sealed, done } => {
                round.waiting.push(Waiting::Done(done));
                round.must_sync = true;
                round.batch.insert(Fact::Vote.key(), sealed);
            }
            Write::Committed { sealed } => round.batch.insert(Fact::Committed.key(), sealed),
            Write::Truncate { from } => {
                // The scan below must see what this round has staged.
                self.disk.apply(std::mem::take(&mut round.batch))?;
                for key in self.disk.keys(from, u64::MAX)? {
                    round.batch.remove(key);
                }
                round.must_sync = true;
            }
            Write::Purge { sealed, gone } => {
                round.batch.insert(Fact::Purged.key(), sealed);
                round.must_sync = true;
                let start = if purging.is_empty() { gone.start } else { purging.start };
                *purging = start..gone.end;
            }
        }
        Ok(())
    }

    /// Makes the round durable, as far as it must be.
    fn settle(&mut self, round: &mut Round) -> io::Result<()> {
        self.disk.apply(std::mem::take(&mut round.batch))?;
        round.bytes = 0;
        if round.must_sync {
            self.disk.make_durable()?;
        } else {
            self.disk.flush()?;
        }
        self.tail.lock().expect("no holder panics").confirm(round.sequence);
        Ok(())
    }

    fn remove(&self, from: u64, end: u64) -> io::Result<()> {
        let mut batch = Batch::default();
        for key in self.disk.keys(from, end)? {
            batch.remove(key);
        }
        self.disk.apply(batch)
    }
}
