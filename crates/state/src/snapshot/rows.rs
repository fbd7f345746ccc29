//! The parts of a state that are held as they are stored.

use std::sync::Arc;

use dunlin_ledger::{Lease, Pot};
use dunlin_types::{ClusterId, Epoch, NanoUsd, NodeId, PotId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::results::{Life, Outcome};

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterNode {
    /// Where others reach it, `host:port`.
    pub address: String,
    /// Since when it has been marked as silent.
    pub down: Option<UnixMillis>,
    /// The entry that added it or marked it up: it has been in the ring since then, if it is now.
    #[serde(default)]
    pub since: u64,
    /// How many nodes there were when it was marked as silent: it may still go by that.
    #[serde(default)]
    pub among: u64,
    /// It drains: others own the limits that it owned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resting: bool,
}

/// A cluster whose majority was lost for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerCluster {
    /// Its id.
    pub cluster: ClusterId,
    /// The survivor whose state went on.
    pub survivor: NodeId,
    /// When that was decided.
    pub at: UnixMillis,
    /// The last entry of its log that went on.
    pub through: u64,
}

/// A node that was a member and never will be again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovedNode {
    /// Where others reached it, `host:port`.
    pub address: String,
    /// When it was removed.
    pub at: UnixMillis,
    /// By which entry of the log.
    pub index: u64,
    /// Who removed it, for people.
    pub by: String,
    /// When what it had been granted was given free; none: it is withheld as far as it is not
    /// settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaimed: Option<UnixMillis>,
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
    /// The content, sealed under the cluster secret. Empty: it is not kept any more.
    #[serde(serialize_with = "hex::serde::serialize", deserialize_with = "from_hex")]
    pub sealed: Arc<[u8]>,
    /// The older revision whose content it brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<u64>,
    /// The file's name, or what was changed over the API, for people.
    pub source: String,
    /// It is no file, and none says the same: settings of the revision before were changed over the
    /// API.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// When it was accepted.
    pub at: UnixMillis,
    /// The node that proposed it.
    pub by: NodeId,
    /// Who had it made over the API; none: it is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
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

/// One pot.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PotRow {
    pot: PotId,
    period: UnixMillis,
    settled: NanoUsd,
    /// Node, life, granted, used.
    leases: Vec<(NodeId, Epoch, NanoUsd, NanoUsd)>,
    #[serde(default, skip_serializing_if = "is_never")]
    kept: UnixMillis,
}

fn is_never(at: &UnixMillis) -> bool {
    *at == UnixMillis(0)
}

impl PotRow {
    pub(crate) fn of((pot, held): (&PotId, &Arc<Pot>)) -> Self {
        let leases = held.leases.iter().map(|l| (l.node, l.epoch, l.granted, l.used)).collect();
        let Pot { period, settled, kept, .. } = **held;
        Self { pot: pot.clone(), period, settled, leases, kept }
    }

    pub(crate) fn into_pot(self) -> (PotId, Arc<Pot>) {
        let lease = |(node, epoch, granted, used)| Lease { node, epoch, granted, used };
        let leases = self.leases.into_iter().map(lease).collect();
        let Self { period, settled, kept, .. } = self;
        (self.pot, Arc::new(Pot { period, settled, leases, kept }))
    }
}
