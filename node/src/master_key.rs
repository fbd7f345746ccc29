//! Warns of peers with another master key. Each node takes its own from its environment: a mistake
//! there shows as a key that works on some nodes only.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_gossip::{Gossip, NodeFact, View};
use dunlin_types::NodeId;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches until the node stops; says once of each peer that its key is another one, and once that
/// it is the same again.
pub(crate) async fn watch(gossip: Gossip, stop: CancellationToken) {
    let mut odd = BTreeMap::new();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let own = gossip.own();
        let now = odd_ones(&gossip.view(), &own);
        for (node, address) in now.iter().filter(|(node, _)| !odd.contains_key(*node)) {
            warn!(
                node.id = %node,
                "the node at {address} has another master key than this one, under the same config \
                 revision {}: each refuses callers with the other's key. Set LITELLM_MASTER_KEY \
                 (or what master_key refers to) to the same value on all nodes and restart those \
                 where it was wrong",
                own.config_revision,
            );
        }
        for (node, address) in odd.iter().filter(|(node, _)| !now.contains_key(*node)) {
            info!(node.id = %node, "the node at {address} has the same master key again");
        }
        odd = now;
    }
}

/// Living peers whose master key is another one, and where they are.
fn odd_ones(view: &View, own: &NodeFact) -> BTreeMap<NodeId, String> {
    let alive = view.peers.iter().filter(|(_, peer)| peer.alive);
    let told = alive.filter_map(|(id, peer)| Some((*id, peer.node.as_ref()?)));
    told.filter(|(_, fact)| fact.differs_in_master_key(own))
        .map(|(id, fact)| (id, fact.cluster_address.clone()))
        .collect()
}
