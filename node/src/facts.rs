//! What a node says of itself to the others, by gossip.

use std::net::SocketAddr;
use std::time::Duration;

use dunlin_admission::Admission;
use dunlin_consensus::Consensus;
use dunlin_gossip::{Fact, Gossip, NodeFact};
use dunlin_state::Format;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::revision::InForce;

/// How often they are looked at for news.
const FACTS_EVERY: Duration = Duration::from_millis(100);

/// What this node says of itself.
pub(crate) struct Facts {
    pub(crate) cluster_address: String,
    pub(crate) api_address: String,
    /// The names of the cluster secrets that are known here.
    pub(crate) known: Vec<String>,
    /// The fingerprint of the prices that are in force here.
    pub(crate) prices: String,
    pub(crate) in_force: watch::Receiver<InForce>,
    /// Cancelled, the node stops; and who knows whether it drains.
    pub(crate) leaving: (CancellationToken, Admission),
}

/// Where clients reach an API that listens on `api`: there, or on every address of a node that
/// others know as `advertise`.
pub(crate) fn reachable(api: SocketAddr, advertise: &str) -> String {
    match advertise.rsplit_once(':') {
        Some((host, _)) if api.ip().is_unspecified() => format!("{host}:{}", api.port()),
        Some(_) | None => api.to_string(),
    }
}

impl Facts {
    /// Tells the peers whenever something of it changes, until the node stops.
    pub(crate) async fn keep_telling(
        self,
        gossip: Gossip,
        consensus: Consensus,
        stop: CancellationToken,
    ) {
        let mut told = None;
        let mut ticks = tokio::time::interval(FACTS_EVERY);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let fact = self.now(&consensus);
            if told.as_ref() != Some(&fact) {
                gossip.publish(Fact::Node(fact.clone()));
                told = Some(fact);
            }
        }
    }

    fn now(&self, consensus: &Consensus) -> NodeFact {
        let InForce { revision, master_key } = self.in_force.borrow().clone();
        let (stops, admission) = &self.leaving;
        let draining = stops.is_cancelled() || admission.is_draining();
        NodeFact {
            cluster_address: self.cluster_address.clone(),
            api_address: self.api_address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            format: Format::NEWEST.0,
            ready: revision > 0 && !draining,
            draining,
            config_revision: revision,
            master_key,
            prices: self.prices.clone(),
            secrets: self.known.clone(),
            applied: consensus.state().applied(),
            cluster: consensus.cluster(),
            // Rounded, so that it is not news every second.
            clock_skew_ms: consensus.clock_skew_ms() / 100 * 100,
        }
    }
}
