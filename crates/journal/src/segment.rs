//! One file of the journal, named by its epoch and the number of its first record.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use dunlin_types::Epoch;

use crate::Error;
use crate::record::{self, SpendRecord};

/// What is kept in mind of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) epoch: Epoch,
    /// The number of its first record, from 1.
    pub(crate) first: u64,
    /// How many whole records it has.
    pub(crate) records: u64,
}

impl Segment {
    pub(crate) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:016}-{:016}.log", self.epoch.0, self.first))
    }

    /// The number of its last record; one less than `first` while it has none.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.records - 1
    }

    /// The epoch and first record a file name stands for.
    fn named(name: &str) -> Option<(Epoch, u64)> {
        let (epoch, first) = name.strip_suffix(".log")?.split_once('-')?;
        Some((Epoch(epoch.parse().ok()?), first.parse().ok()?))
    }

    /// Counts a file's whole records, up to the first torn or damaged one, and tells how many
    /// bytes lie behind them.
    fn scan(dir: &Path, epoch: Epoch, first: u64) -> Result<(Self, usize), Error> {
        let mut segment = Self { epoch, first, records: 0 };
        let path = segment.path(dir);
        let bytes = fs::read(&path).map_err(|source| Error::Read { path, source })?;
        let mut at = 0;
        while let Some(length) = record::frame_length(&bytes[at..]) {
            at += length;
            segment.records += 1;
        }
        Ok((segment, bytes.len() - at))
    }

    /// All segments of `dir`, oldest first. What was cut off is told to `cut`.
    pub(crate) fn all(dir: &Path, mut cut: impl FnMut(&Path, usize)) -> Result<Vec<Self>, Error> {
        let open = |source| Error::Open { path: dir.to_owned(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(open)? {
            let name = entry.map_err(open)?.file_name();
            found.extend(name.to_str().and_then(Self::named));
        }
        found.sort_unstable();
        let mut segments = Vec::new();
        for (epoch, first) in found {
            let (segment, torn) = Self::scan(dir, epoch, first)?;
            if torn > 0 {
                cut(&segment.path(dir), torn);
            }
            segments.push(segment);
        }
        Ok(segments)
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
            let Some(record) = frames.next(record::decode)? else { break };
            records.push(record);
        }
        Ok((records, frames.at))
    }

    /// The byte behind the first `count` records of the file.
    pub(crate) fn offset_after(&self, dir: &Path, count: u64) -> Result<u64, Error> {
        let mut frames = self.frames(dir, 0)?;
        for _ in 0..count {
            frames.next(|bytes| Some(((), record::frame_length(bytes)?)))?;
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
