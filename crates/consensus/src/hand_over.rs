//! A leader that is to go gives leadership away instead of waiting to be missed.

use std::time::Duration;

use dunlin_types::NodeId;
use tokio::time::sleep;
use tracing::info;

use crate::node::{Node, Running};

/// How long handing over may take; then it is as it was.
pub(crate) const HAND_OVER: Duration = Duration::from_secs(2);
/// How often it is looked whether it has happened.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Hands leadership to the voter that has most of the log, and waits until it has it.
pub(crate) async fn hand_over(node: &Node, running: &Running) {
    hand_over_to(node, running, |_| true).await;
}

/// Hands leadership to the one of those that `may` have it.
pub(crate) async fn hand_over_to(node: &Node, running: &Running, may: impl Fn(NodeId) -> bool) {
    let metrics = running.metrics();
    if !metrics.state.is_leader() {
        return;
    }
    let view = node.gossip.view();
    let alive = |id: &u64| view.peers.get(&NodeId(*id)).is_some_and(|peer| peer.alive);
    let matched = metrics.replication.unwrap_or_default();
    let voters = metrics.membership_config.membership().voter_ids();
    let heir = voters
        .filter(|id| *id != node.me.0 && may(NodeId(*id)))
        .max_by_key(|id| (alive(id), matched.get(id).cloned().flatten(), *id));
    let Some(heir) = heir else { return };
    info!(node.id = %NodeId(heir), "handing over leadership");
    if running.raft.trigger().transfer_leader(heir).await.is_err() {
        return;
    }
    while running.leader().is_none_or(|leader| leader == node.me) {
        sleep(LOOK_EVERY).await;
    }
}
