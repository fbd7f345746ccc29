//! The bodies that this node holds: segment files, each begun by one life of the node and never
//! written again by another, and an index of what lies where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use dunlin_types::{RequestId, UnixMillis};
use tracing::warn;

use crate::record::{Body, HEAD_BYTES, Head};
use crate::{Entry, Error, Found, Label};

/// What a shelf holds at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// A segment is closed when it has this many.
    pub(crate) segment_bytes: u64,
    /// Of all segments.
    pub(crate) bytes: u64,
    /// Of all segments, deleted ones that are still remembered included.
    pub(crate) bodies: usize,
}

pub(crate) struct Shelf {
    dir: PathBuf,
    bounds: Bounds,
    files: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    /// Oldest first.
    segments: BTreeMap<u64, Segment>,
    index: BTreeMap<RequestId, Place>,
    /// What can be found by its label, the oldest first.
    labelled: BTreeSet<(Label, UnixMillis, RequestId)>,
    /// The last segment's, once something was written in this life.
    writing: Option<File>,
    unsynced: Vec<File>,
    dirty: bool,
    /// Folder entries that are not synced.
    rolled: bool,
}

#[derive(Clone, Copy, Default)]
struct Segment {
    bytes: u64,
    /// When the last of its bodies has had its time.
    until: UnixMillis,
}

#[derive(Clone, Copy)]
struct Place {
    segment: u64,
    /// Of the body.
    offset: u64,
    label: Option<Label>,
    made: UnixMillis,
    until: UnixMillis,
    body: Option<Body>,
}

impl Place {
    fn entry(&self, id: RequestId) -> Option<(Label, UnixMillis, RequestId)> {
        self.label.filter(|_| self.body.is_some()).map(|label| (label, self.made, id))
    }
}

