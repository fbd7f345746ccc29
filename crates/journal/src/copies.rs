//! Copies of other nodes' journals: of each segment the first so many bytes, as they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_types::{Epoch, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::filter::Filter;
use crate::journal::{create, sync_dir};
use crate::retention::{Bounds, Kept};
use crate::segment::{Name, Scanned, Segment, Shelf};
use crate::{Error, frame, index};

/// All copies together may be this many times as large as the node's own log may be.
const TIMES_OWN: u64 = 2;

/// The copies that this node keeps for others. Cheap to clone. What is told of files is in their
/// order: the oldest life first.
#[derive(Clone)]
pub struct Copies(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    /// One writer of files at a time; whoever only looks does not wait for its disk.
    writing: Mutex<()>,
    origins: Mutex<BTreeMap<NodeId, Origin>>,
}

/// What is held of one node.
#[derive(Default)]
struct Origin {
    segments: BTreeMap<Name, Copy>,
    /// The last segment that was let go, as too old or too much: neither it nor an older one is
    /// wanted again.
    gone: Option<Name>,
}

struct Copy {
    segment: Arc<Segment>,
    /// Its words, until they are in its index file.
    words: Option<Filter>,
}

/// What is held of one node's journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// In which life each segment was begun, the number of its first record, and how many of its
    /// bytes are here.
    pub segments: Vec<(Epoch, u64, u64)>,
    /// Up to this one, segments are not wanted.
    pub gone: Option<(Epoch, u64)>,
}

/// Neighbouring records that are held: the life, the first number and the last.
pub type Run = (Epoch, u64, u64);

/// Why a piece of a segment is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The piece does not begin where what is held ends.
    #[error("the copy has {held} bytes of the segment, and the piece begins at {offset}")]
    Elsewhere {
        /// What is held, in bytes.
        held: u64,
        /// Where the piece begins.
        offset: u64,
    },
    /// The piece is the first one of a segment whose form this version does not read.
    #[error("the segment is in a form that this version does not read")]
    Form,
    /// The piece does not consist of whole, undamaged frames.
    #[error("the piece is damaged")]
    Damaged,
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] Error),
}

impl Copies {
    /// Opens what is kept in `dir`.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Read`] and [`Error::Form`].
    pub fn open(dir: PathBuf) -> Result<Self, Error> {
        let cannot = |source| Error::Open { path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(cannot)?;
        let mut origins = BTreeMap::new();
        for entry in fs::read_dir(&dir).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            let Some(node) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            origins.insert(node, Origin::open(dir.join(name))?);
        }
        let (writing, origins) = (Mutex::default(), Mutex::new(origins));
        Ok(Self(Arc::new(Shared { dir, writing, origins })))
    }

    /// What is held of a node's journal.
    #[must_use]
    pub fn held(&self, node: NodeId) -> Held {
        let origins = self.origins();
        let Some(origin) = origins.get(&node) else { return Held::default() };
        let segments = origin.segments.values().map(|copy| {
            let Segment { epoch, first, bytes, .. } = &*copy.segment;
            (*epoch, *first, *bytes)
        });
        Held { segments: segments.collect(), gone: origin.gone }
    }

