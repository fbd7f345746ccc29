//! The log format, the other half: the whole state as one JSON document. Written and read by any
//! version that knows its `format`; the content is ordered, so equal states give equal bytes.

use std::sync::Arc;

use dunlin_limiter::Ring;
use dunlin_types::{ClusterId, Epoch, KeyDigest, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::command::FORMAT;
use crate::key::Key;
use crate::results::{Remembered, Results};
use crate::state::{ConfigRevision, Member, Spent, State};

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    applied: u64,
    at: UnixMillis,
    cluster: Option<ClusterId>,
    keys: Vec<Arc<Key>>,
    deleted: Vec<(KeyDigest, UnixMillis)>,
    spent: Vec<(KeyDigest, Spent)>,
    members: Vec<(NodeId, Member)>,
    ring: Ring,
    settled: Vec<(NodeId, Epoch, u64)>,
    config: Vec<ConfigRevision>,
    results: Vec<Remembered>,
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
            deleted: self.deleted.iter().map(|(token, at)| (*token, *at)).collect(),
            spent: self.spent.iter().map(|(token, spent)| (*token, *spent)).collect(),
            members: self.members.iter().map(|(node, known)| (*node, known.clone())).collect(),
            ring: Ring::clone(&self.ring),
            settled: self.settled.iter().map(|(node, (epoch, to))| (*node, *epoch, *to)).collect(),
            config: self.config.to_vec(),
            results: self.results.all().collect(),
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
        let mut results = Results::default();
        for Remembered { id, result } in document.results {
            results.remember(id, result);
        }
        let alias = |key: &Arc<Key>| Some((key.alias.clone()?, key.token));
        Ok(Self {
            applied: document.applied,
            at: document.at,
            cluster: document.cluster,
            aliases: document.keys.iter().filter_map(alias).collect(),
            keys: document.keys.into_iter().map(|key| (key.token, key)).collect(),
            deleted: document.deleted.into_iter().collect(),
            spent: document.spent.into_iter().collect(),
            members: document.members.into_iter().collect(),
            ring: Arc::new(document.ring),
            settled: document
                .settled
                .into_iter()
                .map(|(node, epoch, to)| (node, (epoch, to)))
                .collect(),
            config: Arc::new(document.config),
            results,
        })
    }

    /// Names the whole state: nodes that applied the same log have the same digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.snapshot()).into()
    }
}