impl Shelf {
    /// Reads the heads of what is there. A torn tail is left out and logged.
    pub(crate) fn open(dir: PathBuf, bounds: Bounds, now: UnixMillis) -> Result<Self, Error> {
        let open = |source| Error::Open { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(open)?;
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&dir).map_err(open)? {
            let name = entry.map_err(open)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".seg"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let mut files = Files::default();
        for number in numbers {
            let path = path(&dir, number);
            files.scan(number, &path).map_err(|source| Error::Read { path, source })?;
        }
        let shelf = Self { dir, bounds, files: Mutex::new(files) };
        shelf.expire(now);
        Ok(shelf)
    }

    /// Puts a body here; one with its id gives way. A deleted one stays deleted.
    pub(crate) fn put(&self, entry: Entry, body: &[u8]) -> io::Result<()> {
        let Entry { id, label, made, until } = entry;
        let known = Body::of(body).ok_or_else(|| io::Error::other("the body is too long"))?;
        let mut files = self.files();
        if files.index.get(&id).is_some_and(|place| place.body.is_none()) {
            return Ok(());
        }
        self.append(&mut files, Head { id, label, made, until, body: Some(known) }, body)
    }

    /// A disk that is as slow as `held` says.
    #[cfg(test)]
    pub(crate) fn stall(&self, held: impl FnOnce()) {
        let _files = self.files();
        held();
    }

    /// What has that label, the newest first, `most` at most.
    pub(crate) fn labelled(&self, label: Label, now: UnixMillis, most: usize) -> Vec<Entry> {
        let files = self.files();
        let from = (label, UnixMillis(0), RequestId(0));
        let to = (label, UnixMillis(u64::MAX), RequestId(u128::MAX));
        let all = files.labelled.range(from..=to).rev();
        let all = all.filter_map(|(label, made, id)| {
            let until = files.index.get(id)?.until;
            Some(Entry { id: *id, label: Some(*label), made: *made, until })
        });
        all.filter(|entry| entry.until > now).take(most).collect()
    }

    /// Remembers until a moment that it was deleted.
    pub(crate) fn delete(&self, id: RequestId, until: UnixMillis) -> io::Result<()> {
        let head = Head { id, label: None, made: UnixMillis(0), until, body: None };
        self.append(&mut self.files(), head, &[])
    }

    /// What is remembered to be deleted, and until when.
    pub(crate) fn deleted(&self, now: UnixMillis) -> Vec<(RequestId, UnixMillis)> {
        let files = self.files();
        let gone = files.index.iter().filter(|(_, place)| place.body.is_none());
        gone.map(|(id, place)| (*id, place.until)).filter(|(_, until)| *until > now).collect()
    }

    /// Deletes those of them that are here.
    pub(crate) fn forget(&self, deleted: &[(RequestId, UnixMillis)]) -> io::Result<()> {
        for (id, until) in deleted {
            let mut files = self.files();
            if files.index.get(id).is_some_and(|place| place.body.is_some()) {
                let (id, until) = (*id, *until);
                let head = Head { id, label: None, made: UnixMillis(0), until, body: None };
                self.append(&mut files, head, &[])?;
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, id: RequestId, now: UnixMillis) -> io::Result<Found> {
        let place = self.files().index.get(&id).copied().filter(|place| place.until > now);
        let Some(place) = place else { return Ok(Found::Missing) };
        let Some(known) = place.body else { return Ok(Found::Deleted) };
        let mut body = vec![0; usize::try_from(known.length).unwrap_or(usize::MAX)];
        let read = File::open(path(&self.dir, place.segment))
            .and_then(|file| file.read_exact_at(&mut body, place.offset));
        match read {
            Ok(()) if known.is(&body) => Ok(Found::Body(Bytes::from(body))),
            Ok(()) => Err(io::Error::new(io::ErrorKind::InvalidData, "the stored body is damaged")),
            // Its segment went meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Missing),
            Err(error) => Err(error),
        }
    }

    /// Removes the segments whose bodies have all had their time, and the oldest beyond the bounds.
    pub(crate) fn expire(&self, now: UnixMillis) {
        let mut files = self.files();
        let over = |(number, segment): (&u64, &Segment)| (segment.until <= now).then_some(*number);
        let old: Vec<u64> = files.segments.iter().filter_map(over).collect();
        for number in old {
            self.remove(&mut files, number);
        }
        self.bound(&mut files);
    }

    /// Syncs what was written. After a failure nobody knows what is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let (closed, writing, rolled) = {
            let mut files = self.files();
            let dirty = std::mem::take(&mut files.dirty);
            let writing = files.writing.as_ref().filter(|_| dirty).map(File::try_clone);
            let rolled = std::mem::take(&mut files.rolled);
            (std::mem::take(&mut files.unsynced), writing.transpose()?, rolled)
        };
        for file in closed.iter().chain(&writing) {
            file.sync_data()?;
        }
        if rolled { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }

    fn append(&self, files: &mut Files, head: Head, body: &[u8]) -> io::Result<()> {
        let last = files.segments.last_key_value().map(|(number, segment)| (*number, *segment));
        let number = match last {
            Some((number, segment))
                if files.writing.is_some() && segment.bytes < self.bounds.segment_bytes =>
            {
                number
            }
            last => self.roll(files, last.map_or(1, |(number, _)| number + 1))?,
        };
        let segment = files.segments.get_mut(&number).expect("it was found or made above");
        let at = segment.bytes;
        let file = files.writing.as_mut().expect("a segment being written is open");
        let mut frame = Vec::with_capacity(HEAD_BYTES + body.len());
        frame.extend_from_slice(&head.write());
        frame.extend_from_slice(body);
        if let Err(error) = file.write_all(&frame) {
            // What cannot be undone must not be followed by anything: the next record begins a file.
            if file.set_len(at).is_err() {
                files.writing = None;
            }
            return Err(error);
        }
        segment.bytes += frame.len() as u64;
        segment.until = segment.until.max(head.until);
        let offset = at + HEAD_BYTES as u64;
        files.place(&head, number, offset);
        files.dirty = true;
        self.bound(files);
        Ok(())
    }

    fn roll(&self, files: &mut Files, number: u64) -> io::Result<u64> {
        let mut options = OpenOptions::new();
        let file =
            options.append(true).create_new(true).mode(0o600).open(path(&self.dir, number))?;
        files.unsynced.extend(files.writing.replace(file));
        files.segments.insert(number, Segment::default());
        files.rolled = true;
        Ok(number)
    }

    /// Lets the oldest segments go while there is too much; never the one being written.
    fn bound(&self, files: &mut Files) {
        let total = |files: &Files| files.segments.values().map(|one| one.bytes).sum::<u64>();
        while files.segments.len() > 1
            && (total(files) > self.bounds.bytes || files.index.len() > self.bounds.bodies)
        {
            let Some((&oldest, _)) = files.segments.first_key_value() else { return };
            warn!(segment = oldest, "dropping stored bodies before they expire: the store is full");
            self.remove(files, oldest);
        }
    }

    fn remove(&self, files: &mut Files, number: u64) {
        let is_last = files.segments.last_key_value().is_some_and(|(last, _)| *last == number);
        if is_last {
            files.writing = None;
        }
        files.segments.remove(&number);
        let Files { index, labelled, .. } = files;
        index.retain(|id, place| {
            let stays = place.segment != number;
            if !stays && let Some(entry) = place.entry(*id) {
                labelled.remove(&entry);
            }
            stays
        });
        let path = path(&self.dir, number);
        if let Err(error) = fs::remove_file(&path) {
            warn!(path = %path.display(), %error, "cannot delete a segment of the store");
        }
    }

    /// How many entries there are, and the bytes of all segments.
    pub(crate) fn size(&self) -> (usize, u64) {
        let files = self.files();
        (files.index.len(), files.segments.values().map(|segment| segment.bytes).sum())
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("no code panics while it holds the store")
    }
}

impl Files {
    /// Takes note of what lies where, instead of what had its id before.
    fn place(&mut self, head: &Head, segment: u64, offset: u64) {
        let Head { id, label, made, until, body } = *head;
        let place = Place { segment, offset, label, made, until, body };
        self.labelled.extend(place.entry(id));
        if let Some(before) = self.index.insert(id, place)
            && before.entry(id) != place.entry(id)
            && let Some(entry) = before.entry(id)
        {
            self.labelled.remove(&entry);
        }
    }

    /// Reads the heads of a segment, up to the first that is torn or damaged.
    fn scan(&mut self, number: u64, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut segment = Segment { bytes: size, until: UnixMillis(0) };
        let mut at = 0;
        while let Some(head) = read_head(&file, at, size)? {
            let offset = at + HEAD_BYTES as u64;
            self.place(&head, number, offset);
            segment.until = segment.until.max(head.until);
            at = offset + head.length();
        }
        if at < size {
            let bytes = size - at;
            warn!(path = %path.display(), bytes, "ignored a torn body at the end of a segment");
        }
        self.segments.insert(number, segment);
        Ok(())
    }
}

/// The head at that byte, if it and its body are whole.
fn read_head(file: &File, at: u64, size: u64) -> io::Result<Option<Head>> {
    let Some(room) = size.checked_sub(at + HEAD_BYTES as u64) else { return Ok(None) };
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, at)?;
    Ok(Head::read(&head).filter(|head| head.length() <= room))
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.seg"))
}

#[cfg(test)]
mod tests;
