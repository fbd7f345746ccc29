//! `GET /cluster/status`: the cluster as this node sees it. Answers without a leader too.

use std::time::Duration;

use axum::response::Response;
use dunlin_admin_api::{
    BackendStatus, ClusterStatus, MemberRole, MemberStatus, NoMajority, SecretStatus,
};
use dunlin_consensus::{FormatStatus, Status};
use dunlin_gossip::{NodeFact, View};
use dunlin_router::Outcome;
use dunlin_types::{MonoMillis, NodeId};

use super::{cluster_format, ok, remove_node};
use crate::error::Error;
use crate::health::readiness::LOST_AFTER;
use crate::routes::{Request, Routes, Who};
use crate::{Admin, Config};

pub(super) fn add(routes: Routes) -> Routes {
    routes.get("/cluster/status", Who::Viewers, handle)
}

async fn handle(admin: Admin, _: Request) -> Result<Response, Error> {
    let seen = Seen {
        own: &admin.0.config,
        said: &admin.0.gossip.own(),
        ready: admin.ready().await.is_ok(),
        consensus: &admin.0.consensus.status(),
        format: &admin.0.consensus.format(),
        staleness: admin.0.consensus.staleness(),
        now: admin.0.clock.mono(),
        state: &admin.0.consensus.state(),
        view: &admin.0.gossip.view(),
    };
    let catalog = admin.0.published.load_full().map(|published| published.catalog.clone());
    let backends = catalog.map(|catalog| admin.0.upstream.backends(&catalog)).unwrap_or_default();
    Ok(ok(&seen.status(backends.iter().map(backend).collect())))
}

/// All that a node knows of its cluster at one moment.
#[derive(Clone, Copy)]
struct Seen<'a> {
    own: &'a Config,
    /// What this node says of itself.
    said: &'a NodeFact,
    ready: bool,
    consensus: &'a Status,
    format: &'a FormatStatus,
    staleness: Duration,
    now: MonoMillis,
    state: &'a dunlin_state::State,
    view: &'a View,
}

impl Seen<'_> {
    fn status(&self, backends: Vec<BackendStatus>) -> ClusterStatus {
        let members = self.state.nodes();
        ClusterStatus {
            node: self.own.me,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: self.consensus.cluster,
            leader: self.leader(),
            no_majority: self.no_majority(),
            term: self.consensus.term,
            applied: self.consensus.applied,
            config_revision: self.state.config().map_or(0, |config| config.revision),
            log_format: cluster_format::shown(self.format),
            members: members.iter().map(|(id, member)| self.member(*id, member)).collect(),
            removed: self
                .state
                .removed()
                .map(|(id, removed)| remove_node::row(self.state, id, removed))
                .collect(),
            secret: self.secret(),
            backends,
        }
    }

    /// The leader. A node that led when the others died still considers itself the leader.
    fn leader(&self) -> Option<NodeId> {
        self.consensus.leader.filter(|_| self.no_majority().is_none())
    }

    fn no_majority(&self) -> Option<NoMajority> {
        self.consensus.cluster?;
        let silence = self.now.since(self.consensus.leader_heard.unwrap_or_default());
        // Where none can be without this node, its knowledge does not age.
        let left = self.own.max_staleness.filter(|_| self.staleness >= LOST_AFTER);
        (silence >= LOST_AFTER).then(|| NoMajority {
            for_s: silence.as_secs(),
            serves_for_s: left.map(|most| most.saturating_sub(self.staleness).as_secs()),
        })
    }

    fn secret(&self) -> SecretStatus {
        let sealer = &self.own.sealer;
        let mut known = sealer.known();
        let current = known.next().unwrap_or_default();
        SecretStatus {
            previous: known.next(),
            sealed_under_others: crate::changes::stored::sealed_under_others(self.state, sealer),
            unknown_to: unaware(self.state, self.view, &current),
            current,
        }
    }

    fn member(&self, id: NodeId, member: &dunlin_state::ClusterNode) -> MemberStatus {
        let own = id == self.own.me;
        let peer = self.view.peers.get(&id);
        let alive = own || peer.is_some_and(|peer| peer.alive);
        let fact: Option<&NodeFact> = peer.and_then(|peer| peer.node.as_ref());
        MemberStatus {
            id,
            address: member.address.clone(),
            api_address: if own {
                Some(self.own.api.clone())
            } else {
                fact.map(|fact| fact.api_address.clone())
            },
            role: self.role(id),
            alive,
            down: member.down.is_some(),
            // What a dead peer last said of itself holds no longer.
            ready: if own { self.ready } else { alive && fact.is_some_and(|fact| fact.ready) },
            draining: if own {
                self.said.draining
            } else {
                alive && fact.is_some_and(|fact| fact.draining)
            },
            config_revision: if own {
                self.said.config_revision
            } else {
                fact.map_or(0, |fact| fact.config_revision)
            },
            clock_skew_ms: if own {
                self.said.clock_skew_ms
            } else {
                fact.map_or(0, |fact| fact.clock_skew_ms)
            },
            other_master_key: alive
                && fact.is_some_and(|fact| fact.differs_in_master_key(self.said)),
            other_prices: alive && fact.is_some_and(|fact| fact.differs_in_prices(self.said)),
        }
    }

    fn role(&self, id: NodeId) -> MemberRole {
        if self.leader() == Some(id) {
            MemberRole::Leader
        } else if self.consensus.voters.contains(&id) {
            MemberRole::Voter
        } else if self.consensus.learners.contains(&id) {
            MemberRole::Learner
        } else {
            MemberRole::Outside
        }
    }
}

/// Members, but for the looking one, of which it is not known that they know a cluster secret.
#[must_use]
pub fn unaware(state: &dunlin_state::State, view: &View, secret: &str) -> Vec<NodeId> {
    let members = state.nodes().into_keys().filter(|id| *id != view.me);
    let is_aware = |id: &NodeId| {
        let fact = view.peers.get(id).and_then(|peer| peer.node.as_ref());
        fact.is_some_and(|fact| fact.secrets.iter().any(|known| known == secret))
    };
    members.filter(|id| !is_aware(id)).collect()
}

fn backend(seen: &dunlin_upstream::BackendStatus) -> BackendStatus {
    let state = if let Some(reason) = &seen.parked {
        format!("parked: {reason}")
    } else if seen.out {
        match seen.out_because {
            Some(Outcome::Refused(why)) => format!("unreachable: {why}"),
            Some(seen) => format!("unreachable: {seen}"),
            None => "unreachable: other nodes find it so".to_owned(),
        }
    } else if let Some(left) = seen.cooling_for {
        format!("cooling down for {:.1} s", left.as_secs_f64())
    } else {
        "ready".to_owned()
    };
    BackendStatus {
        backend: seen.api_base.to_string(),
        upstream_model: seen.upstream_model.to_string(),
        models: seen.groups.iter().map(ToString::to_string).collect(),
        in_flight: seen.in_flight,
        load: seen.load,
        state,
    }
}

#[cfg(test)]
mod tests;
