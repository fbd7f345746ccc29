//! The handle: appends under one short lock, reads back for settling, keeps what is settled for a
//! while.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_metrics::vital;
use dunlin_types::{Clock, Epoch, NodeId, UnixMillis};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::filter::Filter;
use crate::index;
use crate::metrics::Syncs;
use crate::recent::{MAX_RECENT_BYTES, Recent};
use crate::retention::{Bounds, Kept};
use crate::segment::{Name, Scanned, Segment, Shelf};
use crate::{
    Config, Error, ROLL_AFTER, SEGMENT_BYTES, SWEEP_EVERY, SYNC_EVERY, SpendRecord, frame,
};

/// A former life of this node with records that may not be settled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OlderEpoch {
    /// The life.
    pub epoch: Epoch,
    /// The number of its last record that survived.
    pub last: u64,
}

/// Who reads this life's records beside the settler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The metrics.
    Metrics,
    /// The callbacks.
    Callbacks,
}

/// The journal of this node. Cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    /// Held open, as what is written is: a node that runs out of descriptors can still sync.
    opened: File,
    epoch: Epoch,
    files: Mutex<Files>,
    syncs: Syncs,
}

struct Files {
    /// Nothing is written to them any more. Oldest first.
    closed: Vec<Arc<Segment>>,
    /// The one that is being written, and its words.
    current: Segment,
    words: Filter,
    writing: Arc<File>,
    /// Written and not synced yet: closed segments first, then the one being written.
    unsynced: Vec<Arc<File>>,
    /// Closed segments without an index file.
    unwritten: Vec<(Arc<Segment>, Filter)>,
    dirty: bool,
    recent: Recent,
    /// Records of this life up to here have been read, by reader. All, if that one does not read.
    read: [u64; 2],
    /// The last record that is settled, by life.
    settled: BTreeMap<Epoch, u64>,
    bounds: Bounds,
    /// Where the last read ended, so that the next one does not search: segment, record, byte.
    cursor: Option<(Name, u64, u64)>,
    /// An append that could not be undone: the file no longer ends where its records end.
    broken: bool,
}

