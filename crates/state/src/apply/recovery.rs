//! A cluster that lost its majority goes on from one survivor, under another id. No entry of a log does
//! this: nobody was left to agree to it.

use std::sync::Arc;

use dunlin_types::{ClusterId, Epoch, NodeId, UnixMillis};

use super::{audit, nodes};
use crate::audit::Actor;
use crate::command::{Command, CommandId, Entry};
use crate::snapshot::FormerCluster;
use crate::state::State;

/// Who removed the nodes that were lost.
pub const RECOVERED_BY: &str = "dunlin recover";
/// So many former clusters are known, the last ones.
const MAX_FORMER: usize = 16;

impl State {
    /// Makes this the state of `cluster`, whose only member is `survivor` in its present life, as of
    /// index `index`. The others are removed nodes: what they had been granted is withheld.
    pub fn recover(
        &mut self,
        index: u64,
        at: UnixMillis,
        survivor: (NodeId, Epoch),
        cluster: ClusterId,
        actor: Actor,
    ) {
        let through = self.applied;
        self.applied = index;
        self.at = self.at.max(at);
        let before = self.clone();
        let (node, epoch) = survivor;
        let others: Vec<_> = self.nodes.keys().filter(|id| **id != node).copied().collect();
        for id in others {
            nodes::remove(self, id, RECOVERED_BY).expect("it is a member");
        }
        // A survivor may have been marked down by those who are gone.
        if self.nodes.contains_key(&node) {
            nodes::mark(self, node, false).expect("it is a member");
        }
        if let Some(former) = self.cluster.replace(cluster) {
            let known = Arc::make_mut(&mut self.former_clusters);
            known.push(FormerCluster { cluster: former, survivor: node, at: self.at, through });
            let surplus = known.len().saturating_sub(MAX_FORMER);
            known.drain(..surplus);
        }
        self.turn_ring(index);
        let entry = Entry {
            id: CommandId { node, epoch, seq: 0 },
            actor: Some(Box::new(actor)),
            command: Command::FormCluster { cluster },
        };
        audit::record(&before, self, &entry);
    }
}
