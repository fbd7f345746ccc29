//! The log of a node that does not run: read as a whole, or begun at a snapshot.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sled::Batch;

use super::LogReader;
use super::disk::{self, Disk, Owner};
use super::record::{self, Fact};
use crate::certificate::Floor;
use crate::error::Error;
use crate::raft::{LogEntry, LogId, Vote};

/// A log that no Raft core writes to.
pub(crate) struct Offline {
    reader: LogReader,
    path: PathBuf,
}

impl Offline {
    /// Opens `owner`'s log and checks all of it.
    pub(crate) fn open(path: &Path, owner: Owner) -> Result<Self, Error> {
        let mut disk = Disk::open(path, Box::new(File::sync_data))?;
        disk.claim(owner, true)?;
        let tail = Arc::new(Mutex::new(disk.scan()?));
        let reader = LogReader { tail, db: disk.reader() };
        Ok(Self { reader, path: path.to_owned() })
    }

    /// As [`LogReader::check`].
    pub(crate) fn check(&self, floor: Floor, snapshot_end: u64) -> Result<(), Error> {
        self.reader.check(&self.path, floor, snapshot_end)
    }

    /// The entries from `first` on, decided or not.
    pub(crate) fn entries_from(&self, first: u64) -> impl Iterator<Item = Result<LogEntry, Error>> {
        let from = record::key(first.max(self.reader.first()), 0);
        let found = disk::entries(&self.reader.db, &from, &record::ENTRIES_END);
        found.map(move |found| found.map(|(entry, _)| entry).map_err(|why| why.at(&self.path)))
    }

    /// The last vote.
    pub(crate) fn vote(&self) -> Option<Vote> {
        self.reader.tail().vote
    }

    /// The last entry that this node knew to be decided.
    pub(crate) fn committed(&self) -> Option<LogId> {
        self.reader.tail().committed
    }

    /// Makes a log without entries that goes on after a snapshot through `last`, durably.
    pub(crate) fn begin(path: &Path, owner: Owner, vote: Vote, last: LogId) -> Result<(), Error> {
        let failed = |error| Error::file("write", path)(error);
        let mut disk = Disk::open(path, Box::new(File::sync_data))?;
        disk.claim(owner, false)?;
        let mut batch = Batch::default();
        batch.insert(Fact::Vote.key(), record::seal(&vote).map_err(failed)?);
        batch.insert(Fact::Committed.key(), record::seal(&last).map_err(failed)?);
        batch.insert(Fact::Purged.key(), record::seal(&last).map_err(failed)?);
        disk.apply(batch).map_err(failed)?;
        disk.make_durable().map_err(failed)
    }
}
