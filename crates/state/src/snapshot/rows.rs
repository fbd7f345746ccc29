//! The parts of a state that are held as they are stored.

use std::sync::Arc;

use dunlin_types::{Epoch, NanoUsd, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::results::{Life, Outcome};

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Where others reach it, `host:port`.
    pub address: String,
    /// Since when it has been marked as silent.
    pub down: Option<UnixMillis>,
}

/// What was spent, settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// The cost.
    pub cost: NanoUsd,
    /// Of how many requests.
    pub requests: u64,
}

impl Spent {
    pub(crate) fn add(&mut self, more: Self) {
        self.cost += more.cost;
        self.requests = self.requests.saturating_add(more.requests);
    }
}

/// One revision of the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigRevision {
    /// From 1.
    pub revision: u64,
    /// Names the content.
    pub hash: String,
    /// The content, sealed under the cluster secret.
    #[serde(serialize_with = "hex::serde::serialize", deserialize_with = "from_hex")]
    pub sealed: Arc<[u8]>,
    /// The file's name, for people.
    pub source: String,
    /// When it was accepted.
    pub at: UnixMillis,
    /// The node that proposed it.
    pub by: NodeId,
}

fn from_hex<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Arc<[u8]>, D::Error> {
    hex::serde::deserialize::<D, Vec<u8>>(from).map(Into::into)
}

/// What is remembered of one node's proposals.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LifeRow {
    node: NodeId,
    epoch: Epoch,
    forgotten: u64,
    results: Vec<(u64, Outcome)>,
}

impl LifeRow {
    pub(crate) fn of((&node, life): (&NodeId, &Life)) -> Self {
        let results = life.results.iter().map(|(seq, result)| (*seq, result.clone())).collect();
        Self { node, epoch: life.epoch, forgotten: life.forgotten, results }
    }

    pub(crate) fn into_life(self) -> (NodeId, Life) {
        let results = self.results.into_iter().collect();
        (self.node, Life { epoch: self.epoch, forgotten: self.forgotten, results })
    }
}
