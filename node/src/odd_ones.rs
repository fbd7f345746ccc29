//! Warns of peers that differ in what all nodes should have alike: the master key, which each takes
//! from its environment, and the prices, which each reads from a file of its own. A mistake in the
//! one shows as a key that works on some nodes only, in the other as requests that cost more on some.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_gossip::{Gossip, NodeFact, View};
use dunlin_types::NodeId;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Something that all nodes should have alike.
struct Alike {
    differs: fn(&NodeFact, &NodeFact) -> bool,
    what: &'static str,
    then: &'static str,
}

const ALL: [Alike; 2] = [
    Alike {
        differs: NodeFact::differs_in_master_key,
        what: "master key",
        then: "each refuses callers with the other's key. Set LITELLM_MASTER_KEY (or what \
               master_key refers to) to the same value on all nodes and restart those where it was \
               wrong",
    },
    Alike {
        differs: NodeFact::differs_in_prices,
        what: "table of prices",
        then: "a request costs what the node that serves it has on its own. Give cluster.prices \
               the same file on all nodes, or run the same release, and restart those where it was \
               wrong",
    },
];

/// Watches until the node stops; says once of each peer what differs, and once that it is the same
/// again.
pub(crate) async fn watch(gossip: Gossip, stop: CancellationToken) {
    let mut known = ALL.map(|alike| (alike, BTreeMap::new()));
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let (view, own) = (gossip.view(), gossip.own());
        for (Alike { differs, what, then }, odd) in &mut known {
            let differs = *differs;
            let now = odd_ones(&view, |fact| differs(fact, &own));
            for (node, address) in now.iter().filter(|(node, _)| !odd.contains_key(*node)) {
                warn!(
                    node.id = %node,
                    "the node at {address} has another {what} than this one, under config revision \
                     {}: {then}",
                    own.config_revision,
                );
            }
            for (node, address) in odd.iter().filter(|(node, _)| !now.contains_key(*node)) {
                info!(node.id = %node, "the node at {address} has the same {what} again");
            }
            *odd = now;
        }
    }
}

/// Living peers of which that holds, and where they are.
fn odd_ones(view: &View, is_odd: impl Fn(&NodeFact) -> bool) -> BTreeMap<NodeId, String> {
    let alive = view.peers.iter().filter(|(_, peer)| peer.alive);
    let told = alive.filter_map(|(id, peer)| Some((*id, peer.node.as_ref()?)));
    told.filter(|(_, fact)| is_odd(fact))
        .map(|(id, fact)| (id, fact.cluster_address.clone()))
        .collect()
}
