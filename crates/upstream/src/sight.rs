//! What a pick sees: this node's own knowledge merged with what peers gossip. One sick peer blacks
//! out nobody: that a backend does not answer counts by this node's evidence or by two peers', and
//! that it asks to be left alone only speaks for another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_gossip::{Reported, View};
use dunlin_router::{
    BackendId, Catalog, Deployment, Group, Outcome, Seen, Strategy, decay, warmth,
};
use dunlin_types::{MonoMillis, Tokens};

use crate::rumours::Rumours;
use crate::table::{Backend, Table};

/// So many peers that cannot reach a backend are evidence.
const PEERS_THAT_CONVINCE: usize = 2;

/// One backend as this node sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendStatus {
    /// Where requests go: the base URL.
    pub api_base: Arc<str>,
    /// The model's name there.
    pub upstream_model: Arc<str>,
    /// The public names it serves.
    pub groups: Vec<Arc<str>>,
    /// Requests this node has in flight there.
    pub in_flight: u32,
    /// Requests the cluster has in flight there, as far as known.
    pub load: f64,
    /// Whether it gets no traffic until a probe succeeds.
    pub out: bool,
    /// What this node saw last of one that it finds out itself.
    pub out_because: Option<Outcome>,
    /// For how long one of its deployments is left alone yet, here or by a peer's word.
    pub cooling_for: Option<Duration>,
    /// Why it gets no traffic from this node at all.
    pub parked: Option<Arc<str>>,
}

/// How a deployment stands, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It gets requests and answers them.
    Well,
    /// It gets requests, and has failed within the last minute.
    Failing,
    /// It gets none, for now or because something is missing.
    Out,
}

/// What a node knows at one moment.
pub(crate) struct Sight<'a> {
    pub(crate) table: &'a Table,
    pub(crate) view: &'a View,
    pub(crate) rumours: &'a Rumours,
    pub(crate) now: MonoMillis,
}

impl Sight<'_> {
    /// What is known of each of a group's deployments, in their order, as far as the strategy asks.
    pub(crate) fn of(&self, group: &Group, strategy: Strategy) -> Vec<Seen> {
        let see = |deployment: &Arc<Deployment>| {
            let seen = self.see(deployment);
            match strategy {
                Strategy::Shuffle | Strategy::LeastBusy | Strategy::Cheapest => seen,
                Strategy::LeastUsed => {
                    Seen { used: self.table.used(&deployment.id, self.now), ..seen }
                }
                Strategy::Fastest { stream, .. } => {
                    Seen { latency: self.latency(&deployment.backend, stream), ..seen }
                }
            }
        };
        group.deployments.iter().map(see).collect()
    }

    fn latency(&self, id: &BackendId, stream: bool) -> Option<Duration> {
        let backend = self.table.known(id)?;
        let pace = if stream { &backend.first } else { &backend.token };
        pace.mean(self.now)
    }

    fn see(&self, deployment: &Deployment) -> Seen {
        let id = &deployment.backend;
        let backend = self.table.known(id);
        let reach = backend.as_ref().map(|backend| backend.reach()).unwrap_or_default();
        Seen {
            cooling_until: self.table.cooldown(&deployment.id, self.now),
            rumoured: self.rumours.limited_until(id, self.now).is_some(),
            out: reach.is_out() || self.peers_convince(id),
            load: self.load(id, backend.as_deref()),
            warmth: warmth(reach.back_for(self.now)),
            used: Tokens(0),
            latency: None,
        }
    }

    /// How a deployment stands.
    pub(crate) fn condition(&self, deployment: &Deployment) -> Condition {
        if deployment.parked.is_some() || !self.see(deployment).is_ready() {
            Condition::Out
        } else if self.table.has_failed(&deployment.id, self.now) {
            Condition::Failing
        } else {
            Condition::Well
        }
    }

    fn peers_convince(&self, id: &BackendId) -> bool {
        let peers = self.view.peers.values().filter(|peer| peer.alive);
        let told = peers.filter_map(|peer| peer.health.backends.get(id));
        told.filter(|told| **told == Reported::Unreachable).count() >= PEERS_THAT_CONVINCE
    }

    fn load(&self, id: &BackendId, own: Option<&Backend>) -> f64 {
        let in_flight = own.map_or(0, |own| own.in_flight.load(Ordering::Relaxed));
        let service = own.map_or(Duration::ZERO, Backend::mean_service);
        let alive = self.view.peers.values().filter(|peer| peer.alive);
        let remote = alive.filter_map(|peer| {
            let count = peer.load.backends.get(id)?.in_flight;
            Some(f64::from(count) * decay(self.now.since(peer.heard), service))
        });
        f64::from(in_flight) + remote.sum::<f64>()
    }

    /// Requests that this node has open there.
    fn in_flight(&self, id: &BackendId) -> u32 {
        self.table.known(id).map_or(0, |backend| backend.in_flight.load(Ordering::Relaxed))
    }

    fn out_because(&self, id: &BackendId) -> Option<Outcome> {
        self.table.known(id)?.reach().out_because()
    }

    /// Every backend of the catalog, in the order of their ids.
    pub(crate) fn backends(&self, catalog: &Catalog) -> Vec<BackendStatus> {
        let mut all: BTreeMap<&BackendId, BackendStatus> = BTreeMap::new();
        for deployment in catalog.deployments() {
            let id = &deployment.backend;
            let seen = self.see(deployment);
            let limited_until = self.rumours.limited_until(id, self.now);
            let until = seen.cooling_until.max(limited_until);
            let status = all.entry(id).or_insert_with(|| BackendStatus {
                api_base: Arc::clone(&deployment.target.api_base),
                upstream_model: Arc::clone(&deployment.target.model),
                groups: Vec::new(),
                in_flight: self.in_flight(id),
                load: seen.load,
                out: seen.out,
                out_because: self.out_because(id),
                cooling_for: None,
                parked: deployment.parked.clone(),
            });
            status.cooling_for = status.cooling_for.max(until.map(|until| until.since(self.now)));
            if !status.groups.contains(&deployment.group) {
                status.groups.push(Arc::clone(&deployment.group));
            }
        }
        all.into_values().collect()
    }
}
