//! One file of records, named by its epoch and the number of its first record, and its index.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_types::{Epoch, NodeId};

use crate::filter::Filter;
use crate::index::{self, Blocks, Head};
use crate::{Error, SpendRecord, frame};

/// What a segment is called: in which life it was begun, and the number of its first record, from 1.
pub(crate) type Name = (Epoch, u64);

/// What is kept in mind of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) epoch: Epoch,
    /// The number of its first record, from 1.
    pub(crate) first: u64,
    /// How many whole records it has.
    pub(crate) records: u64,
    /// How long they are together, with the head before them; 0 while there are none.
    pub(crate) bytes: u64,
    pub(crate) blocks: Blocks,
}

/// What was found in a folder.
pub(crate) struct Scanned {
    /// Oldest first.
    pub(crate) segments: Vec<Segment>,
    /// The words of those that have no index file, by their name.
    pub(crate) unwritten: Vec<(Name, Filter)>,
}

impl Segment {
    /// One without records.
    pub(crate) fn new((epoch, first): Name) -> Self {
        Self { epoch, first, records: 0, bytes: 0, blocks: Blocks::default() }
    }

    pub(crate) fn name(&self) -> Name {
        (self.epoch, self.first)
    }

    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        path(dir, self.name())
    }

    fn index_path(&self, dir: &Path) -> PathBuf {
        self.path(dir).with_extension("idx")
    }

    /// The number of its last record; one less than `first` while it has none.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.records - 1
    }

    /// The next record was written behind the others, or behind the head.
    pub(crate) fn add(&mut self, record: &SpendRecord, length: usize) {
        let offset = self.bytes.max(frame::HEAD.len() as u64);
        self.blocks.add(offset, record);
        self.records += 1;
        self.bytes = offset + length as u64;
    }

    /// The epoch and first record a file name stands for.
    fn named(name: &str) -> Option<Name> {
        let (epoch, first) = name.strip_suffix(".log")?.split_once('-')?;
        Some((Epoch(epoch.parse().ok()?), first.parse().ok()?))
    }

    /// Reads a file's whole records, up to the first torn or damaged one, and tells how many bytes
    /// lie behind them.
    fn scan(dir: &Path, name: Name) -> Result<(Self, Filter, usize), Error> {
        let (mut segment, mut words) = (Self::new(name), Filter::default());
        let path = segment.path(dir);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(Error::Read { path, source }),
        };
        let mut at = frame::begin(&bytes).ok_or(Error::Form { path })?;
        while let Some((record, length)) = frame::decode(&bytes[at..]) {
            segment.add(&record, length);
            words.add(&index::words(&record));
            at += length;
        }
        Ok((segment, words, bytes.len() - at))
    }

    /// All segments of `dir`. Those with an index are not read. What was cut off is told to `cut`.
    pub(crate) fn all(dir: &Path, mut cut: impl FnMut(&Path, usize)) -> Result<Scanned, Error> {
        let open = |source| Error::Open { path: dir.to_owned(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(open)? {
            let name = entry.map_err(open)?.file_name();
            found.extend(name.to_str().and_then(Self::named));
        }
        found.sort_unstable();
        let (mut segments, mut unwritten) = (Vec::new(), Vec::new());
        for name in found {
            if let Some(segment) = Self::indexed(dir, name) {
                segments.push(segment);
                continue;
            }
            let (segment, words, torn) = Self::scan(dir, name)?;
            if torn > 0 {
                cut(&segment.path(dir), torn);
            }
            unwritten.push((name, words));
            segments.push(segment);
        }
        Ok(Scanned { segments, unwritten })
    }

    /// As its index file has it. `None`: there is none for this file.
    fn indexed(dir: &Path, name: Name) -> Option<Self> {
        let segment = Self::new(name);
        let (head, _) = index::read(&segment.index_path(dir))?;
        let Head { file_bytes, bytes, records, blocks } = head;
        let is_same = fs::metadata(segment.path(dir)).ok()?.len() == file_bytes;
        is_same.then_some(Self { records, bytes, blocks, ..segment })
    }

    /// Nothing is written to it any more: writes its index file.
    pub(crate) fn write_index(&self, dir: &Path, words: &Filter) -> io::Result<()> {
        let file_bytes = fs::metadata(self.path(dir))?.len();
        let Self { bytes, records, blocks, .. } = self.clone();
        let head = Head { file_bytes, bytes, records, blocks };
        index::write(&self.index_path(dir), &head, &words.clone().folded())
    }

    /// The words of its records, if they are on disk.
    pub(crate) fn words(&self, dir: &Path) -> Option<Filter> {
        index::read(&self.index_path(dir)).map(|(_, words)| words)
    }

    /// Whole frames from byte `offset` on, with the head before the first: as many as `max` bytes hold,
    /// but one at least if there is one.
    pub(crate) fn whole_frames(
        &self,
        dir: &Path,
        offset: u64,
        max: usize,
    ) -> Result<Vec<u8>, Error> {
        let left = self.bytes.saturating_sub(offset);
        let mut bytes = self.slice(dir, offset, left.min(max as u64))?;
        let head = if offset == 0 { frame::HEAD.len() } else { 0 };
        let mut whole = frame::whole(&bytes, head);
        if whole == 0 && left > max as u64 {
            let longer = frame::MAX_FRAME.max(max) as u64;
            bytes = self.slice(dir, offset, left.min(longer))?;
            whole = bytes.get(head..).and_then(frame::frame_length).unwrap_or_default();
        }
        bytes.truncate(if whole == 0 { 0 } else { head + whole });
        Ok(bytes)
    }

    /// A deleted one cannot be read.
    pub(crate) fn gone(dir: &Path, name: Name) -> Error {
        let source = io::Error::from(io::ErrorKind::NotFound);
        Error::Read { path: path(dir, name), source }
    }

    /// Removes its files.
    pub(crate) fn remove(&self, dir: &Path) -> io::Result<()> {
        fs::remove_file(self.path(dir))?;
        match fs::remove_file(self.index_path(dir)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Reads up to `max` records from byte `offset` of the file; also the offset behind them.
    pub(crate) fn read(
        &self,
        dir: &Path,
        offset: u64,
        max: usize,
    ) -> Result<(Vec<SpendRecord>, u64), Error> {
        let mut frames = self.frames(dir, offset)?;
        let mut records = Vec::new();
        while records.len() < max {
            let Some(record) = frames.next(frame::decode)? else { break };
            records.push(record);
        }
        Ok((records, frames.at))
    }

    /// The records of one of its blocks, with their numbers and the lengths of their frames.
    pub(crate) fn block(
        &self,
        dir: &Path,
        block: usize,
    ) -> Result<Vec<(u64, SpendRecord, usize)>, Error> {
        let place = self.blocks.blocks[block];
        let before: u64 =
            self.blocks.blocks[..block].iter().map(|one| u64::from(one.records)).sum();
        let end = self.blocks.blocks.get(block + 1).map_or(self.bytes, |next| next.offset);
        let bytes = self.slice(dir, place.offset, end - place.offset)?;
        let (mut records, mut at) = (Vec::with_capacity(place.records as usize), 0);
        for number in (self.first + before..).take(place.records as usize) {
            let Some((record, length)) = frame::decode(&bytes[at..]) else { break };
            records.push((number, record, length));
            at += length;
        }
        Ok(records)
    }

    /// `length` bytes of its file from `offset` on.
    pub(crate) fn slice(&self, dir: &Path, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        let path = self.path(dir);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            file.take(length).read_to_end(&mut bytes)
        });
        read.map_err(|source| Error::Read { path, source })?;
        Ok(bytes)
    }

    /// The byte behind the first `count` records of the file.
    pub(crate) fn offset_after(&self, dir: &Path, count: u64) -> Result<u64, Error> {
        let (mut left, mut offset) = (count, 0);
        for block in &self.blocks.blocks {
            offset = block.offset;
            if left < u64::from(block.records) {
                break;
            }
            left -= u64::from(block.records);
            offset = self.bytes;
        }
        let mut frames = self.frames(dir, offset)?;
        for _ in 0..left {
            frames.next(|bytes| Some(((), frame::frame_length(bytes)?)))?;
        }
        Ok(frames.at)
    }

    fn frames(&self, dir: &Path, offset: u64) -> Result<Frames, Error> {
        let path = self.path(dir);
        let opened = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        });
        match opened {
            Ok(file) => Ok(Frames { path, file, at: offset, held: Vec::new(), start: 0 }),
            Err(source) => Err(Error::Read { path, source }),
        }
    }
}

