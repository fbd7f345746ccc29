//! A query: every node that can be asked is asked for its own records, and for its copies of those
//! that cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dunlin_journal::{Order, Query, Run};
use dunlin_rpc::Service;
use dunlin_state::Settled;
use dunlin_types::{NanoUsd, NodeId, UnixMillis};
use futures::future::join_all;
use tracing::debug;

use crate::cover::{self, Since};
use crate::keeper::{self, Busy};
use crate::merge::merge;
use crate::wire::{Ask, Call, Of, Told};
use crate::{Answer, Missing, Shared};

/// How long a node may take to answer: longer than it searches.
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);

pub(crate) async fn search(shared: &Arc<Shared>, query: &Query) -> Result<Answer, Busy> {
    let members: BTreeSet<NodeId> = shared.consensus.state().nodes().into_keys().collect();
    let others = members.iter().copied().filter(|node| *node != shared.me);
    let alive = shared.alive();
    let (live, mut away): (BTreeSet<_>, BTreeSet<_>) =
        others.partition(|node| alive.contains(node));
    let ask = |of| Ask { query: query.clone(), of };
    let all = ask(Of::OwnAndAllBut(live.clone()));
    let (own, theirs) =
        tokio::join!(keeper::look(shared, all.clone()), shared.ask_all(&live, &all));
    let mut told = vec![own?];
    let failed: BTreeSet<NodeId> =
        live.iter().copied().filter(|node| !theirs.contains_key(node)).collect();
    let answered: BTreeSet<NodeId> = theirs.keys().copied().collect();
    told.extend(theirs.into_values());
    if !failed.is_empty() {
        // Nobody was asked for copies of those that seemed to be there.
        let second = ask(Of::Copies(failed.clone()));
        let (own, theirs) =
            tokio::join!(keeper::look(shared, second.clone()), shared.ask_all(&answered, &second));
        told.push(own?);
        told.extend(theirs.into_values());
        away.extend(failed);
    }
    Ok(shared.answer(query, told, away))
}

impl Shared {
    fn answer(&self, query: &Query, told: Vec<Told>, away: BTreeSet<NodeId>) -> Answer {
        let state = self.consensus.state();
        let mut held: BTreeMap<NodeId, Vec<Run>> = BTreeMap::new();
        let mut all = Vec::new();
        for Told { found, runs } in told {
            all.push(found);
            runs.into_iter().for_each(|(node, runs)| held.entry(node).or_default().extend(runs));
        }
        let age = self.bounds.lock().expect("no panic while it is held").age;
        let age = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let kept = age.map(|age| UnixMillis(self.clock.unix().0.saturating_sub(age)));
        let since = Since { from: query.filters.from, kept };
        let journals: BTreeMap<NodeId, &Settled> = state.journals().collect();
        let covers = |node: &NodeId| {
            let runs = held.get(node).map(Vec::as_slice).unwrap_or_default();
            journals.get(node).is_none_or(|settled| cover::covers(runs, settled, since))
        };
        let is_all_here = away.is_empty() && state.removed().next().is_none();
        let unsettled = if is_all_here { BTreeMap::new() } else { state.unsettled() };
        let missing = |node: NodeId| Missing {
            node,
            covered: covers(&node),
            withheld: unsettled.get(&node).copied().unwrap_or_default(),
            removed: false,
        };
        let removed = state.removed().map(|(node, removed)| {
            let mut missing = Missing { removed: true, ..missing(node) };
            if !since.reaches(removed.at) {
                // What it has not settled is older than what is asked for.
                missing.withheld = NanoUsd::ZERO;
            }
            missing
        });
        let removed = removed.filter(|missing| !missing.is_whole());
        let merged = merge(query, all);
        let has_places = query.order == Order::Started;
        Answer {
            rows: merged.rows,
            reached: merged.reached.filter(|_| has_places),
            looked_at_all: has_places || merged.reached.is_none(),
            count: merged.counts.values().sum(),
            counted_all: merged.counted_all,
            missing: away.into_iter().map(missing).chain(removed).collect(),
        }
    }

    /// The peers that seem to be there.
    pub(crate) fn alive(&self) -> BTreeSet<NodeId> {
        let view = self.gossip.view();
        view.peers.iter().filter(|(_, peer)| peer.alive).map(|(node, _)| *node).collect()
    }

    /// The nodes that serve and seem to be there, this one with them.
    pub(crate) fn serving(&self) -> BTreeSet<NodeId> {
        let (mut here, state) = (self.alive(), self.consensus.state());
        here.insert(self.me);
        state.ring().members().iter().copied().filter(|node| here.contains(node)).collect()
    }

    /// The answers of those that answer.
    async fn ask_all(&self, nodes: &BTreeSet<NodeId>, ask: &Ask) -> BTreeMap<NodeId, Told> {
        let body = Call::Search(Box::new(ask.clone())).encode();
        let asked = nodes.iter().map(|node| {
            let body = body.clone();
            async move {
                let answer = self.rpc.call(*node, Service::Records, body, PATIENCE).await;
                let told = answer.map_err(|error| error.to_string()).and_then(|body| {
                    serde_json::from_slice(&body).map_err(|error| error.to_string())
                });
                match told {
                    Ok(told) => Some((*node, told)),
                    Err(error) => {
                        debug!(node.id = %node, %error, "a node did not answer for its log");
                        None
                    }
                }
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}