    /// Of which nodes something is held.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        let origins = self.origins();
        let some = origins.iter().filter(|(_, origin)| !origin.segments.is_empty());
        some.map(|(node, _)| *node).collect()
    }

    /// Whole frames of the copy of a segment, as [`crate::Journal::frames`] has them of the segment.
    ///
    /// # Errors
    /// [`Error::Read`], also when the copy has gone.
    pub fn frames(
        &self,
        node: NodeId,
        segment: Name,
        offset: u64,
        max: usize,
    ) -> Result<Vec<u8>, Error> {
        let dir = self.dir_of(node);
        let found = {
            let origins = self.origins();
            let copy = origins.get(&node).and_then(|origin| origin.segments.get(&segment));
            copy.map(|copy| Arc::clone(&copy.segment))
        };
        found.ok_or_else(|| Segment::gone(&dir, segment))?.whole_frames(&dir, offset, max)
    }

    /// Adds a piece to the copy of a segment; it is on the disk when this returns. Returns how many
    /// bytes of the segment are held now.
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was added.
    pub fn add(
        &self,
        node: NodeId,
        name: (Epoch, u64),
        offset: u64,
        frames: &[u8],
    ) -> Result<u64, NotTaken> {
        let _writing = self.writing();
        let dir = self.dir_of(node);
        let known = {
            let origins = self.origins();
            let copy = origins.get(&node).and_then(|origin| origin.segments.get(&name));
            copy.map(|copy| (Segment::clone(&copy.segment), copy.words.clone()))
        };
        let held = known.as_ref().map_or(0, |(segment, _)| segment.bytes);
        if held != offset {
            return Err(NotTaken::Elsewhere { held, offset });
        }
        let (mut segment, mut words) = match known {
            Some((segment, Some(words))) => (segment, words),
            Some((segment, None)) => {
                let words = segment.words(&dir).unwrap_or_default();
                (segment, words)
            }
            None => (Segment::new(name), Filter::default()),
        };
        let mut at = if offset == 0 { frame::begin(frames).ok_or(NotTaken::Form)? } else { 0 };
        while at < frames.len() {
            let (record, length) = frame::decode(&frames[at..]).ok_or(NotTaken::Damaged)?;
            segment.add(&record, length);
            words.add(&index::words(&record));
            at += length;
        }
        let path = segment.path(&dir);
        let written = fs::create_dir_all(&dir).and_then(|()| {
            let mut file = create(&path)?;
            // What a crash left behind the last whole frame is not in the way.
            file.set_len(offset)?;
            file.write_all(frames)?;
            file.sync_data()?;
            if offset == 0 { sync_dir(&dir) } else { Ok(()) }
        });
        written.map_err(|source| Error::Append { path, source })?;
        let bytes = segment.bytes;
        let copy = Copy { segment: Arc::new(segment), words: Some(words) };
        self.origins().entry(node).or_default().segments.insert(name, copy);
        Ok(bytes)
    }

    /// The copies of all nodes but some, to be searched.
    #[must_use]
    pub fn shelves(&self, except: &BTreeSet<NodeId>) -> Vec<Shelf> {
        let origins = self.origins();
        let wanted = origins.iter().filter(|(node, _)| !except.contains(node));
        let shelf = |(node, origin): (&NodeId, &Origin)| {
            let segments = origin.segments.values().map(|copy| Arc::clone(&copy.segment));
            Shelf { node: *node, dir: self.dir_of(*node), segments: segments.collect() }
        };
        wanted.map(shelf).collect()
    }

    /// Which records of which nodes are held.
    #[must_use]
    pub fn runs(&self) -> BTreeMap<NodeId, Vec<Run>> {
        let origins = self.origins();
        let runs = |origin: &Origin| {
            let segments = origin.segments.values().map(|copy| &copy.segment);
            segments.map(|one| (one.epoch, one.first, one.last())).collect()
        };
        origins.iter().map(|(node, origin)| (*node, runs(origin))).collect()
    }

    /// How large all of it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let origins = self.origins();
        let copies = origins.values().flat_map(|origin| origin.segments.values());
        copies.map(|copy| copy.segment.bytes).sum()
    }

    /// Lets go what is too old or too much, and writes the indexes of what is whole.
    pub fn sweep(&self, bounds: Bounds, now: UnixMillis) {
        let _writing = self.writing();
        let mut origins = self.origins();
        let mut all: Vec<(UnixMillis, NodeId, Name, u64)> = Vec::new();
        for (node, origin) in origins.iter() {
            let of_node = origin
                .segments
                .iter()
                .map(|(name, copy)| (copy.segment.blocks.ended, *node, *name, copy.segment.bytes));
            all.extend(of_node);
        }
        all.sort_unstable();
        let kept = all.iter().map(|(ended, _, _, bytes)| Kept {
            bytes: *bytes,
            ended: *ended,
            spare: true,
        });
        let bounds = Bounds { bytes: bounds.bytes.saturating_mul(TIMES_OWN), ..bounds };
        let keep = bounds.keep(&kept.collect::<Vec<_>>(), now);
        let mut gone = Vec::new();
        for ((_, node, name, _), _) in all.iter().zip(keep).filter(|(_, keep)| !keep) {
            let origin = origins.get_mut(node).expect("it was just listed");
            origin.gone = origin.gone.max(Some(*name));
            gone.extend(origin.segments.remove(name).map(|copy| (*node, copy.segment)));
        }
        let mut written = Vec::new();
        for (node, origin) in origins.iter_mut() {
            let last = origin.segments.keys().next_back().copied();
            let whole = origin.segments.iter_mut().filter(|(name, _)| Some(**name) != last);
            written.extend(whole.filter_map(|(_, copy)| {
                Some((*node, Arc::clone(&copy.segment), copy.words.take()?))
            }));
        }
        drop(origins);
        for (node, segment) in gone {
            let dir = self.dir_of(node);
            if let Err(error) = segment.remove(&dir) {
                warn!(path = %segment.path(&dir).display(), %error, "cannot delete an old copy of a segment");
            }
        }
        for (node, segment, words) in written {
            let dir = self.dir_of(node);
            if let Err(error) = segment.write_index(&dir, &words) {
                let path = segment.path(&dir);
                warn!(path = %path.display(), %error, "cannot index a copy of a segment");
            }
        }
    }

    fn dir_of(&self, node: NodeId) -> PathBuf {
        self.0.dir.join(node.to_string())
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.0.writing.lock().expect("no code panics while it writes copies")
    }

    fn origins(&self) -> MutexGuard<'_, BTreeMap<NodeId, Origin>> {
        self.0.origins.lock().expect("no code panics while it holds the copies")
    }
}

impl Origin {
    fn open(dir: PathBuf) -> Result<Self, Error> {
        let Scanned { segments, unwritten } = Segment::all(&dir, |path, bytes| {
            warn!(path = %path.display(), bytes, "cut off the torn end of a copy");
        })?;
        let mut unwritten: BTreeMap<_, _> = unwritten.into_iter().collect();
        let copy = |segment: Segment| {
            let (name, words) = (segment.name(), unwritten.remove(&segment.name()));
            (name, Copy { segment: Arc::new(segment), words })
        };
        Ok(Self { segments: segments.into_iter().map(copy).collect(), gone: None })
    }
}

#[cfg(test)]
mod tests;
