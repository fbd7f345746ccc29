//! What a pick sees: this node's own knowledge merged with what peers gossip. One sick peer blacks
//! out nobody: that a backend does not answer counts by this node's evidence or by two peers'.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_gossip::{Reported, View};
use dunlin_router::{BackendId, Catalog, Deployment, Group, Seen, decay, warmth};
use dunlin_types::MonoMillis;

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
    /// For how long one of its deployments is left alone yet.
    pub cooling_for: Option<Duration>,
    /// Why it gets no traffic from this node at all.
    pub parked: Option<Arc<str>>,
}

impl Table {
    /// What is known of each of a group's deployments, in their order.
    pub(crate) fn seen(&self, group: &Group, view: &View, now: MonoMillis) -> Vec<Seen> {
        group.deployments.iter().map(|deployment| self.see(deployment, view, now)).collect()
    }

    fn see(&self, deployment: &Deployment, view: &View, now: MonoMillis) -> Seen {
        let backend = self.known(&deployment.backend);
        let reach = backend.as_ref().map(|backend| backend.reach()).unwrap_or_default();
        let told = told(view, &deployment.backend, now);
        Seen {
            cooling_until: self.cooldown(&deployment.id, now).max(told.limited_until),
            out: reach.is_out() || told.unreachable >= PEERS_THAT_CONVINCE,
            load: load(backend.as_deref(), view, &deployment.backend, now),
            warmth: warmth(reach.back_for(now)),
        }
    }
}

/// What live peers say about one backend's health.
#[derive(Default)]
struct Told {
    unreachable: usize,
    limited_until: Option<MonoMillis>,
}

fn told(view: &View, backend: &BackendId, now: MonoMillis) -> Told {
    let mut told = Told::default();
    for peer in view.peers.values().filter(|peer| peer.alive) {
        match peer.health.backends.get(backend) {
            Some(Reported::Unreachable) => told.unreachable += 1,
            Some(Reported::RateLimited { for_ms }) => {
                let until = now.plus(Duration::from_millis(*for_ms));
                told.limited_until = told.limited_until.max(Some(until));
            }
            None => {}
        }
    }
    told
}

fn load(own: Option<&Backend>, view: &View, id: &BackendId, now: MonoMillis) -> f64 {
    let in_flight = own.map_or(0, |own| own.in_flight.load(Ordering::Relaxed));
    let service = own.map_or(Duration::ZERO, Backend::mean_service);
    let remote = view.peers.values().filter(|peer| peer.alive).filter_map(|peer| {
        let count = peer.load.backends.get(id)?.in_flight;
        Some(f64::from(count) * decay(now.since(peer.load_at), service))
    });
    f64::from(in_flight) + remote.sum::<f64>()
}

pub(crate) fn all(
    table: &Table,
    catalog: &Catalog,
    view: &View,
    now: MonoMillis,
) -> Vec<BackendStatus> {
    let mut all: BTreeMap<&BackendId, BackendStatus> = BTreeMap::new();
    let deployments = catalog.groups.values().flat_map(|group| &group.deployments);
    for deployment in deployments {
        let seen = table.see(deployment, view, now);
        let cooling_for = seen.cooling_until.map(|until| until.since(now));
        let status = all.entry(&deployment.backend).or_insert_with(|| BackendStatus {
            api_base: Arc::clone(&deployment.api_base),
            upstream_model: Arc::clone(&deployment.upstream_model),
            groups: Vec::new(),
            in_flight: table.backend(&deployment.backend).in_flight.load(Ordering::Relaxed),
            load: seen.load,
            out: seen.out,
            cooling_for: None,
            parked: deployment.parked.clone(),
        });
        status.cooling_for = status.cooling_for.max(cooling_for);
        if !status.groups.contains(&deployment.group) {
            status.groups.push(Arc::clone(&deployment.group));
        }
    }
    all.into_values().collect()
}
