//! What nodes may have spent in periods of budgets that are over, or of budgets that are deleted, and
//! not settled: the leases that say so end with them. Whoever answers for what a node that is away has
//! recorded has to know.

use dunlin_ledger::Lease;
use dunlin_types::{Epoch, NanoUsd, NodeId, UnixMillis};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

/// What a node settles so long after a period was over is all that it recorded of it: a request is
/// charged to the period in which it was let in, and may last.
const LASTS_MS: u64 = 60 * 60 * 1_000;

/// Of all that is over, by node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pasts(OrdMap<NodeId, Past>);

/// What a node had not used of leases when they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Past {
    /// The last of its lives that had one.
    epoch: Epoch,
    unused: NanoUsd,
    /// When the last one ended.
    at: UnixMillis,
}

impl Pasts {
    /// A lease ended with its period, or its budget.
    pub(crate) fn add(&mut self, lease: &Lease, at: UnixMillis) {
        let past = self.0.entry(lease.node).or_default();
        past.epoch = past.epoch.max(lease.epoch);
        past.unused += lease.unused();
        past.at = at;
    }

    /// A life of a node settled what it has recorded.
    pub(crate) fn settled(&mut self, node: NodeId, epoch: Epoch, at: UnixMillis) {
        let is_over =
            |past: &Past| epoch >= past.epoch && at.0 >= past.at.0.saturating_add(LASTS_MS);
        if self.0.get(&node).is_some_and(is_over) {
            self.0.remove(&node);
        }
    }

    /// Lives of a node have settled all that they recorded, or are given up.
    pub(crate) fn close(&mut self, node: NodeId, through: Epoch) {
        if self.0.get(&node).is_some_and(|past| past.epoch <= through) {
            self.0.remove(&node);
        }
    }

    /// What each node may have spent and not settled.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = (NodeId, NanoUsd)> {
        self.0.iter().map(|(node, past)| (*node, past.unused))
    }

    pub(crate) fn rows(&self) -> Vec<(NodeId, Past)> {
        self.0.iter().map(|(node, past)| (*node, *past)).collect()
    }

    pub(crate) fn restore(rows: Vec<(NodeId, Past)>) -> Self {
        Self(rows.into_iter().collect())
    }
}
