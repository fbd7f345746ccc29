//! sled, made durable. Its `flush` hands pages to the drive without the file's metadata and
//! without asking the drive to keep them, and it never syncs the files it makes at creation; so
//! every acknowledgement waits for `sync_data` on a handle of our own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use dunlin_types::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};
use sled::{Batch, IVec};

use super::record::{self, Fact};
use super::tail::Tail;
use crate::durable;
use crate::error::Error;
use crate::raft::LogEntry;
use crate::unreadable::Unreadable;

/// Makes the data of a file durable. Tests put their own in, to count calls and to keep what was
/// durable at each.
pub(crate) type SyncData = Box<dyn FnMut(&File) -> io::Result<()> + Send>;

/// The whole log is in memory or read rarely; sled's own cache need not hold it twice.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Whose log this is. Written first of all, so a log that came back empty is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) node: NodeId,
    pub(crate) cluster: ClusterId,
}

pub(super) struct Disk {
    db: sled::Db,
    data: File,
    sync_data: SyncData,
    path: PathBuf,
}

impl Disk {
    /// Opens or makes the log in `path`; all names and files of a new one are durable on return.
    pub(super) fn open(path: &Path, sync_data: SyncData) -> Result<Self, Error> {
        durable::make_dir(path).map_err(Error::file("make", path))?;
        let db = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()
            .map_err(|e| Error::Corrupt { path: path.to_owned(), reason: e.to_string() })?;
        db.flush().map_err(io::Error::from).map_err(Error::file("write", path))?;
        sync_all_in(path).map_err(Error::file("sync", path))?;
        let data = File::open(path.join("db")).map_err(Error::file("open", path.join("db")))?;
        Ok(Self { db, data, sync_data, path: path.to_owned() })
    }

    pub(super) fn apply(&self, batch: Batch) -> io::Result<()> {
        Ok(self.db.apply_batch(batch)?)
    }

    /// Hands everything applied to the operating system: it survives the process.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.db.flush()?;
        Ok(())
    }

    /// Makes everything applied survive a power cut.
    pub(super) fn make_durable(&mut self) -> io::Result<()> {
        self.flush()?;
        (self.sync_data)(&self.data)
    }

    /// Gives up a disk that has failed. sled's last handle would write once more as it goes, and panic.
    pub(super) fn abandon(self) {
        std::mem::forget(self.db);
    }

    /// The keys of all pieces of the entries from `first` to before `end`.
    pub(super) fn keys(&self, first: u64, end: u64) -> io::Result<Vec<IVec>> {
        let range = record::key(first, 0)..record::key(end, 0);
        Ok(self.db.range(range).keys().collect::<sled::Result<_>>()?)
    }

    /// One handle more, for readers.
    pub(super) fn reader(&self) -> sled::Db {
        self.db.clone()
    }

    /// Checks that this log is `owner`'s, or takes a new one for them. `stored`: the certificate
    /// says that there was a log before.
    pub(super) fn claim(&mut self, owner: Owner, stored: bool) -> Result<(), Error> {
        match self.fact::<Owner>(Fact::Owner)? {
            Some(found) if found == owner => Ok(()),
            Some(found) => Err(Error::Foreign {
                path: self.path.clone(),
                found: format!("node {} of cluster {}", found.node, found.cluster),
                expected: format!("node {} of cluster {}", owner.node, owner.cluster),
            }),
            None if stored || !self.db.is_empty() => Err(Error::Emptied {
                path: self.path.clone(),
                lost: "the record of whose log this is".to_owned(),
            }),
            None => self.write_owner(owner).map_err(Error::file("write", &self.path)),
        }
    }

    fn write_owner(&mut self, owner: Owner) -> io::Result<()> {
        let mut batch = Batch::default();
        batch.insert(Fact::Owner.key(), record::seal(&owner)?);
        self.apply(batch)?;
        self.make_durable()
    }

    fn fact<T: for<'de> Deserialize<'de>>(&self, fact: Fact) -> Result<Option<T>, Error> {
        let found = self.db.get(fact.key()).map_err(|e| self.corrupt(e.to_string()))?;
        found
            .map(|sealed| record::open(&sealed))
            .transpose()
            .map_err(|why| why.of(format_args!("the record {fact:?}")).at(&self.path))
    }

    /// Reads the whole log, checking every record, and drops what a purge left behind.
    pub(super) fn scan(&self) -> Result<Tail, Error> {
        let mut tail = Tail::new(
            self.fact(Fact::Vote)?,
            self.fact(Fact::Committed)?,
            self.fact(Fact::Purged)?,
        );
        self.drop_before(tail.first())?;
        let start = record::key(tail.first(), 0);
        for found in entries(&self.db, &start, &record::ENTRIES_END) {
            let (entry, length) = found.map_err(|why| why.at(&self.path))?;
            if entry.log_id.index != tail.end() {
                return Err(self.corrupt(format!(
                    "entry {} is missing, entry {} is there",
                    tail.end(),
                    entry.log_id.index
                )));
            }
            tail.found(entry, length);
        }
        Ok(tail)
    }

    fn drop_before(&self, first: u64) -> Result<(), Error> {
        let mut batch = Batch::default();
        for key in self.keys(0, first).map_err(|e| self.corrupt(e.to_string()))? {
            batch.remove(key);
        }
        self.apply(batch).map_err(Error::file("write", &self.path))
    }

    fn corrupt(&self, reason: String) -> Error {
        Error::Corrupt { path: self.path.clone(), reason }
    }
}

/// Every file and directory that sled has made, then the directory itself and its parent.
fn sync_all_in(path: &Path) -> io::Result<()> {
    for found in fs::read_dir(path)? {
        durable::sync(&found?.path())?;
    }
    durable::make_dir(path)
}

/// The entries between two keys in order, each checked; a damaged one ends the iteration.
pub(super) fn entries(
    db: &sled::Db,
    from: &[u8],
    to: &[u8],
) -> impl Iterator<Item = Result<(LogEntry, u32), Unreadable>> + use<> {
    let mut pieces = db.range(from..to).peekable();
    std::iter::from_fn(move || {
        let (key, value) = match pieces.next()? {
            Ok(found) => found,
            Err(e) => return Some(Err(e.to_string().into())),
        };
        let Some((index, 0)) = record::parse_key(&key) else {
            return Some(Err(format!("a piece is where an entry should begin: {key:?}").into()));
        };
        let mut sealed = value.to_vec();
        let mut next = 1;
        while let Some(Ok((_, value))) = pieces.next_if(|found| {
            found.as_ref().is_ok_and(|(key, _)| record::parse_key(key) == Some((index, next)))
        }) {
            sealed.extend_from_slice(&value);
            next += 1;
        }
        Some(parse(index, &sealed))
    })
}

fn parse(index: u64, sealed: &[u8]) -> Result<(LogEntry, u32), Unreadable> {
    let entry: LogEntry =
        record::open(sealed).map_err(|why| why.of(format_args!("entry {index}")))?;
    if entry.log_id.index != index {
        return Err(format!("entry {index} says that it is entry {}", entry.log_id.index).into());
    }
    let length = u32::try_from(sealed.len()).map_err(|_| format!("entry {index} is too long"))?;
    Ok((entry, length))
}
