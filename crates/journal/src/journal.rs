//! The handle: appends under one short lock, reads back for settling, forgets what is settled.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_types::Epoch;
use tracing::{error, warn};

use crate::record::{self, SpendRecord};
use crate::segment::Segment;
use crate::{Config, Error, SEGMENT_BYTES, SYNC_EVERY};

/// A former life of this node with records that may not be settled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OlderEpoch {
    /// The life.
    pub epoch: Epoch,
    /// The number of its last record that survived.
    pub last: u64,
}

/// The journal of this node. Cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    epoch: Epoch,
    files: Mutex<Files>,
}

struct Files {
    /// Oldest first; the last one is being written.
    segments: Vec<Segment>,
    writing: File,
    written_bytes: u64,
    /// Written and not synced yet: closed segments first, then the one being written.
    unsynced: Vec<File>,
    dirty: bool,
    /// Where the last read ended, so that the next one does not search: segment, record, byte.
    cursor: Option<(Segment, u64, u64)>,
    /// An append that could not be undone: the file no longer ends where its records end.
    broken: bool,
}

impl Journal {
    /// Opens the journal in `config.dir` for a new life, `epoch`, and tells of the older ones, in
    /// their order. A torn tail is cut off and logged.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::Read`].
    pub fn open(config: Config, epoch: Epoch) -> Result<(Self, Vec<OlderEpoch>), Error> {
        let Config { dir, tasks, stop } = config;
        let open = |source| Error::Open { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(open)?;
        let mut segments = Segment::all(&dir, |path, bytes| {
            warn!(path = %path.display(), bytes, "a torn record at a segment's end was cut off");
        })?;
        assert!(
            segments.iter().all(|segment| segment.epoch < epoch),
            "the identity counts the epoch up before the journal is opened"
        );
        let older = older_epochs(&segments);
        let writing = Segment { epoch, first: 1, records: 0 };
        let file = create(&writing.path(&dir)).and_then(|file| sync_dir(&dir).map(|()| file));
        let file = file.map_err(open)?;
        segments.push(writing);
        let files = Files {
            segments,
            writing: file,
            written_bytes: 0,
            unsynced: Vec::new(),
            dirty: false,
            cursor: None,
            broken: false,
        };
        let journal = Self(Arc::new(Shared { dir, epoch, files: Mutex::new(files) }));
        let syncing = journal.clone();
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(SYNC_EVERY);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                if syncing.sync_off_thread().await.is_err() {
                    stop.cancel();
                }
            }
            drop(syncing.sync_off_thread().await);
        });
        Ok((journal, older))
    }

    /// Writes a record: it survives a kill of this process from here on. Returns its number.
    ///
    /// # Errors
    /// [`Error::Append`] (the disk is full, perhaps) and [`Error::TooLong`]: nothing was written.
    pub fn append(&self, spend: &SpendRecord) -> Result<u64, Error> {
        let frame = record::encode(spend)?;
        let mut files = self.files();
        if files.written_bytes >= SEGMENT_BYTES {
            self.roll(&mut files)?;
        }
        let before = files.written_bytes;
        let written = if files.broken {
            Err(io::Error::other("an earlier failed write could not be undone"))
        } else {
            files.writing.write_all(&frame)
        };
        let Files { segments, writing, written_bytes, dirty, broken, .. } = &mut *files;
        let current = segments.last_mut().expect("a segment is always open");
        if let Err(source) = written {
            *broken |= writing.set_len(before).is_err();
            return Err(Error::Append { path: current.path(&self.0.dir), source });
        }
        *written_bytes += frame.len() as u64;
        *dirty = true;
        current.records += 1;
        Ok(current.last())
    }

    /// The number of the last record of this life; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.files().segments.last().expect("a segment is always open").last()
    }

    /// Up to `max` records of `epoch` that follow record `after`, with their numbers.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn read_after(
        &self,
        epoch: Epoch,
        after: u64,
        max: usize,
    ) -> Result<Vec<(u64, SpendRecord)>, Error> {
        let (segment, cursor) = {
            let files = self.files();
            let wanted = |segment: &&Segment| segment.epoch == epoch && segment.last() > after;
            let Some(segment) = files.segments.iter().find(wanted).cloned() else {
                return Ok(Vec::new());
            };
            (segment, files.cursor.clone())
        };
        let skipped = (after + 1).saturating_sub(segment.first);
        let offset = match cursor {
            Some((read, record, offset))
                if read.first == segment.first && read.epoch == epoch && record == after =>
            {
                offset
            }
            _ => segment.offset_after(&self.0.dir, skipped)?,
        };
        let left = usize::try_from(segment.records - skipped).unwrap_or(usize::MAX);
        let (records, end) = segment.read(&self.0.dir, offset, max.min(left))?;
        let first = segment.first + skipped;
        self.files().cursor = Some((segment, first + records.len() as u64 - 1, end));
        Ok((first..).zip(records).collect())
    }

    /// Everything of `epoch` up to record `through` is settled: its closed segments are removed.
    pub fn settled(&self, epoch: Epoch, through: u64) {
        let mut files = self.files();
        let writing = files.segments.last().cloned();
        let dir = &self.0.dir;
        files.segments.retain(|segment| {
            let forgotten = segment.epoch == epoch
                && segment.last() <= through
                && Some(segment) != writing.as_ref();
            if forgotten && let Err(error) = fs::remove_file(segment.path(dir)) {
                warn!(path = %segment.path(dir).display(), %error, "a settled segment stays");
            }
            !forgotten
        });
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.files.lock().expect("no code panics while it holds the journal")
    }

    fn roll(&self, files: &mut Files) -> Result<(), Error> {
        let first = files.segments.last().expect("a segment is always open").last() + 1;
        let next = Segment { epoch: self.0.epoch, first, records: 0 };
        let path = next.path(&self.0.dir);
        let file = create(&path).map_err(|source| Error::Append { path, source })?;
        let closed = std::mem::replace(&mut files.writing, file);
        files.unsynced.push(closed);
        files.written_bytes = 0;
        files.segments.push(next);
        Ok(())
    }

    async fn sync_off_thread(&self) -> io::Result<()> {
        let journal = self.clone();
        let synced = tokio::task::spawn_blocking(move || journal.sync()).await;
        synced.unwrap_or_else(|panic| Err(io::Error::other(panic))).inspect_err(|error| {
            // After a failed sync nobody knows what is on the disk: a second try would lie.
            error!(%error, "the journal cannot be synced: this node ends");
        })
    }

    fn sync(&self) -> io::Result<()> {
        let (closed, writing) = {
            let mut files = self.files();
            let dirty = std::mem::take(&mut files.dirty);
            let writing = if dirty { Some(files.writing.try_clone()?) } else { None };
            (std::mem::take(&mut files.unsynced), writing)
        };
        let rolled = !closed.is_empty();
        for file in closed.iter().chain(&writing) {
            file.sync_data()?;
        }
        if rolled { sync_dir(&self.0.dir) } else { Ok(()) }
    }
}

fn older_epochs(segments: &[Segment]) -> Vec<OlderEpoch> {
    let mut older: Vec<OlderEpoch> = Vec::new();
    for segment in segments {
        let life = OlderEpoch { epoch: segment.epoch, last: segment.last() };
        match older.last_mut() {
            Some(known) if known.epoch == life.epoch => *known = life,
            _ => older.push(life),
        }
    }
    older
}

fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
