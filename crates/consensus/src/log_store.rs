//! The Raft log, durable and checked.
//!
//! Writes go through one bounded queue to one thread (`writer.rs`), which syncs before it
//! acknowledges; reads come from memory (`tail.rs`) or, far behind, from sled (`disk.rs`). What is
//! appended can be read at once, before it is durable, as openraft asks. Knows nothing of what the
//! entries mean. Read `record.rs` first: it says how an entry lies in sled, and why in pieces.

mod disk;
mod offline;
mod record;
mod tail;
mod writer;

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use disk::{Owner, SyncData};
pub(crate) use offline::Offline;

use crate::certificate::Floor;
use crate::error::Error;
use crate::raft::{LogEntry, LogId, Types, Vote};
use disk::Disk;
use tail::Tail;
use writer::{Write, Writer};

/// Writes waiting for the writer; the Raft core waits when it is full.
const QUEUE: usize = 1024;
/// The most encoded bytes sent to a peer in one message, unless one entry alone is longer.
const MESSAGE_BYTES: u64 = 4 * 1024 * 1024;

/// The log's write side, held by the Raft core alone. Dropping it ends the writer.
pub(crate) struct LogStore {
    queue: mpsc::Sender<Write>,
    reader: LogReader,
}

/// The log's read side.
#[derive(Clone)]
pub(crate) struct LogReader {
    tail: Arc<Mutex<Tail>>,
    db: sled::Db,
}

/// How a log is opened.
pub(crate) struct Opening {
    pub(crate) owner: Owner,
    /// Whether the certificate says that this log was there before.
    pub(crate) stored: bool,
    pub(crate) sync_data: SyncData,
}

impl Opening {
    /// With the file system's own sync.
    pub(crate) fn new(owner: Owner, stored: bool) -> Self {
        Self { owner, stored, sync_data: Box::new(File::sync_data) }
    }
}

impl LogStore {
    /// Opens the log in `path`, reads and checks all of it, and starts its writer on `tasks`.
    /// `stop` is cancelled when the disk fails.
    pub(crate) fn open(
        path: &Path,
        opening: Opening,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let mut disk = Disk::open(path, opening.sync_data)?;
        disk.claim(opening.owner, opening.stored)?;
        let tail = disk.scan()?;
        let tail = Arc::new(Mutex::new(tail));
        let (queue, writes) = mpsc::channel(QUEUE);
        let reader = LogReader { tail: Arc::clone(&tail), db: disk.reader() };
        let writer = Writer { disk, queue: writes, tail, stop };
        tasks.spawn_blocking(move || writer.run());
        Ok(Self { queue, reader })
    }

    /// A read side.
    pub(crate) fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    async fn write(&self, write: Write) -> io::Result<()> {
        self.queue.send(write).await.map_err(|_| stopped())
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the raft log's writer has stopped")
}

impl LogReader {
    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().expect("no holder panics")
    }

    /// What is certainly on the disk now, for the certificate.
    pub(crate) fn floor(&self) -> Floor {
        let tail = self.tail();
        // A leader may know an entry as committed by others before its own disk has it.
        let committed = tail.committed.map_or(0, |id| id.index + 1).min(tail.durable_end());
        Floor { term: tail.vote.map_or(0, |vote| vote.leader_id.term), committed }
    }

    /// Refuses a log that, with a snapshot that ends before `snapshot_end`, has lost something.
    pub(crate) fn check(&self, path: &Path, floor: Floor, snapshot_end: u64) -> Result<(), Error> {
        let tail = self.tail();
        let end = tail.end().max(snapshot_end);
        let term = tail.vote.map_or(0, |vote| vote.leader_id.term);
        let committed = tail.committed.map_or(0, |id| id.index + 1).max(floor.committed);
        let lost = if tail.first() > snapshot_end {
            format!(
                "the log begins at entry {}, but the snapshot ends before {snapshot_end}",
                tail.first()
            )
        } else if end < committed {
            format!("the log ends before entry {end}, but {committed} were committed")
        } else if term < floor.term {
            format!("the last vote is of term {term}, but it had voted in term {}", floor.term)
        } else {
            return Ok(());
        };
        Err(Error::Emptied { path: path.to_owned(), lost })
    }

