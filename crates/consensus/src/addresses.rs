//! Where the nodes are. Gossip knows first when an address changes, so it wins; the replicated
//! state and the membership serve until it has spoken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_gossip::View;
use dunlin_rpc::Rpc;
use dunlin_state::{Command, State};
use dunlin_types::NodeId;
use tokio::time::sleep;

use crate::autopilot;
use crate::node::Node;

/// How often it is looked for other addresses, though nobody tells of any.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// Tells `rpc` where peers are, once per change.
pub(crate) struct Addresses {
    rpc: Rpc,
    me: NodeId,
    told: Mutex<BTreeMap<NodeId, String>>,
    /// As many former clusters were told.
    former: Mutex<usize>,
}

impl Addresses {
    pub(crate) fn new(rpc: Rpc, me: NodeId) -> Self {
        Self { rpc, me, told: Mutex::default(), former: Mutex::default() }
    }

    /// An address to use while nothing better is known.
    pub(crate) fn suggest(&self, node: NodeId, address: &str) {
        let known = self.told.lock().expect("no holder panics").contains_key(&node);
        if !known {
            self.tell(node, address);
        }
    }

    /// Takes what gossip and the state say.
    pub(crate) fn refresh(&self, view: &View, state: &State) {
        let gossiped: BTreeMap<NodeId, &str> = view
            .peers
            .iter()
            .filter_map(|(id, peer)| Some((*id, peer.node.as_ref()?.cluster_address.as_str())))
            .filter(|(_, address)| !address.is_empty())
            .collect();
        for (id, address) in &gossiped {
            self.tell(*id, address);
        }
        let former = state.former_clusters();
        let mut told = self.former.lock().expect("no holder panics");
        if *told != former.len() {
            self.rpc.supersede(former.iter().map(|former| former.cluster).collect());
            *told = former.len();
        }
        drop(told);
        for (id, member) in state.nodes() {
            if !gossiped.contains_key(&id) {
                self.tell(id, &member.address);
            }
        }
        // Each disk that came and went was a node of its own.
        let mut told = self.told.lock().expect("no holder panics");
        told.retain(|id, _| {
            let is_gone = !gossiped.contains_key(id) && state.removed_node(*id).is_some();
            if is_gone {
                self.rpc.forget(*id);
            }
            !is_gone
        });
    }

    fn tell(&self, node: NodeId, address: &str) {
        let mut told = self.told.lock().expect("no holder panics");
        if node != self.me && told.get(&node).is_none_or(|known| known != address) {
            self.rpc.learn(node, address);
            told.insert(node, address.to_owned());
        }
    }
}

/// Keeps the peers' addresses as gossip and the state know them.
pub(crate) async fn keep(node: Arc<Node>) {
    let mut gossiped = node.gossip.changed();
    loop {
        node.addresses.refresh(&node.gossip.view(), &node.published.state());
        tokio::select! {
            changed = gossiped.changed() => if changed.is_err() { return },
            () = sleep(REFRESH_EVERY) => {}
            () = node.stop.cancelled() => return,
        }
    }
}

/// Tells the cluster this node's address if it is another one than in its last life.
pub(crate) async fn announce(node: &Node) {
    loop {
        let listed = node.published.state().nodes().get(&node.me).map(|m| m.address.clone());
        if listed.as_deref() == Some(node.plan.address.as_str()) {
            return;
        }
        let address = node.plan.address.clone();
        autopilot::command(node, Command::SetAddress { node: node.me, address }).await;
        sleep(REFRESH_EVERY).await;
    }
}
