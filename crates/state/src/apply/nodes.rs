//! The cluster's name, its members, and which of them are silent.

use std::sync::Arc;

use dunlin_types::{ClusterId, Epoch, NodeId};

use crate::command::{Rejected, Reply};
use crate::snapshot::{ClusterNode, RemovedNode};
use crate::state::State;

/// So many removed nodes are told by name and reason. Of more, the oldest is forgotten: what is
/// still withheld with it is free, and what of its journal nobody holds is missed no more.
const MAX_REMOVED: usize = 1_000;

pub(super) fn form(state: &mut State, cluster: ClusterId) -> Result<Reply, Rejected> {
    match state.cluster {
        None => state.cluster = Some(cluster),
        Some(known) if known == cluster => return Ok(Reply::Unchanged),
        Some(_) => return Err(Rejected::AlreadyFormed),
    }
    Ok(Reply::Done)
}

pub(super) fn add(state: &mut State, node: NodeId, address: &str) -> Result<Reply, Rejected> {
    if let Some(removed) = state.removed.get(&node) {
        return Err(Rejected::NodeRemoved { node, by: removed.by.clone() });
    }
    if state.nodes.contains_key(&node) {
        return set_address(state, node, address);
    }
    let (address, since) = (address.to_owned(), state.applied);
    let member = ClusterNode { address, down: None, since, among: 0, resting: false };
    state.nodes.insert(node, member);
    state.turn_ring(state.applied);
    Ok(Reply::Done)
}

pub(super) fn set_address(
    state: &mut State,
    node: NodeId,
    address: &str,
) -> Result<Reply, Rejected> {
    let member = state.nodes.get_mut(&node).ok_or(Rejected::UnknownNode { node })?;
    if member.address == address {
        return Ok(Reply::Unchanged);
    }
    address.clone_into(&mut member.address);
    Ok(Reply::Done)
}

pub(super) fn remove(state: &mut State, node: NodeId, by: &str) -> Result<Reply, Rejected> {
    if state.removed.contains_key(&node) {
        return Ok(Reply::Unchanged);
    }
    let member = state.nodes.remove(&node).ok_or(Rejected::UnknownNode { node })?;
    let removed = RemovedNode {
        address: member.address,
        at: state.at,
        index: state.applied,
        by: by.to_owned(),
        reclaimed: None,
    };
    state.removed.insert(node, removed);
    state.results.forget(node);
    // `settled` stays: what it recorded must not be settled twice, and must be in copies.
    state.turn_ring(state.applied);
    if state.removed.len() > MAX_REMOVED {
        let oldest = state.removed.iter().min_by_key(|(_, removed)| removed.index);
        let oldest = *oldest.expect("it holds more than one").0;
        super::money::free(state, oldest, Epoch(u64::MAX));
        state.removed.remove(&oldest);
        if let Some(settled) = state.settled.get_mut(&oldest) {
            Arc::make_mut(settled).forget();
        }
    }
    Ok(Reply::Done)
}

pub(super) fn reclaim(state: &mut State, node: NodeId) -> Result<Reply, Rejected> {
    let at = state.at;
    match state.removed.get_mut(&node) {
        None if state.nodes.contains_key(&node) => return Err(Rejected::NodeIsMember { node }),
        None => return Err(Rejected::UnknownNode { node }),
        Some(removed) if removed.reclaimed.is_some() => return Ok(Reply::Unchanged),
        Some(removed) => removed.reclaimed = Some(at),
    }
    super::money::free(state, node, Epoch(u64::MAX));
    Ok(Reply::Done)
}

pub(super) fn mark(state: &mut State, node: NodeId, down: bool) -> Result<Reply, Rejected> {
    let (at, applied, among) = (state.at, state.applied, state.nodes.len() as u64);
    let member = state.nodes.get_mut(&node).ok_or(Rejected::UnknownNode { node })?;
    if member.down.is_some() == down {
        return Ok(Reply::Unchanged);
    }
    if down {
        (member.down, member.among) = (Some(at), among);
    } else {
        (member.down, member.since) = (None, applied);
    }
    state.turn_ring(state.applied);
    Ok(Reply::Done)
}

pub(super) fn drain(state: &State, node: NodeId) -> Result<Reply, Rejected> {
    if state.nodes.contains_key(&node) {
        return Ok(Reply::Done);
    }
    Err(Rejected::UnknownNode { node })
}

pub(super) fn rest(state: &mut State, node: NodeId, resting: bool) -> Result<Reply, Rejected> {
    let member = state.nodes.get_mut(&node).ok_or(Rejected::UnknownNode { node })?;
    if member.resting == resting {
        return Ok(Reply::Unchanged);
    }
    member.resting = resting;
    state.turn_ring(state.applied);
    Ok(Reply::Done)
}
