//! The edge of `bootstrap.rs`: asks the others, makes each step durable, and goes on until this
//! node is a member of a cluster that has formed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_rpc::{CallError, Service};
use dunlin_types::{ClusterId, MonoMillis, NodeId};
use futures::future::join_all;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::bootstrap::{self, Introduction, Seen, Step, Waiting};
use crate::certificate::{Ballot, Standing};
use crate::error::Error;
use crate::node::{Node, Running};
use crate::wire::{self, JoinReply, JoinRequest};

/// Between two rounds of asking.
const ROUND: Duration = Duration::from_millis(200);
/// One question; a node under start-up load may be slow.
const ASK: Duration = Duration::from_secs(1);
/// How long a silent member may hold up a set before its promises are taken back.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the same obstacle is logged.
const REMIND: Duration = Duration::from_secs(10);
/// How often the same refusal is logged.
const REMIND_REFUSED: Duration = Duration::from_secs(30);
/// A node that no leader has taken for so long needs somebody who looks.
const ADDED_WITHIN: Duration = Duration::from_secs(30);

/// Enters a cluster: this node's own, a promised one, or one that exists. The ballot is returned
/// if this node is to initialise its cluster.
pub(crate) async fn enter(node: &Arc<Node>) -> Result<(ClusterId, Option<Ballot>), Error> {
    let mut granted = BTreeSet::new();
    let mut patience = Patience::default();
    let mut obstacle = Obstacle::default();
    loop {
        let seen = look(node).await;
        *node.seen.lock().expect("no holder panics") = seen.clone();
        let impatient = patience.is_over(node);
        let step = take_step(node, &seen, &granted, impatient)?;
        match step {
            Step::Wait(waiting) => obstacle.meet(node, &waiting),
            Step::Propose(_) => {
                granted.clear();
                continue;
            }
            Step::Collect(ballot) => {
                collect(node, &ballot, &mut granted).await;
                if granted.len() + 1 == ballot.members.len() {
                    continue;
                }
                obstacle.meet(node, &Waiting::ForMembers(ballot));
            }
            Step::Initialise(ballot) => return Ok((ballot.cluster, Some(ballot))),
            Step::Become(standing) => {
                if let Some(cluster) = standing.cluster {
                    return Ok((cluster, None));
                }
            }
        }
        sleep(ROUND).await;
    }
}

/// Decides under the certificate's lock, and makes the decision durable before anyone hears of it.
fn take_step(
    node: &Node,
    seen: &Seen,
    granted: &BTreeSet<NodeId>,
    impatient: bool,
) -> Result<Step, Error> {
    let drawn = ClusterId(uuid::Uuid::new_v4().as_u128());
    let mut identity = node.identity();
    let standing = identity.standing().clone();
    let step = bootstrap::next(&node.plan, &standing, seen, granted, impatient, drawn);
    let becomes = match &step {
        Step::Wait(_) | Step::Collect(_) => return Ok(step),
        Step::Propose(ballot) => {
            let mut standing = standing;
            standing.promise = Some(ballot.clone());
            standing
        }
        Step::Initialise(ballot) => {
            let mut standing = standing;
            standing.cluster = Some(ballot.cluster);
            standing
        }
        Step::Become(standing) => standing.clone(),
    };
    identity.amend(|certificate| certificate.standing = becomes)?;
    Ok(step)
}

