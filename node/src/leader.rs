//! Says in the log when the cluster has a leader and when it has lost it: what an operator looks
//! for first on a bad night.

use std::time::Duration;

use dunlin_consensus::Consensus;
use dunlin_proxy::OnStale;
use dunlin_types::{Clock, NodeId};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A leader that was not heard for so long is lost, whatever the last vote was.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// Watches until the node stops.
pub(crate) async fn watch(consensus: Consensus, clock: Clock, stop: CancellationToken) {
    consensus.formed().await;
    let mut known: Option<NodeId> = None;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let status = consensus.status();
        let heard = status.leader_heard.is_some_and(|at| clock.mono().since(at) < LOST_AFTER);
        let leader = status.leader.filter(|_| heard);
        if leader == known {
            continue;
        }
        known = leader;
        let members = consensus.state().nodes();
        match leader.and_then(|node| Some((node, members.get(&node)?))) {
            Some((node, member)) => {
                info!(node.id = %node, term = status.term, "{} leads the cluster", member.address);
            }
            None => warn!(
                voters = status.voters.len(),
                "no leader: chat traffic continues, admin writes wait until a majority of the \
                 voters is back"
            ),
        }
    }
}

/// Says when this node gives its clients away, and when it serves them again.
pub(crate) async fn watch_staleness(
    consensus: Consensus,
    max_staleness: Duration,
    on_stale: OnStale,
    stop: CancellationToken,
) {
    consensus.formed().await;
    let mut is_stale = false;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let behind = consensus.staleness();
        if (behind > max_staleness) == is_stale {
            continue;
        }
        is_stale = !is_stale;
        let otherwise = match on_stale {
            OnStale::Refuse => "refused",
            OnStale::ServeKnown => "this node serves from the state it has",
        };
        if is_stale {
            warn!(
                "no majority of the voters for {} s: requests are passed on to a node that hears \
                 one; if there is none, {otherwise}",
                behind.as_secs()
            );
        } else {
            info!("a majority is back: this node serves requests again");
        }
    }
}
