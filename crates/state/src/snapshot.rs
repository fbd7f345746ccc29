//! The log format, the other half: the whole state as one JSON document. Written and read by any
//! version that knows its `format`; the content is ordered, so equal states give equal bytes.

mod rows;

use std::sync::Arc;

use dunlin_limiter::Ring;
use dunlin_types::{ClusterId, Epoch, KeyDigest, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::command::{FORMAT, Key};
use crate::deleted::Deleted;
use crate::state::State;
use rows::LifeRow;
pub use rows::{ConfigRevision, Member, Spent};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    applied: u64,
    at: UnixMillis,
    cluster: Option<ClusterId>,
    keys: Vec<Arc<Key>>,
    deleted: Vec<(KeyDigest, UnixMillis)>,
    spent: Vec<(KeyDigest, Spent)>,
    unclaimed: Spent,
    members: Vec<(NodeId, Member)>,
    ring_version: u64,
    settled: Vec<(NodeId, Epoch, u64)>,
    config: Vec<ConfigRevision>,
    results: Vec<LifeRow>,
}

/// Why bytes are no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BadSnapshot {
    /// It is damaged, or none.
    #[error("the snapshot is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// A newer version wrote it.
    #[error("the snapshot has format {found}, this version reads up to {FORMAT}")]
    Newer {
        /// Its format.
        found: u32,
    },
}

impl State {
    /// The whole state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let document = Document {
            format: FORMAT,
            applied: self.applied,
            at: self.at,
            cluster: self.cluster,
            keys: self.keys.values().cloned().collect(),
            deleted: self.deleted.iter().collect(),
            spent: self.spent.iter().map(|(token, spent)| (*token, *spent)).collect(),
            unclaimed: self.unclaimed,
            members: self.members.iter().map(|(node, known)| (*node, known.clone())).collect(),
            ring_version: self.ring.version(),
            settled: self.settled.iter().map(|(node, (epoch, to))| (*node, *epoch, *to)).collect(),
            config: self.config.to_vec(),
            results: self.results.lives().map(LifeRow::of).collect(),
        };
        serde_json::to_vec(&document).expect("a state is plain data")
    }

    /// The state that [`State::snapshot`] wrote.
    ///
    /// # Errors
    /// [`BadSnapshot`].
    pub fn restore(bytes: &[u8]) -> Result<Self, BadSnapshot> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format: found } = serde_json::from_slice(bytes)?;
        if found > FORMAT {
            return Err(BadSnapshot::Newer { found });
        }
        let document: Document = serde_json::from_slice(bytes)?;
        let alias = |key: &Arc<Key>| Some((key.alias.clone()?, key.token));
        let mut deleted = Deleted::default();
        for (token, at) in document.deleted {
            deleted.insert(token, at);
        }
        let settled = document.settled.into_iter();
        let mut state = Self {
            applied: document.applied,
            at: document.at,
            cluster: document.cluster,
            aliases: document.keys.iter().filter_map(alias).collect(),
            keys: document.keys.into_iter().map(|key| (key.token, key)).collect(),
            deleted,
            spent: document.spent.into_iter().collect(),
            unclaimed: document.unclaimed,
            members: document.members.into_iter().collect(),
            ring: Arc::default(),
            settled: settled.map(|(node, epoch, to)| (node, (epoch, to))).collect(),
            config: Arc::new(document.config),
            results: document.results.into_iter().map(LifeRow::into_life).collect(),
        };
        state.turn_ring(document.ring_version);
        Ok(state)
    }

    /// Names the whole state: nodes that applied the same log have the same digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.snapshot()).into()
    }

    /// Makes the ring of the members that are up, as of the entry at `version`.
    pub(crate) fn turn_ring(&mut self, version: u64) {
        let serving = self.members.iter().filter(|(_, member)| member.down.is_none());
        let serving: Vec<_> = serving.map(|(node, _)| *node).collect();
        self.ring = Arc::new(Ring::new(version, serving));
    }
}
