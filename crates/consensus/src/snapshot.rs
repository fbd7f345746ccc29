//! Snapshots as plain files: one per node, replaced as a whole.
//!
//! Layout: 8 bytes of magic, a format number, the CRC of all that follows it, the header's length
//! (each a big-endian `u32`), the header in JSON, the state. The same bytes travel to a peer.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use bytes::Bytes;
use dunlin_state::{BadSnapshot, State};
use dunlin_types::{Clock, ClusterId};
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::durable;
use crate::error::Error;
use crate::machine::{Core, SnapshotMeta};
use crate::raft::{LogId, Membership};
use crate::unreadable::Unreadable;

const MAGIC: &[u8; 8] = b"dunlin\x00S";
const FORMAT: u32 = 1;
const NAME: &str = "state.snapshot";
/// Where the CRC begins to count: after magic, format and the CRC itself.
const CHECKED_FROM: usize = 16;
const PREFIX: usize = 20;

#[derive(Serialize, Deserialize)]
struct Header {
    cluster: ClusterId,
    last: Option<LogId>,
    membership: Membership,
}

/// The snapshot directory of a node.
pub(crate) struct Snapshots {
    dir: PathBuf,
    cluster: ClusterId,
    clock: Clock,
    /// Held while the file is written, for seconds if it is large: one is written at a time.
    writing: Mutex<()>,
    kept: Mutex<Kept>,
}

/// What the file on the disk holds.
#[derive(Default, Clone, Copy)]
struct Kept {
    last: Option<LogId>,
    bytes: u64,
}

impl Snapshots {
    pub(crate) fn open(dir: PathBuf, cluster: ClusterId, clock: Clock) -> Result<Self, Error> {
        durable::make_dir(&dir).map_err(Error::file("make", &dir))?;
        let (writing, kept) = (Mutex::default(), Mutex::default());
        let snapshots = Self { dir, cluster, clock, writing, kept };
        if let Some(file) = snapshots.read()? {
            let meta = meta(&file).map_err(|why| snapshots.unread(why))?;
            *snapshots.kept.lock().expect("no holder panics") =
                Kept { last: meta.last_log_id, bytes: file.len() as u64 };
        }
        Ok(snapshots)
    }

    /// The length of the last snapshot in bytes; 0 if there is none.
    pub(crate) fn bytes(&self) -> u64 {
        self.kept.lock().expect("no holder panics").bytes
    }

    /// The last entry the kept snapshot holds.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.kept.lock().expect("no holder panics").last
    }

    /// The file as it is.
    pub(crate) fn read(&self) -> Result<Option<Bytes>, Error> {
        let path = self.dir.join(NAME);
        match fs::read(&path) {
            Ok(file) => Ok(Some(file.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::file("read", path)(e)),
        }
    }

    /// Makes `file` the snapshot, durably, unless a later one is there: a build may end after an
    /// installation overtook it.
    pub(crate) fn keep(&self, last: Option<LogId>, file: &[u8]) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().expect("no holder panics");
        let kept = *self.kept.lock().expect("no holder panics");
        if kept.bytes > 0 && last < kept.last {
            return Ok(());
        }
        durable::replace(&self.dir, NAME, file)?;
        *self.kept.lock().expect("no holder panics") = Kept { last, bytes: file.len() as u64 };
        Ok(())
    }

    /// Makes the state of one moment the snapshot, durably.
    pub(crate) fn write(&self, core: &Core) -> io::Result<Bytes> {
        let began = self.clock.mono();
        let file = self.encode(core)?;
        self.keep(core.last, &file)?;
        let (bytes, took) = (file.len(), self.clock.mono().since(began));
        info!(bytes, millis = took.as_millis(), through = ?core.last.map(|id| id.index), "wrote a \
                                                                                          snapshot \
                                                                                          of the \
                                                                                          state");
        Ok(file)
    }

    pub(crate) fn encode(&self, core: &Core) -> io::Result<Bytes> {
        let header = serde_json::to_vec(&Header {
            cluster: self.cluster,
            last: core.last,
            membership: core.membership.clone(),
        })?;
        let length = u32::try_from(header.len()).map_err(io::Error::other)?;
        let body = core.state.snapshot();
        let mut file = Vec::with_capacity(PREFIX + header.len() + body.len());
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&FORMAT.to_be_bytes());
        file.extend_from_slice(&[0; 4]);
        file.extend_from_slice(&length.to_be_bytes());
        file.extend_from_slice(&header);
        file.extend_from_slice(&body);
        let crc = crc32fast::hash(&file[CHECKED_FROM..]).to_be_bytes();
        file[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&crc);
        Ok(file.into())
    }

    /// The whole content; the reason if it cannot be this cluster's.
    pub(crate) fn parse(&self, file: &[u8]) -> Result<Core, Unreadable> {
        let (header, body) = split(file)?;
        if header.cluster != self.cluster {
            return Err(format!(
                "it is of cluster {}, this node is of {}",
                header.cluster, self.cluster
            )
            .into());
        }
        let state = State::restore(body).map_err(|bad| match bad {
            BadSnapshot::Damaged(error) => Unreadable::json("the state", &error),
            BadSnapshot::Newer { .. } | BadSnapshot::Older { .. } => {
                Unreadable::OtherVersion(bad.to_string())
            }
        })?;
        Ok(Core { state, last: header.last, membership: header.membership })
    }

    pub(crate) fn unread(&self, why: Unreadable) -> Error {
        why.at(self.dir.join(NAME))
    }
}

/// Up to where a snapshot reaches; the reason if it is damaged.
pub(crate) fn meta(file: &[u8]) -> Result<SnapshotMeta, Unreadable> {
    let (header, _) = split(file)?;
    Ok(SnapshotMeta { last_log_id: header.last, last_membership: header.membership })
}

fn split(file: &[u8]) -> Result<(Header, &[u8]), Unreadable> {
    let word = |at: usize| {
        file.get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or("it is cut short")
    };
    if !file.starts_with(MAGIC) {
        return Err("it is not a snapshot".into());
    }
    let (format, crc, length) = (word(8)?, word(12)?, word(16)?);
    if crc32fast::hash(&file[CHECKED_FROM..]) != crc {
        return Err("its checksum does not match".into());
    }
    if format != FORMAT {
        let reason = format!("it is of format {format}, this version knows {FORMAT}");
        return Err(Unreadable::OtherVersion(reason));
    }
    let length = usize::try_from(length).map_err(|e| e.to_string())?;
    let (header, body) =
        file[PREFIX..].split_at_checked(length).ok_or("its header is cut short")?;
    let header =
        serde_json::from_slice(header).map_err(|error| Unreadable::json("its header", &error))?;
    Ok((header, body))
}

#[cfg(test)]
mod tests;
