//! A query: every node that can be asked is asked for its own records, and for its copies of those
//! that cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dunlin_journal::{Order, Query, Run};
use dunlin_rpc::Service;
use dunlin_types::NodeId;
use futures::future::join_all;
use tracing::debug;

use crate::keeper::{self, Busy};
use crate::merge::merge;
use crate::wire::{Ask, Call, Of, Told};
use crate::{Answer, Missing, Shared, cover};

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
        let missing = away.into_iter().map(|node| {
            let runs = held.get(&node).map(Vec::as_slice).unwrap_or_default();
            Missing { node, covered: cover::covers(runs, state.settled(node)) }
        });
        let merged = merge(query, all);
        let has_places = query.order == Order::Started;
        Answer {
            rows: merged.rows,
            reached: merged.reached.filter(|_| has_places),
            looked_at_all: has_places || merged.reached.is_none(),
            count: merged.counts.values().sum(),
            counted_all: merged.counted_all,
            missing: missing.collect(),
        }
    }

    /// The peers that seem to be there.
    pub(crate) fn alive(&self) -> BTreeSet<NodeId> {
        let view = self.gossip.view();
        view.peers.iter().filter(|(_, peer)| peer.alive).map(|(node, _)| *node).collect()
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
