//! How nodes that have never met become one cluster, and never two. Pure: what a node knows in,
//! the next step out.
//!
//! Joining wins over forming. To form, a node proposes itself to one set S of exactly
//! `bootstrap_expect` nodes that holds a strict majority of the configured seeds, so any two such
//! sets share a node; every member promises itself, durably, to one set at a time; and only the
//! lowest id of S, once it holds every promise, may initialise S's cluster.
//!
//! A promise ends only when its cluster can never commit an entry: its initialiser has durably
//! refused it before initialising it, or a majority of S has. A node that has entered a cluster
//! refuses it no more, and one that has refused it enters only after it has committed, which
//! proves that the refusing majority never was.
//!
//! With a single seed (a DNS name for all nodes) the majority says nothing: there
//! `bootstrap_expect` must exceed half of the nodes that start before forming, and a node that
//! sees twice as many refuses to form.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_types::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};

use crate::certificate::{Ballot, Standing};

/// What this node was told by its operator, and its name.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) me: NodeId,
    pub(crate) address: String,
    /// Voters of a new cluster, exactly.
    pub(crate) expect: usize,
    /// Configured seed addresses; with none, this node is its own cluster.
    pub(crate) seeds: usize,
}

/// How a node presents itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Introduction {
    pub(crate) address: String,
    pub(crate) standing: Standing,
    /// Whether the entered cluster has committed its first entry, as far as this node knows.
    pub(crate) formed: bool,
}

/// What one round of asking has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    /// For each configured seed that answered, who it is. This node itself may be one.
    pub(crate) seeds: Vec<NodeId>,
    /// Everyone who answered, without this node.
    pub(crate) nodes: BTreeMap<NodeId, Introduction>,
}

/// Why there is nothing to do yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Not enough nodes have been seen.
    ForNodes { seen: usize, expect: usize },
    /// Enough nodes, but too few of the configured seeds are among them.
    ForSeeds { answered: usize, seeds: usize },
    /// Another node is to propose.
    ForProposer(NodeId),
    /// The members have not all promised, or the initialiser has not begun.
    ForMembers(Ballot),
    /// So many nodes that half of them could form a second cluster.
    TooMany { seen: usize, expect: usize },
    /// Two clusters answer: they must never be merged.
    TwoClusters(ClusterId, ClusterId),
}

/// What to do next. Every change of standing is to be durable before anything follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Wait(Waiting),
    /// Promise this to oneself, then ask the others.
    Propose(Ballot),
    /// Ask the members for their promises.
    Collect(Ballot),
    /// All have promised: enter the cluster and initialise it with these voters.
    Initialise(Ballot),
    /// Take this standing; the cluster in it, if any, is entered from now on.
    Become(Standing),
}

/// The next step of a node that has entered no cluster.
///
/// `granted`: who has promised this node's own ballot since it was proposed. `impatient`: the
/// promise is old, and somebody it needs is silent. `drawn`: an id for a cluster, never used.
pub(crate) fn next(
    plan: &Plan,
    standing: &Standing,
    seen: &Seen,
    granted: &BTreeSet<NodeId>,
    impatient: bool,
    drawn: ClusterId,
) -> Step {
    match formed(seen) {
        Ok(Some(cluster)) => return Step::Become(join(standing, cluster)),
        Ok(None) => {}
        Err((one, other)) => return Step::Wait(Waiting::TwoClusters(one, other)),
    }
    match &standing.promise {
        None => propose(plan, standing, seen, drawn),
        Some(ballot) if standing.refused.contains(&ballot.cluster) => {
            release(plan, standing, seen, ballot)
        }
        Some(ballot) if ballot.initialiser() == plan.me => {
            lead(plan, standing, seen, granted, impatient)
        }
        Some(ballot) => follow(standing, seen, ballot, impatient),
    }
}

/// The cluster that has already formed, if anyone knows one.
fn formed(seen: &Seen) -> Result<Option<ClusterId>, (ClusterId, ClusterId)> {
    let mut found = None;
    for node in seen.nodes.values().filter(|node| node.formed) {
        match (found, node.standing.cluster) {
            (Some(one), Some(other)) if one != other => return Err((one, other)),
            (_, cluster) => found = cluster.or(found),
        }
    }
    Ok(found)
}

/// Entering a formed cluster. A promise to another one turns into a refusal.
fn join(standing: &Standing, cluster: ClusterId) -> Standing {
    let mut refused = standing.refused.clone();
    refused.extend(standing.promise.as_ref().map(|ballot| ballot.cluster));
    refused.remove(&cluster);
    Standing { cluster: Some(cluster), promise: None, refused }
}