    /// The last entry, purged ones included.
    pub(crate) fn last(&self) -> Option<LogId> {
        let tail = self.tail();
        tail.last.max(tail.purged)
    }

    /// The index of the first entry there is, or would be.
    pub(crate) fn first(&self) -> u64 {
        self.tail().first()
    }

    /// Encoded bytes of the entries after `index`.
    pub(crate) fn bytes_after(&self, index: u64) -> u64 {
        self.tail().bytes_after(index)
    }

    /// Encoded bytes of all entries.
    pub(crate) fn bytes(&self) -> u64 {
        self.tail().bytes()
    }

    /// The highest index after which at least `bytes` of log remain; none if there is less.
    pub(crate) fn index_before_last(&self, bytes: u64) -> Option<u64> {
        self.tail().index_before_last(bytes)
    }

    fn read(&self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        let from_memory = |tail: &Tail, start: u64, end: u64| tail.recent(start..end);
        let (start, middle, end) = {
            let tail = self.tail();
            let (start, end) = (start.max(tail.first()), end.min(tail.end()));
            if start >= end {
                return Ok(Vec::new());
            }
            if start >= tail.recent_from() {
                return Ok(from_memory(&tail, start, end));
            }
            (start, tail.recent_from().min(end), end)
        };
        let mut entries = self.read_disk(start, middle)?;
        let tail = self.tail();
        if middle < end {
            if tail.recent_from() > middle || tail.end() < end {
                drop(tail);
                // The window moved on while the disk was read.
                entries.extend(self.read(middle, end)?);
            } else {
                entries.extend(from_memory(&tail, middle, end));
            }
        }
        Ok(entries)
    }

    fn read_disk(&self, start: u64, end: u64) -> io::Result<Vec<LogEntry>> {
        let damaged = |reason| io::Error::new(io::ErrorKind::InvalidData, reason);
        let mut entries = Vec::new();
        for found in disk::entries(&self.db, &record::key(start, 0), &record::key(end, 0)) {
            let (entry, _) = found.map_err(|why| damaged(why.to_string()))?;
            if entry.log_id.index != start + entries.len() as u64 {
                return Err(damaged(format!("entry {} is missing", start + entries.len() as u64)));
            }
            entries.push(entry);
        }
        if entries.len() as u64 == end - start {
            Ok(entries)
        } else {
            Err(damaged(format!("entry {} is missing", start + entries.len() as u64)))
        }
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<Types> for LogReader {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let (start, end) = bounds(&range);
        self.read(start, end)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.tail().vote)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<LogEntry>, io::Error> {
        let end = self.tail().end_within(start..end, MESSAGE_BYTES);
        self.read(start, end)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let tail = self.reader.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (done, durable) = oneshot::channel();
        self.write(Write::Vote { sealed: record::seal(vote)?, done }).await?;
        durable.await.map_err(|_| stopped())??;
        self.reader.tail().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let Some(committed) = committed else { return Ok(()) };
        self.write(Write::Committed { sealed: record::seal(&committed)? }).await?;
        self.reader.tail().committed = Some(committed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.reader.tail().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut sealed = Vec::new();
        let mut measured = Vec::new();
        for entry in entries {
            let bytes = record::seal(&entry)?;
            if !record::fits(&bytes) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "an entry is too long"));
            }
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            sealed.push(bytes);
            measured.push((entry, length));
        }
        let Some(first) = measured.first().map(|(entry, _)| entry.log_id.index) else {
            flushed.io_completed(Ok(()));
            return Ok(());
        };
        let sequence = self.reader.tail().append(measured);
        self.write(Write::Append { first, sealed, sequence, flushed }).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let from = last.map_or(0, |id| id.index + 1);
        self.reader.tail().truncate_after(last);
        self.write(Write::Truncate { from }).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let gone = {
            let mut tail = self.reader.tail();
            let (first, end) = (tail.first(), tail.end());
            tail.purge(upto);
            first..end.min(upto.index + 1)
        };
        self.write(Write::Purge { sealed: record::seal(&upto)?, gone }).await
    }
}

#[cfg(test)]
mod tests;