impl Journal {
    /// Opens the journal in `config.dir` for a new life, `epoch`, and tells of the older ones, in
    /// their order. A torn tail is cut off and logged.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Read`] and [`Error::Form`].
    pub fn open(config: Config, epoch: Epoch) -> Result<(Self, Vec<OlderEpoch>), Error> {
        let Config { dir, bounds, clock, tasks, stop } = config;
        let open = |source| Error::Open { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(open)?;
        let Scanned { segments, mut unwritten } = Segment::all(&dir, |path, bytes| {
            warn!(path = %path.display(), bytes, "cut off a torn record at the end of a segment");
        })?;
        assert!(
            segments.iter().all(|segment| segment.epoch < epoch),
            "the identity counts the epoch up before the journal is opened"
        );
        // A life that recorded nothing has left an empty file.
        let (segments, empty): (Vec<_>, Vec<_>) =
            segments.into_iter().partition(|segment| segment.records > 0);
        unwritten.retain(|(name, _)| segments.iter().any(|segment| segment.name() == *name));
        for segment in &empty {
            segment.remove(&dir).map_err(open)?;
        }
        let older = older_epochs(&segments);
        let closed: Vec<_> = segments.into_iter().map(Arc::new).collect();
        let unwritten = unwritten.into_iter().filter_map(|(name, words)| {
            Some((Arc::clone(closed.iter().find(|segment| segment.name() == name)?), words))
        });
        let current = Segment::new((epoch, 1));
        let writing = create(&current.path(&dir)).map_err(open)?;
        let opened = File::open(&dir).map_err(open)?;
        opened.sync_all().map_err(open)?;
        let files = Files {
            unwritten: unwritten.collect(),
            closed,
            current,
            words: Filter::default(),
            writing: Arc::new(writing),
            unsynced: Vec::new(),
            dirty: false,
            recent: Recent::default(),
            read: [u64::MAX; 2],
            settled: BTreeMap::new(),
            bounds,
            cursor: None,
            broken: false,
        };
        let (files, syncs) = (Mutex::new(files), Syncs::default());
        let journal = Self(Arc::new(Shared { dir, opened, epoch, files, syncs }));
        let [synced_ends, swept_ends] =
            [stop.clone(), stop.clone()].map(|stop| move || stop.cancel());
        let synced = journal.clone().keep_synced(clock.clone(), stop.clone());
        tasks.spawn(vital(synced, synced_ends));
        tasks.spawn(vital(journal.clone().keep_swept(clock, stop), swept_ends));
        Ok((journal, older))
    }

    /// Has the disk hold what was written, until the node stops, which it does if the disk cannot.
    async fn keep_synced(self, clock: Clock, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SYNC_EVERY);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let began = clock.mono();
            match self.sync_off_thread().await {
                Ok(true) => self.0.syncs.took(clock.mono().since(began)),
                Ok(false) => {}
                Err(_) => stop.cancel(),
            }
        }
        drop(self.sync_off_thread().await);
    }

    /// Removes what has had its time, until the node stops.
    async fn keep_swept(self, clock: Clock, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let (journal, now) = (self.clone(), clock.unix());
            // What one that is cancelled leaves, the next one takes.
            if let Err(failed) = tokio::task::spawn_blocking(move || journal.sweep(now)).await
                && failed.is_panic()
            {
                std::panic::resume_unwind(failed.into_panic());
            }
        }
    }

    /// Writes a record: it survives a kill of this process from here on. Returns its number.
    ///
    /// # Errors
    /// [`Error::Append`] (the disk is full, perhaps) and [`Error::TooLong`]: nothing was written.
    pub fn append(&self, spend: &Arc<SpendRecord>) -> Result<u64, Error> {
        let (mut frame, hashes) = (frame::encode(spend)?, index::words(spend));
        let length = frame.len();
        let remembered = (length <= MAX_RECENT_BYTES).then(|| Arc::clone(spend));
        let mut files = self.files();
        if files.current.bytes >= SEGMENT_BYTES {
            self.roll(&mut files)?;
        }
        if files.current.bytes == 0 {
            frame.splice(..0, *frame::HEAD);
        }
        let Files { current, words, writing, dirty, broken, recent, .. } = &mut *files;
        *broken = *broken && writing.set_len(current.bytes).is_err();
        let written = if *broken {
            Err(io::Error::other("an earlier failed write could not be undone"))
        } else {
            writing.write_all(&frame)
        };
        if let Err(source) = written {
            *broken |= writing.set_len(current.bytes).is_err();
            return Err(Error::Append { path: current.path(&self.0.dir), source });
        }
        *dirty = true;
        current.add(spend, length);
        words.add(&hashes);
        recent.add(current.last(), remembered);
        Ok(current.last())
    }

    /// The number of the last record of this life; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.files().current.last()
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
    ) -> Result<Vec<(u64, Arc<SpendRecord>)>, Error> {
        let (segment, cursor) = {
            let files = self.files();
            let recent = || files.recent.after(after, max);
            if let Some(records) =
                Some(epoch).filter(|of| *of == self.0.epoch).and_then(|_| recent())
            {
                return Ok(records);
            }
            let wanted = |segment: &&Segment| segment.epoch == epoch && segment.last() > after;
            let mut segments = files.closed.iter().map(AsRef::as_ref).chain([&files.current]);
            let Some(segment) = segments.find(wanted).cloned() else {
                return Ok(Vec::new());
            };
            (segment, files.cursor)
        };
        let skipped = (after + 1).saturating_sub(segment.first);
        let offset = match cursor {
            Some((read, record, offset)) if read == segment.name() && record == after => offset,
            _ => segment.offset_after(&self.0.dir, skipped)?,
        };
        let left = usize::try_from(segment.records - skipped).unwrap_or(usize::MAX);
        let (records, end) = segment.read(&self.0.dir, offset, max.min(left))?;
        let first = segment.first + skipped;
        self.files().cursor = Some((segment.name(), first + records.len() as u64 - 1, end));
        Ok((first..).zip(records.into_iter().map(Arc::new)).collect())
    }

    /// Everything of `epoch` up to record `through` is settled: its closed segments may go once they
    /// are too old or too much.
    pub fn settled(&self, epoch: Epoch, through: u64) {
        let mut files = self.files();
        files.settled.insert(epoch, through);
        if epoch == self.0.epoch {
            let read = files.read_by_all();
            files.recent.forget(through.min(read));
        }
    }

    /// A reader beside the settler has read this life's records up to `read`: the others stay in
    /// memory, as far as there is room.
    pub fn keep_for(&self, reader: Reader, read: u64) {
        let mut files = self.files();
        files.read[reader as usize] = read;
        let settled = files.settled.get(&self.0.epoch).copied().unwrap_or_default();
        let read = files.read_by_all();
        files.recent.forget(settled.min(read));
    }

    /// Keeps so much from here on.
    pub fn keep(&self, bounds: Bounds) {
        self.files().bounds = bounds;
    }

    /// What `node`, whose journal this is, has now, to be searched.
    #[must_use]
    pub fn shelf(&self, node: NodeId) -> Shelf {
        let files = self.files();
        let mut segments = files.closed.clone();
        segments.push(Arc::new(files.current.clone()));
        Shelf { node, dir: self.0.dir.clone(), segments }
    }

    /// Its segments, oldest first: in which life each was begun, the number of its first record, and
    /// how long it is.
    #[must_use]
    pub fn segments(&self) -> Vec<(Epoch, u64, u64)> {
        let files = self.files();
        let segments = files.closed.iter().map(AsRef::as_ref).chain([&files.current]);
        segments.map(|segment| (segment.epoch, segment.first, segment.bytes)).collect()
    }

    /// Whole frames of a segment from byte `offset` on, with the head before the first: as many as
    /// `max` bytes hold, but one at least if there is one.
    ///
    /// # Errors
    /// [`Error::Read`], also when the segment has gone.
    pub fn frames(&self, segment: Name, offset: u64, max: usize) -> Result<Vec<u8>, Error> {
        let found = {
            let files = self.files();
            let mut segments = files.closed.iter().map(AsRef::as_ref).chain([&files.current]);
            segments.find(|known| known.name() == segment).cloned()
        };
        let found = found.ok_or_else(|| Segment::gone(&self.0.dir, segment))?;
        found.whole_frames(&self.0.dir, offset, max)
    }

    pub(crate) fn syncs(&self) -> &Syncs {
        &self.0.syncs
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.files.lock().expect("no code panics while it holds the journal")
    }

    fn roll(&self, files: &mut Files) -> Result<(), Error> {
        let next = Segment::new((self.0.epoch, files.current.last() + 1));
        let path = next.path(&self.0.dir);
        let file = create(&path).map_err(|source| Error::Append { path, source })?;
        let writing = std::mem::replace(&mut files.writing, Arc::new(file));
        let closed = Arc::new(std::mem::replace(&mut files.current, next));
        files.unsynced.push(writing);
        files.unwritten.push((Arc::clone(&closed), std::mem::take(&mut files.words)));
        files.closed.push(closed);
        Ok(())
    }

    /// Lets go what is settled and too old or too much.
    pub(crate) fn sweep(&self, now: UnixMillis) {
        let dir = &self.0.dir;
        let mut files = self.files();
        // Else one that is seldom written would keep its first records for ever.
        let began = files.current.blocks.began();
        if began.is_some_and(|began| now.0.saturating_sub(began.0) > ROLL_AFTER)
            && let Err(error) = self.roll(&mut files)
        {
            warn!(%error, "cannot start a new segment: the request log continues in the old one");
        }
        let kept = |segment: &Segment, spare| Kept {
            bytes: segment.bytes,
            ended: segment.blocks.ended,
            spare,
        };
        let settled = |segment: &Segment| {
            files.settled.get(&segment.epoch).is_some_and(|through| segment.last() <= *through)
        };
        let closed = files.closed.iter().map(|segment| kept(segment, settled(segment)));
        let segments: Vec<_> = closed.chain([kept(&files.current, false)]).collect();
        let mut keep = files.bounds.keep(&segments, now).into_iter();
        let mut gone = Vec::new();
        files.closed.retain(|segment| {
            let keep = keep.next().expect("one for each");
            if !keep {
                gone.push(Arc::clone(segment));
            }
            keep
        });
        let Files { unwritten, closed, .. } = &mut *files;
        unwritten.retain(|(segment, _)| closed.iter().any(|kept| kept.name() == segment.name()));
        drop(files);
        for segment in gone {
            if let Err(error) = segment.remove(dir) {
                warn!(path = %segment.path(dir).display(), %error, "cannot delete an old segment");
            }
        }
    }

    /// Whether there was something to sync.
    async fn sync_off_thread(&self) -> io::Result<bool> {
        if self.files().is_synced() {
            return Ok(false);
        }
        let journal = self.clone();
        let synced = tokio::task::spawn_blocking(move || journal.sync()).await;
        synced.unwrap_or_else(|panic| Err(io::Error::other(panic))).inspect_err(|error| {
            // After a failed sync nobody knows what is on the disk: a second try would lie.
            error!(%error, "the journal cannot be synced: this node exits");
        })
    }

    fn sync(&self) -> io::Result<bool> {
        let (closed, writing, unwritten) = {
            let mut files = self.files();
            let dirty = std::mem::take(&mut files.dirty);
            let writing = dirty.then(|| Arc::clone(&files.writing));
            let unwritten = std::mem::take(&mut files.unwritten);
            (std::mem::take(&mut files.unsynced), writing, unwritten)
        };
        let rolled = !closed.is_empty();
        let any = rolled || writing.is_some();
        for file in closed.iter().chain(&writing) {
            file.sync_data()?;
        }
        for (segment, words) in unwritten {
            // Without it the segment is read whole: slow, and right.
            if let Err(error) = segment.write_index(&self.0.dir, &words) {
                let path = segment.path(&self.0.dir);
                warn!(path = %path.display(), %error, "cannot index a segment");
            }
        }
        if rolled {
            self.0.opened.sync_all()?;
        }
        Ok(any)
    }
}

impl Files {
    fn read_by_all(&self) -> u64 {
        self.read.into_iter().min().expect("there are readers")
    }

    fn is_synced(&self) -> bool {
        !self.dirty && self.unsynced.is_empty() && self.unwritten.is_empty()
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

pub(crate) fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
