//! The task behind the handle: runs chitchat, writes out what was published, looks at the peers,
//! knocks at the seeds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, KeyChangeEvent,
    ProtocolVersion, spawn_chitchat,
};
use dunlin_types::{Clock, Epoch, NodeId};
use futures::future::join_all;
use tokio::net::lookup_host;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::Shared;
use crate::facts::{HEALTH, LOAD, NODE};
use crate::peers::{Peers, Sight};
use crate::transport::SealedTransport;

/// How often a node gossips: a change is everywhere within about two of these.
const GOSSIP_INTERVAL: Duration = Duration::from_millis(100);
/// How often what was published is written out and the peers' silence is counted: death is noticed
/// after `DEAD_AFTER_ROUNDS` of these, about a second.
const ROUND: Duration = Duration::from_millis(50);
/// How long a dead life of a node is remembered. Longer, and restarts pile up in every datagram.
const GRACE: Duration = Duration::from_secs(15 * 60);
/// How often the seeds are resolved and knocked at.
const SEED_INTERVAL: Duration = Duration::from_secs(1);
/// The same, while no peer is alive.
const SEED_INTERVAL_ALONE: Duration = Duration::from_millis(200);
/// Bound on resolving one name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Wait before resolving the own name again.
const ADVERTISE_PAUSE: Duration = Duration::from_secs(1);

/// chitchat picks whom to gossip with by its own sense of who is dead. A short window of intervals
/// keeps that near a second, however many ways its heartbeats take.
const PHI: f64 = 16.0;
const PHI_WINDOW: usize = 10;

/// What the task needs to run.
pub(crate) struct Member {
    pub(crate) me: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) listen: SocketAddr,
    pub(crate) advertise: String,
    pub(crate) seeds: Vec<String>,
    pub(crate) cluster_name: String,
    pub(crate) transport: SealedTransport,
    pub(crate) shared: Arc<Shared>,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
}

impl Member {
    /// Gossips until the node stops. Ends the node if gossip ends by itself.
    pub(crate) async fn run(self) {
        let stop = self.stop.clone();
        if let Err(error) = self.gossip().await {
            error!(error = format!("{error:#}"), "gossip between nodes has ended");
            stop.cancel();
        }
    }

    async fn gossip(self) -> anyhow::Result<()> {
        let advertised = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            advertised = self.resolve_advertised() => advertised,
        };
        let config = self.chitchat_config(advertised);
        let chitchat = spawn_chitchat(config, Vec::new(), &self.transport).await?;
        let news = Arc::new(Notify::new());
        let bell = news.clone();
        let ring = move |_: KeyChangeEvent<'_>| bell.notify_one();
        chitchat.with_chitchat(|held| held.subscribe_event("", ring.clone()).forever()).await;
        let outcome = tokio::select! {
            () = self.stop.cancelled() => Ok(()),
            ended = chitchat.termination_watcher() => {
                ended.and_then(|()| anyhow::bail!("it stopped without being told to"))
            }
            () = self.knock(&chitchat, advertised) => unreachable!("it knocks for ever"),
            () = self.watch(&chitchat, &news) => unreachable!("it watches for ever"),
        };
        // Waits for chitchat's own task, which holds the port.
        outcome.and(chitchat.shutdown().await)
    }

    /// Writes out what was published and takes in what was heard, for as long as it is polled.
    async fn watch(&self, chitchat: &ChitchatHandle, news: &Notify) {
        let mut peers = Peers::default();
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let round = tokio::select! {
                _ = rounds.tick() => true,
                () = news.notified() => false,
            };
            let published = if round { self.shared.outbox() } else { Vec::new() };
            let now = self.clock.mono();
            let looked = chitchat
                .with_chitchat(|held| {
                    for (key, value) in &published {
                        held.self_node_state().set(key, value);
                    }
                    peers.look(&sights(held, self.me), round, now, &self.shared.drops)
                })
                .await;
            if looked.stirred {
                self.shared.view.store(Arc::new(peers.view(self.me)));
            }
            if looked.changed {
                self.changed.send_modify(|version| *version += 1);
            }
        }
    }

    /// Resolves the seeds again and again and gossips with each, for as long as it is polled.
    ///
    /// chitchat would do so once a minute, which is long for a cluster whose names are only just
    /// being made.
    async fn knock(&self, chitchat: &ChitchatHandle, advertised: SocketAddr) {
        loop {
            // At once: a name that does not resolve holds up no other.
            let found = join_all(self.seeds.iter().map(|seed| resolve(seed))).await;
            for address in found.into_iter().flatten() {
                if address != advertised && chitchat.gossip(address).is_err() {
                    debug!("gossip is ending: no seed is asked");
                }
            }
            let alone = !self.shared.view.load().peers.values().any(|peer| peer.alive);
            sleep(if alone { SEED_INTERVAL_ALONE } else { SEED_INTERVAL }).await;
        }
    }

    /// The address peers answer to. Waits for as long as the name does not resolve.
    async fn resolve_advertised(&self) -> SocketAddr {
        let mut warned = false;
        loop {
            let found = resolve(&self.advertise).await;
            let reachable = found.into_iter().find(|ip| ip.is_ipv4() || self.listen.is_ipv6());
            if let Some(mut address) = reachable {
                if address.port() == 0 {
                    address.set_port(self.listen.port());
                }
                return address;
            }
            if !warned {
                warn!(
                    address = self.advertise,
                    "this node's own address does not resolve: it cannot gossip until it does"
                );
                warned = true;
            }
            sleep(ADVERTISE_PAUSE).await;
        }
    }

    fn chitchat_config(&self, advertised: SocketAddr) -> ChitchatConfig {
        ChitchatConfig {
            chitchat_id: ChitchatId::new(self.me.to_string(), self.epoch.0, advertised),
            cluster_id: self.cluster_name.clone(),
            gossip_interval: GOSSIP_INTERVAL,
            listen_addr: self.listen,
            seed_nodes: Vec::new(),
            failure_detector_config: FailureDetectorConfig {
                phi_threshold: PHI,
                sampling_window_size: PHI_WINDOW,
                initial_interval: GOSSIP_INTERVAL,
                dead_node_grace_period: GRACE,
                ..FailureDetectorConfig::default()
            },
            marked_for_deletion_grace_period: GRACE,
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V1,
        }
    }
}

/// Every life of every peer that chitchat holds. Names that are not node ids are ignored.
fn sights(held: &Chitchat, me: NodeId) -> Vec<Sight<'_>> {
    held.node_states()
        .iter()
        .filter_map(|(id, state)| {
            let node = id.node_id.parse().ok().filter(|node| *node != me)?;
            Some(Sight {
                node,
                epoch: Epoch(id.generation_id),
                heartbeat: state.heartbeat().into(),
                version: state.max_version(),
                identity: state.get(NODE),
                load: state.get(LOAD),
                health: state.get(HEALTH),
            })
        })
        .collect()
}

async fn resolve(address: &str) -> Vec<SocketAddr> {
    match timeout(RESOLVE_TIMEOUT, lookup_host(address)).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => {
            debug!(address, error = %error, "a name does not resolve");
            Vec::new()
        }
        Err(_elapsed) => {
            debug!(address, "resolving a name takes too long");
            Vec::new()
        }
    }
}