/// Asks every address that is known who lives there.
async fn look(node: &Node) -> Seen {
    let known = |id: &NodeId| *id != node.me;
    let mut addresses: BTreeSet<String> = node.seeds.iter().cloned().collect();
    let view = node.gossip.view();
    let gossiped = view.peers.values().filter(|peer| peer.alive).filter_map(|p| p.node.as_ref());
    addresses.extend(gossiped.map(|fact| fact.cluster_address.clone()));
    addresses.extend(node.seen().nodes.values().map(|node| node.address.clone()));
    if let Some(promise) = &node.identity().standing().promise {
        let others = promise.members.iter().filter(|(id, _)| known(id));
        addresses.extend(others.map(|(_, address)| address.clone()));
    }
    addresses.retain(|address| !address.is_empty());
    let asked = addresses.into_iter().map(|address| async {
        let who = who_is_at(node, &address).await;
        (address, who)
    });
    let answers: BTreeMap<String, Who> = join_all(asked).await.into_iter().collect();

    node.unheard.note(node.seeds.iter().filter_map(|seed| match answers.get(seed) {
        Some(Who::Nobody(why)) => Some(why.clone()),
        Some(Who::Myself | Who::Other(..) | Who::Elsewhere(_)) | None => None,
    }));
    let mut seen = Seen { nodes: left_for_another_cluster(node, &answers), ..Seen::default() };
    for seed in &node.seeds {
        match answers.get(seed) {
            Some(Who::Myself) => seen.seeds.push(node.me),
            Some(Who::Other(id, _)) => seen.seeds.push(*id),
            Some(Who::Elsewhere(_) | Who::Nobody(_)) | None => {}
        }
    }
    for who in answers.into_values() {
        if let Who::Other(id, introduction) = who {
            seen.nodes.insert(id, introduction);
        }
    }
    seen
}

enum Who {
    Myself,
    Other(NodeId, Introduction),
    /// A member of another cluster than this node's, which speaks with its own only.
    Elsewhere(ClusterId),
    /// Why nobody was found there.
    Nobody(String),
}

/// Those who were to form this node's cluster and entered another one: they have refused it, since
/// nobody enters a cluster while promised to another one without refusing that.
fn left_for_another_cluster(
    node: &Node,
    answers: &BTreeMap<String, Who>,
) -> BTreeMap<NodeId, Introduction> {
    let promise = node.identity().standing().promise.clone();
    let Some(ballot) = promise else { return BTreeMap::new() };
    let left = ballot.members.into_iter().filter_map(|(id, address)| {
        let Some(Who::Elsewhere(cluster)) = answers.get(&address) else { return None };
        let standing = Standing {
            cluster: Some(*cluster),
            promise: None,
            refused: BTreeSet::from([ballot.cluster]),
        };
        Some((id, Introduction { address, standing, formed: false }))
    });
    left.collect()
}

async fn who_is_at(node: &Node, address: &str) -> Who {
    if address == node.plan.address {
        return Who::Myself;
    }
    match ask(node, address, &JoinRequest::Introduce).await {
        Ok((id, _)) if id == node.me => Who::Myself,
        Ok((id, JoinReply::Introduction(introduction))) => {
            node.refusals.forget(address);
            Who::Other(id, introduction)
        }
        Err(CallError::Itself) => Who::Myself,
        Err(CallError::WrongCluster { theirs: Some(cluster), .. }) => Who::Elsewhere(cluster),
        Err(wrong @ CallError::WrongSecret { .. }) => {
            if node.refusals.is_due(address, node.clock.mono()) {
                warn!(%address, "{wrong}");
            }
            Who::Nobody(wrong.to_string())
        }
        Ok(_) => Who::Nobody(format!("{address} gave an invalid answer")),
        // It names the address.
        Err(why @ CallError::Unreachable { .. }) => Who::Nobody(why.to_string()),
        Err(why) => Who::Nobody(format!("cannot reach {address}: {why}")),
    }
}

async fn ask(
    node: &Node,
    address: &str,
    question: &JoinRequest,
) -> Result<(NodeId, JoinReply), CallError> {
    let body = wire::encode(question);
    let (id, told) = node.rpc.call_address(address, Service::Join, body, ASK).await?;
    match wire::decode(&told) {
        Ok(told) => Ok((id, told)),
        Err(reason) => Err(CallError::Refused { reason }),
    }
}