fn propose(plan: &Plan, standing: &Standing, seen: &Seen, drawn: ClusterId) -> Step {
    debug_assert!(standing.promise.is_none());
    if plan.seeds == 0 {
        let members = BTreeMap::from([(plan.me, plan.address.clone())]);
        return Step::Propose(Ballot { cluster: drawn, members });
    }
    let pristine = |node: &&Introduction| node.standing.cluster.is_none();
    let seen_pristine = 1 + seen.nodes.values().filter(pristine).count();
    if too_many(plan, seen_pristine) {
        return Step::Wait(Waiting::TooMany { seen: seen_pristine, expect: plan.expect });
    }
    if let Some(proposer) = proposer_to_wait_for(plan, seen) {
        return Step::Wait(Waiting::ForProposer(proposer));
    }
    let free = |id: &NodeId| {
        *id == plan.me
            || seen.nodes.get(id).is_some_and(|node| {
                node.standing.cluster.is_none() && node.standing.promise.is_none()
            })
    };
    let seeds: BTreeSet<NodeId> = seen.seeds.iter().copied().filter(|id| free(id)).collect();
    let everyone: BTreeSet<NodeId> =
        seen.nodes.keys().copied().chain([plan.me]).filter(|id| free(id)).collect();
    // Seeds come first: without their majority there is no set at all.
    let others = everyone.iter().filter(|id| !seeds.contains(id));
    let chosen: BTreeSet<NodeId> = seeds.iter().chain(others).copied().take(plan.expect).collect();
    if chosen.len() < plan.expect {
        return Step::Wait(Waiting::ForNodes { seen: chosen.len(), expect: plan.expect });
    }
    if !holds_seed_majority(plan, seen, |id| chosen.contains(id)) {
        let answered = seen.seeds.len();
        return Step::Wait(Waiting::ForSeeds { answered, seeds: plan.seeds });
    }
    let lowest = *chosen.first().expect("bootstrap_expect is at least 1");
    if lowest != plan.me {
        return Step::Wait(Waiting::ForProposer(lowest));
    }
    let address = |id: NodeId| match seen.nodes.get(&id) {
        Some(node) => node.address.clone(),
        None => plan.address.clone(),
    };
    let members = chosen.into_iter().map(|id| (id, address(id))).collect();
    Step::Propose(Ballot { cluster: drawn, members })
}

/// A node that is about to ask for this node's promise.
fn proposer_to_wait_for(plan: &Plan, seen: &Seen) -> Option<NodeId> {
    let asks = |id: &NodeId, standing: &Standing| {
        standing.promise.as_ref().is_some_and(|ballot| {
            ballot.initialiser() == *id
                && ballot.members.contains_key(&plan.me)
                && !standing.refused.contains(&ballot.cluster)
        })
    };
    seen.nodes.iter().find(|(id, node)| asks(id, &node.standing)).map(|(id, _)| *id)
}

fn too_many(plan: &Plan, pristine: usize) -> bool {
    plan.seeds == 1 && pristine >= 2 * plan.expect && pristine > 1
}

fn holds_seed_majority(plan: &Plan, seen: &Seen, member: impl Fn(&NodeId) -> bool) -> bool {
    seen.seeds.iter().filter(|id| member(id)).count() > plan.seeds / 2
}

/// This node has refused its promise: it is free once nobody can make that cluster commit.
fn release(plan: &Plan, standing: &Standing, seen: &Seen, ballot: &Ballot) -> Step {
    if ballot.initialiser() == plan.me || dead(plan.me, standing, seen, ballot) {
        Step::Become(Standing { promise: None, ..standing.clone() })
    } else {
        Step::Wait(Waiting::ForMembers(ballot.clone()))
    }
}

/// Whether the ballot's cluster can never commit, as far as the answers show.
fn dead(me: NodeId, standing: &Standing, seen: &Seen, ballot: &Ballot) -> bool {
    let refuses = |id: &NodeId| {
        let standing =
            if *id == me { Some(standing) } else { seen.nodes.get(id).map(|node| &node.standing) };
        standing.is_some_and(|standing| standing.refused.contains(&ballot.cluster))
    };
    refuses(&ballot.initialiser())
        || ballot.members.keys().filter(|id| refuses(id)).count() >= ballot.majority()
}

