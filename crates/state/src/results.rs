//! What became of recent commands, so that a repeated proposal is answered and not done twice.

use dunlin_types::{Epoch, NodeId};
use imbl::OrdMap;

use crate::command::{CommandId, Rejected, Reply};

/// How many results are remembered for each node. A node has fewer proposals under way at once.
pub(crate) const REMEMBERED: usize = 1024;

pub(crate) type Outcome = Result<Reply, Rejected>;

/// The last results of each node's present life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Results {
    by_node: OrdMap<NodeId, Life>,
}

/// One node's results by proposal number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) epoch: Epoch,
    /// The highest number whose result was forgotten; 0 for none.
    pub(crate) forgotten: u64,
    pub(crate) results: OrdMap<u64, Outcome>,
}

impl Results {
    /// The result that `id` had, or that it cannot be told; `None` for a first proposal.
    pub(crate) fn find(&self, id: CommandId) -> Option<Outcome> {
        let life = self.by_node.get(&id.node)?;
        if id.epoch > life.epoch {
            return None;
        }
        let known = if id.epoch == life.epoch { life.results.get(&id.seq) } else { None };
        let too_late = id.epoch < life.epoch || id.seq <= life.forgotten;
        known.cloned().or(too_late.then_some(Err(Rejected::Forgotten)))
    }

    /// Remembers a first result; a newer life of a node forgets the older one's.
    pub(crate) fn remember(&mut self, id: CommandId, result: Outcome) {
        let life = self.by_node.entry(id.node).or_default();
        if life.epoch != id.epoch {
            *life = Life { epoch: id.epoch, ..Life::default() };
        }
        life.results.insert(id.seq, result);
        if life.results.len() > REMEMBERED {
            let oldest = life.results.get_min().map(|(seq, _)| *seq);
            life.forgotten = oldest.expect("it holds more than one");
            life.results.remove(&life.forgotten);
        }
    }

    pub(crate) fn forget(&mut self, node: NodeId) {
        self.by_node.remove(&node);
    }

    pub(crate) fn lives(&self) -> impl Iterator<Item = (&NodeId, &Life)> {
        self.by_node.iter()
    }
}

impl FromIterator<(NodeId, Life)> for Results {
    fn from_iter<I: IntoIterator<Item = (NodeId, Life)>>(lives: I) -> Self {
        Self { by_node: lives.into_iter().collect() }
    }
}