/// Asks the members of this node's own ballot for their promises.
async fn collect(node: &Node, ballot: &Ballot, granted: &mut BTreeSet<NodeId>) {
    let missing = ballot.members.iter().filter(|(id, _)| **id != node.me && !granted.contains(id));
    let asked = missing.map(|(id, address)| async move {
        let told = ask(node, address, &JoinRequest::Promise(ballot.clone())).await;
        (*id, told)
    });
    for (id, told) in join_all(asked).await {
        match told {
            Ok((found, JoinReply::Promised)) if found == id => {
                granted.insert(id);
            }
            Ok((_, JoinReply::Withheld(reason))) => {
                info!(node.id = %id, %reason, "a member does not commit to this cluster yet");
            }
            // Silence and strangers are what the next round of asking will show.
            Ok(_) | Err(_) => {}
        }
    }
}

/// When each address that refuses this node, or is refused by it, was last spoken of, if lately.
/// Addresses come from `--join` and from members: they are few.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<String, MonoMillis>>);

impl Refusals {
    /// Whether to speak of `address` now: at once, and then every [`REMIND_REFUSED`].
    pub(crate) fn is_due(&self, address: &str, now: MonoMillis) -> bool {
        let mut spoken = self.0.lock().expect("no holder panics");
        let due = spoken.get(address).is_none_or(|last| now.since(*last) >= REMIND_REFUSED);
        if due {
            spoken.retain(|_, last| now.since(*last) < REMIND_REFUSED);
            spoken.insert(address.to_owned(), now);
        }
        due
    }

    /// It has let this node in: another refusal is news.
    fn forget(&self, address: &str) {
        self.0.lock().expect("no holder panics").remove(address);
    }
}

/// Why `--join` addresses gave no answer when they were last asked, to be told while a node waits.
#[derive(Default)]
pub(crate) struct Unheard(Mutex<Vec<String>>);

impl Unheard {
    fn note(&self, whys: impl Iterator<Item = String>) {
        *self.0.lock().expect("no holder panics") = whys.collect();
    }

    /// As the end of a sentence.
    fn told(&self) -> String {
        let whys = self.0.lock().expect("no holder panics");
        whys.iter().map(|why| format!("; {why}")).collect()
    }
}

/// How long the present promise has been held.
#[derive(Default)]
struct Patience {
    promise: Option<ClusterId>,
    since: MonoMillis,
}

impl Patience {
    fn is_over(&mut self, node: &Node) -> bool {
        let promise = node.identity().standing().promise.as_ref().map(|ballot| ballot.cluster);
        if promise != self.promise {
            *self = Self { promise, since: node.clock.mono() };
        }
        promise.is_some() && node.clock.mono().since(self.since) >= PATIENCE
    }
}

/// What stands in the way, said once and then every [`REMIND`].
#[derive(Default)]
struct Obstacle {
    last: Option<(Waiting, MonoMillis)>,
}

impl Obstacle {
    fn meet(&mut self, node: &Node, waiting: &Waiting) {
        let now = node.clock.mono();
        if let Some((last, said)) = &self.last
            && last == waiting
            && now.since(*said) < REMIND
        {
            return;
        }
        self.last = Some((waiting.clone(), now));
        match waiting {
            Waiting::ForNodes { seen, expect } => {
                let unheard = node.unheard.told();
                info!("waiting to form a cluster: {seen} of {expect} nodes are here{unheard}");
            }
            Waiting::ForSeeds { answered, seeds } => {
                let unheard = node.unheard.told();
                info!(
                    "waiting to form a cluster: more than half of the {seeds} --join addresses \
                     must be among its first voters, but {answered} answer{unheard}"
                );
            }
            Waiting::ForProposer(lowest) => info!("waiting for node {lowest} to form a cluster"),
            Waiting::ForMembers(ballot) => {
                info!(
                    cluster.id = %ballot.cluster,
                    "waiting for all {} nodes that will form the cluster",
                    ballot.members.len()
                );
            }
            Waiting::TooMany { seen, expect } => error!(
                "refusing to form a cluster: {seen} nodes without one are here, enough for two \
                 clusters of {expect}. Set --bootstrap-expect above half of the nodes, or list \
                 several --join addresses"
            ),
            Waiting::TwoClusters(one, other) => error!(
                "nodes of two clusters answer, {one} and {other}: they can never be merged. \
                 Correct --join"
            ),
        }
    }
}

