//! Gossip between nodes: typed facts in, an immutable [`View`] out, chitchat under a seal between.
//!
//! Knows nothing of raft, requests or membership. Everything here is a hint: it may be late, lost
//! or from a node that has died meanwhile, and nothing that must be right is read from it alone. It
//! can misroute a request; it cannot unblock a key or raise a limit.
//!
//! Invariants: no datagram leaves unsealed, none is accepted that was not sealed with this
//! cluster's secret, and none is accepted twice; a peer's load and evidence vanish with the peer;
//! no incoming datagram can end gossip or fill a log. Read `peers.rs` for which peers count as
//! alive, then `transport.rs` for what travels.

mod dropped;
mod facts;
mod member;
mod metrics;
mod peers;
mod replay;
mod seal;
mod transport;
mod view;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use dunlin_metrics::vital;
use dunlin_types::{Clock, Epoch, NodeId, Secrets};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use dropped::Dropped;
use dropped::Drops;
pub use facts::{BackendLoad, Fact, HealthFact, LoadFact, NodeFact, Reported};
use member::Member;
pub use metrics::METRICS;
use seal::Seal;
use transport::SealedTransport;
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
    /// Nodes to look for: host and port each. Names are resolved every second.
    pub seeds: Vec<String>,
    /// Datagrams of a cluster of another name are refused.
    pub cluster_name: String,
    /// The cluster secret, from which the seal's key is derived, and the one before it.
    pub secrets: Secrets,
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

/// A socket that listens for gossip before anything is gossiped.
#[derive(Debug)]
pub struct Bound {
    socket: std::net::UdpSocket,
    address: SocketAddr,
}

impl Bound {
    /// Listens.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn to(listen: SocketAddr) -> Result<Self, Error> {
        let cannot_listen = |source| Error::Listen { address: listen, source };
        let socket = std::net::UdpSocket::bind(listen).map_err(cannot_listen)?;
        socket.set_nonblocking(true).map_err(cannot_listen)?;
        let address = socket.local_addr().map_err(cannot_listen)?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The node's end of the gossip. Cheap to clone.
#[derive(Clone)]
pub struct Gossip {
    shared: Arc<Shared>,
    changed: watch::Receiver<u64>,
    address: SocketAddr,
}

/// What the handle and its task share.
struct Shared {
    view: ArcSwap<View>,
    own: ArcSwap<NodeFact>,
    /// What was published and not yet written out: the last fact of each kind.
    outbox: Mutex<Outbox>,
    drops: Arc<Drops>,
}

#[derive(Default)]
struct Outbox {
    node: Option<NodeFact>,
    load: Option<LoadFact>,
    health: Option<HealthFact>,
}

impl Gossip {
    /// Listens, and starts to gossip on the current runtime.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(config: Config, clock: Clock) -> Result<Self, Error> {
        let socket = Bound::to(config.listen)?;
        Self::start_on(socket, config, clock)
    }

    /// The same with a socket that listens already, whatever `config.listen` says.
    ///
    /// # Errors
    /// The runtime does not take the socket.
    pub fn start_on(bound: Bound, config: Config, clock: Clock) -> Result<Self, Error> {
        let Bound { socket, address } = bound;
        let cannot_listen = |source| Error::Listen { address, source };
        let socket = UdpSocket::from_std(socket).map_err(cannot_listen)?;
        let drops = Arc::new(Drops::default());
        let view = View { me: config.me, peers: BTreeMap::new() };
        let shared = Arc::new(Shared {
            view: ArcSwap::from_pointee(view),
            own: ArcSwap::default(),
            outbox: Mutex::default(),
            drops: drops.clone(),
        });
        let (changed_in, changed) = watch::channel(0);
        let transport = SealedTransport {
            socket: Mutex::new(Some(socket)),
            seal: Arc::new(Seal::new(&config.secrets, &config.cluster_name)),
            me: config.me,
            incarnation: config.epoch.0,
            drops,
        };
        let member = Member {
            me: config.me,
            epoch: config.epoch,
            listen: address,
            advertise: config.advertise,
            seeds: config.seeds,
            cluster_name: config.cluster_name,
            transport,
            shared: shared.clone(),
            changed: changed_in,
            clock,
            stop: config.stop.clone(),
        };
        config.tasks.spawn(vital(member.run(), move || config.stop.cancel()));
        Ok(Self { shared, changed, address })
    }

    /// The UDP address listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What is believed about the peers.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// What this node last said of itself.
    #[must_use]
    pub fn own(&self) -> Arc<NodeFact> {
        self.shared.own.load_full()
    }

    /// Counts up when a peer came, went, died or said something new; not at every sign of life.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Tells the peers. What is published within 50 ms is sent once, as the last of its kind.
    pub fn publish(&self, fact: Fact) {
        let mut outbox = self.shared.outbox.lock().expect("no panic while it is held");
        match fact {
            Fact::Node(fact) => {
                self.shared.own.store(Arc::new(fact.clone()));
                outbox.node = Some(fact);
            }
            Fact::Load(fact) => outbox.load = Some(fact),
            Fact::Health(fact) => outbox.health = Some(fact),
        }
    }

    /// What was dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.shared.drops.read()
    }
}

impl Shared {
    /// Empties the outbox: keys and values to write out.
    fn outbox(&self) -> Vec<(&'static str, String)> {
        let Outbox { node, load, health } =
            std::mem::take(&mut *self.outbox.lock().expect("no panic while it is held"));
        let facts = [node.map(Fact::Node), load.map(Fact::Load), health.map(Fact::Health)];
        facts.iter().flatten().map(Fact::encode).collect()
    }
}