/// This node's own ballot: initialise, go on asking, or withdraw while it still may.
fn lead(
    plan: &Plan,
    standing: &Standing,
    seen: &Seen,
    granted: &BTreeSet<NodeId>,
    impatient: bool,
) -> Step {
    let ballot = standing.promise.as_ref().expect("the caller matched it");
    let mut others = ballot.members.keys().filter(|id| **id != plan.me);
    if others.clone().all(|id| granted.contains(id)) {
        return Step::Initialise(ballot.clone());
    }
    let lost = others.any(|id| {
        seen.nodes.get(id).map_or(impatient, |node| {
            let theirs = &node.standing;
            let elsewhere = theirs.promise.as_ref().is_some_and(|promise| {
                promise.cluster != ballot.cluster && (impatient || promise.initialiser() < plan.me)
            });
            theirs.cluster.is_some() || theirs.refused.contains(&ballot.cluster) || elsewhere
        })
    });
    if lost { refuse(standing, ballot) } else { Step::Collect(ballot.clone()) }
}

/// A promise to another node's ballot: enter with it, wait for it, or refuse it.
fn follow(standing: &Standing, seen: &Seen, ballot: &Ballot, impatient: bool) -> Step {
    let member = |id: &NodeId| seen.nodes.get(id).map(|node| &node.standing);
    let entered = ballot.members.keys().filter_map(member).any(|theirs| {
        theirs.cluster == Some(ballot.cluster) && !theirs.refused.contains(&ballot.cluster)
    });
    if entered {
        return Step::Become(Standing { cluster: Some(ballot.cluster), ..standing.clone() });
    }
    match member(&ballot.initialiser()) {
        Some(theirs) if theirs.refused.contains(&ballot.cluster) => {
            Step::Become(Standing { promise: None, ..standing.clone() })
        }
        None if impatient => refuse(standing, ballot),
        Some(_) | None => Step::Wait(Waiting::ForMembers(ballot.clone())),
    }
}

fn refuse(standing: &Standing, ballot: &Ballot) -> Step {
    let mut standing = standing.clone();
    standing.refused.insert(ballot.cluster);
    Step::Become(standing)
}

/// A node that entered a cluster which has committed nothing: whether it never will. Then the
/// standing to take, with an empty log, is returned.
pub(crate) fn abandon(plan: &Plan, standing: &Standing, seen: &Seen) -> Option<Standing> {
    let ballot = standing.promise.as_ref().filter(|b| Some(b.cluster) == standing.cluster)?;
    let refusing = ballot
        .members
        .keys()
        .filter_map(|id| seen.nodes.get(id))
        .filter(|node| node.standing.refused.contains(&ballot.cluster));
    let formed = seen.nodes.values().any(|n| n.formed && n.standing.cluster == standing.cluster);
    if formed || refusing.count() < ballot.majority() {
        return None;
    }
    debug_assert!(ballot.members.contains_key(&plan.me));
    let mut refused = standing.refused.clone();
    refused.insert(ballot.cluster);
    Some(Standing { cluster: None, promise: None, refused })
}

/// Why a promise is not given. The words go to the proposer's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Withheld {
    #[error("it has entered cluster {0}")]
    Entered(ClusterId),
    #[error("it has refused this cluster")]
    Refused,
    #[error("it is promised to another set, under node {}", .0.initialiser())]
    Promised(Ballot),
    #[error("it is not in the set")]
    NotMember,
    #[error("it was started with --bootstrap-expect {0}")]
    OtherExpect(usize),
    #[error("it does not see a majority of its seeds in the set")]
    Seeds,
    #[error("it sees {0} nodes without a cluster, enough for two")]
    TooMany(usize),
}

/// Whether this node promises itself to a ballot; the standing to make durable first.
pub(crate) fn grant(
    plan: &Plan,
    standing: &Standing,
    seen: &Seen,
    ballot: &Ballot,
) -> Result<Standing, Withheld> {
    if let Some(cluster) = standing.cluster {
        return Err(Withheld::Entered(cluster));
    }
    if standing.refused.contains(&ballot.cluster) {
        return Err(Withheld::Refused);
    }
    match &standing.promise {
        Some(promise) if promise == ballot => return Ok(standing.clone()),
        Some(promise) => return Err(Withheld::Promised(promise.clone())),
        None => {}
    }
    if !ballot.members.contains_key(&plan.me) {
        return Err(Withheld::NotMember);
    }
    if ballot.members.len() != plan.expect {
        return Err(Withheld::OtherExpect(plan.expect));
    }
    let pristine = 1 + seen.nodes.values().filter(|node| node.standing.cluster.is_none()).count();
    if too_many(plan, pristine) {
        return Err(Withheld::TooMany(pristine));
    }
    // One DNS name for all may answer with any of them; then the rule above is what protects.
    if plan.seeds != 1 && !holds_seed_majority(plan, seen, |id| ballot.members.contains_key(id)) {
        return Err(Withheld::Seeds);
    }
    Ok(Standing { promise: Some(ballot.clone()), ..standing.clone() })
}

#[cfg(test)]
mod tests;