/// Waits until the replicated state lists this node, asking to be added as long as it does not.
pub(crate) async fn become_member(node: &Node, running: &Running) -> Result<(), Error> {
    let mut applied = node.published.applied();
    let (began, mut hint) = (node.clock.mono(), None);
    loop {
        let state = node.published.state();
        if state.cluster().is_some() && node.is_listed(node.me) {
            break;
        }
        drop(state);
        if running.metrics().membership_config.membership().get_node(&node.me.0).is_none() {
            hint = ask_to_be_added(node, running, hint).await?;
            let now = node.clock.mono();
            let is_late = hint.is_none() && now.since(began) >= ADDED_WITHIN;
            if is_late && node.refusals.is_due(&node.plan.address, now) {
                error!(
                    "this node is no member yet: none of the nodes that it reaches leads cluster {}",
                    running.cluster
                );
            }
        } else {
            give_up_if_void(node).await?;
        }
        tokio::select! {
            _ = applied.changed() => {}
            () = sleep(ROUND) => {}
        }
    }
    node.identity().amend(|certificate| certificate.member = true)?;
    node.formed.send_replace(true);
    info!(node.id = %node.me, cluster.id = %running.cluster, "this node is a member");
    Ok(())
}

/// Asks any node that answers; returns the leader's address as reported.
pub(crate) async fn ask_to_be_added(
    node: &Node,
    running: &Running,
    hint: Option<String>,
) -> Result<Option<String>, Error> {
    let member = node.identity().certificate().member;
    let question = JoinRequest::AddMe {
        address: node.plan.address.clone(),
        cluster: running.cluster,
        member,
        format: node.format.0,
    };
    let mut addresses: Vec<String> = hint.into_iter().collect();
    let view = node.gossip.view();
    addresses
        .extend(view.peers.values().filter_map(|p| Some(p.node.as_ref()?.cluster_address.clone())));
    addresses.extend(node.seeds.iter().cloned());
    addresses.retain(|address| !address.is_empty() && *address != node.plan.address);
    for mut address in addresses {
        let mut told = ask(node, &address, &question).await;
        if let Ok((_, JoinReply::Leader(_, leader))) = told {
            told = ask(node, &leader, &question).await;
            address = leader;
        }
        match told {
            Ok((_, JoinReply::Added)) => return Ok(Some(address)),
            Ok((_, JoinReply::Refused(why))) => {
                if node.refusals.is_due(&address, node.clock.mono()) {
                    error!(%address, "the cluster does not take this node: {why}");
                }
            }
            Ok((_, JoinReply::Removed(why))) => {
                node.write_removal(&why)?;
                return Err(Error::Removed { node: node.me, cluster: running.cluster, why });
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// A set whose majority has refused it can never commit: this node must not wait for it for ever.
async fn give_up_if_void(node: &Node) -> Result<(), Error> {
    if node.published.state().cluster().is_some() {
        return Ok(());
    }
    let seen = look(node).await;
    let mut identity = node.identity();
    let standing = identity.standing().clone();
    let Some(free) = bootstrap::abandon(&node.plan, &standing, &seen) else { return Ok(()) };
    identity.amend(|certificate| certificate.standing = free)?;
    Err(Error::Voided { cluster: standing.cluster.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_at_once_and_then_at_times() {
        let refusals = Refusals::default();
        for (address, now, due) in [
            ("n1:4100", 0, true),
            ("n2:4100", 0, true),
            ("n1:4100", 200, false),
            ("n1:4100", 29_999, false),
            ("n1:4100", 30_000, true),
            ("n1:4100", 30_200, false),
            ("n2:4100", 30_200, true),
        ] {
            assert_eq!(refusals.is_due(address, MonoMillis(now)), due, "{address} at {now}");
        }
        refusals.forget("n1:4100");
        assert!(refusals.is_due("n1:4100", MonoMillis(30_400)), "it was let in meanwhile");
        assert!(!refusals.is_due("n2:4100", MonoMillis(30_400)));
    }
}