/// Where a segment's file is.
fn path(dir: &Path, (epoch, first): Name) -> PathBuf {
    dir.join(format!("{:016}-{:016}.log", epoch.0, first))
}

/// The segments of a folder at one moment.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The node whose records they are.
    pub(crate) node: NodeId,
    pub(crate) dir: PathBuf,
    pub(crate) segments: Vec<Arc<Segment>>,
}

impl Shelf {
    /// What `node` has in a folder, as it is there.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Read`] and [`Error::Form`].
    pub fn open(node: NodeId, dir: PathBuf) -> Result<Self, Error> {
        let Scanned { segments, .. } = Segment::all(&dir, |_, _| ())?;
        Ok(Self { node, dir, segments: segments.into_iter().map(Arc::new).collect() })
    }

    /// The node whose records they are.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.iter().all(|segment| segment.records == 0)
    }
}

/// A segment being read from somewhere on, a piece at a time.
struct Frames {
    path: PathBuf,
    file: File,
    /// The byte of the file behind the last frame taken.
    at: u64,
    held: Vec<u8>,
    /// Where in `held` the next frame begins.
    start: usize,
}

/// What is read of a file at a time.
const PIECE: u64 = 256 << 10;

impl Frames {
    /// What `decode` makes of the next frame. `None`: there is no whole one.
    fn next<T>(
        &mut self,
        decode: impl Fn(&[u8]) -> Option<(T, usize)>,
    ) -> Result<Option<T>, Error> {
        loop {
            if let Some((decoded, length)) = decode(&self.held[self.start..]) {
                self.start += length;
                self.at += length as u64;
                return Ok(Some(decoded));
            }
            self.held.drain(..self.start);
            self.start = 0;
            let read = (&self.file).take(PIECE).read_to_end(&mut self.held);
            let read = read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
            if read == 0 {
                return Ok(None);
            }
        }
    }
}
