//! What became of recent commands, so that a repeated proposal is answered and not done twice.

use dunlin_types::{Epoch, NodeId};
use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::apply::{Rejected, Reply};
use crate::command::CommandId;

/// How many results are remembered for each node. A node has fewer proposals under way at once.
const REMEMBERED: usize = 1024;

/// The last results of each node's present life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    by_node: OrdMap<NodeId, Life>,
}

/// One node's results by proposal number.
#[derive(Clone, Debug, Default)]
struct Life {
    epoch: Epoch,
    results: OrdMap<u64, Result<Reply, Rejected>>,
}

/// One remembered result, as snapshots keep it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) id: CommandId,
    pub(crate) result: Result<Reply, Rejected>,
}

impl Results {
    pub(crate) fn find(&self, id: CommandId) -> Option<&Result<Reply, Rejected>> {
        let life = self.by_node.get(&id.node).filter(|life| life.epoch == id.epoch)?;
        life.results.get(&id.seq)
    }

    /// Remembers a result; a newer life of a node forgets the older one's.
    pub(crate) fn remember(&mut self, id: CommandId, result: Result<Reply, Rejected>) {
        let life = self.by_node.entry(id.node).or_default();
        if life.epoch != id.epoch {
            *life = Life { epoch: id.epoch, results: OrdMap::new() };
        }
        life.results.insert(id.seq, result);
        while life.results.len() > REMEMBERED {
            let oldest = life.results.get_min().map(|(seq, _)| *seq);
            life.results.remove(&oldest.expect("it holds more than one"));
        }
    }

    pub(crate) fn forget(&mut self, node: NodeId) {
        self.by_node.remove(&node);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Remembered> {
        self.by_node.iter().flat_map(|(node, life)| {
            life.results.iter().map(|(seq, result)| Remembered {
                id: CommandId { node: *node, epoch: life.epoch, seq: *seq },
                result: result.clone(),
            })
        })
    }
}
