//! The birth certificate: what a node must never forget about itself, in one small file beside
//! the log. It is written whole, atomically and durably; a start that finds the log poorer than
//! the certificate refuses to run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use dunlin_types::{ClusterId, Epoch, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::Error;

const NAME: &str = "identity.json";

/// A set of nodes that would form one cluster together: the lowest id, once it holds the promise
/// of all of them, initialises it with exactly these voters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Ballot {
    /// The cluster's id, drawn by the proposer.
    pub(crate) cluster: ClusterId,
    /// The voters to be, with their advertised addresses.
    pub(crate) members: BTreeMap<NodeId, String>,
}

impl Ballot {
    /// The only node that may initialise this cluster.
    pub(crate) fn initialiser(&self) -> NodeId {
        *self.members.keys().next().expect("a ballot has members")
    }

    /// The least number of members without whose consent nothing can be committed.
    pub(crate) fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }
}

/// Where a node stands between being born and being a member. Durable as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The cluster this node has entered: for good, unless that cluster can never commit.
    pub(crate) cluster: Option<ClusterId>,
    /// The one ballot this node has promised itself to.
    pub(crate) promise: Option<Ballot>,
    /// Clusters this node will never help to commit their first entry.
    pub(crate) refused: BTreeSet<ClusterId>,
}

/// What the log held at the last time anyone looked; it may only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Floor {
    /// The highest term voted in.
    pub(crate) term: u64,
    /// One past the highest committed index; 0 when nothing was committed.
    pub(crate) committed: u64,
}

/// The whole certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub(crate) node: NodeId,
    pub(crate) epoch: Epoch,
    /// The lock file's inode: another one means that the directory was copied.
    pub(crate) inode: u64,
    /// Whether a log was made for the entered cluster.
    pub(crate) stored: bool,
    /// Whether the entered cluster's log has named this node a member.
    pub(crate) member: bool,
    pub(crate) floor: Floor,
    pub(crate) standing: Standing,
    /// When this node knew for the last time all that was decided.
    #[serde(default)]
    pub(crate) heard: Option<UnixMillis>,
    /// The cluster that was lost, while the files of the recovered one are still to take their places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recovering: Option<ClusterId>,
    /// Why it is a member no more, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removed: Option<String>,
}

impl Certificate {
    pub(crate) fn newborn(node: NodeId, inode: u64) -> Self {
        Self {
            node,
            epoch: Epoch(0),
            inode,
            stored: false,
            member: false,
            floor: Floor::default(),
            standing: Standing::default(),
            heard: None,
            recovering: None,
            removed: None,
        }
    }

    /// The certificate of a data directory; `None` for a new one.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file("read", path)(e)),
        };
        let damaged = |reason: String| Error::DamagedCertificate { path: path.clone(), reason };
        let (crc, json) =
            text.trim_end().split_once(' ').ok_or_else(|| damaged("it has no checksum".into()))?;
        if crc != checksum(json) {
            return Err(damaged("its checksum does not match".into()));
        }
        serde_json::from_str(json).map(Some).map_err(|e| damaged(e.to_string()))
    }

    /// Makes this the certificate of `dir`, durably.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Error> {
        let json = serde_json::to_string(self).expect("a certificate has only text keys");
        let text = format!("{} {json}\n", checksum(&json));
        durable::replace(dir, NAME, text.as_bytes()).map_err(Error::file("write", dir.join(NAME)))
    }
}

fn checksum(json: &str) -> String {
    format!("{:08x}", crc32fast::hash(json.as_bytes()))
}
