//! The cluster's name, its members, and which of them are silent.

use dunlin_types::{ClusterId, Epoch, NodeId};

use crate::command::{Rejected, Reply};
use crate::snapshot::ClusterNode;
use crate::state::State;

pub(super) fn form(state: &mut State, cluster: ClusterId) -> Result<Reply, Rejected> {
    match state.cluster {
        None => state.cluster = Some(cluster),
        Some(known) if known == cluster => return Ok(Reply::Unchanged),
        Some(_) => return Err(Rejected::AlreadyFormed),
    }
    Ok(Reply::Done)
}

pub(super) fn add(state: &mut State, node: NodeId, address: &str) -> Result<Reply, Rejected> {
    if state.nodes.contains_key(&node) {
        return set_address(state, node, address);
    }
    state.nodes.insert(node, ClusterNode { address: address.to_owned(), down: None });
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

pub(super) fn remove(state: &mut State, node: NodeId) -> Result<Reply, Rejected> {
    state.nodes.remove(&node).ok_or(Rejected::UnknownNode { node })?;
    state.results.forget(node);
    // Whoever removes it says that it will not come back: its money is free again.
    super::money::free(state, node, Epoch(u64::MAX));
    // `settled` stays: a node that returns must not settle its journal twice.
    state.turn_ring(state.applied);
    Ok(Reply::Done)
}

pub(super) fn mark(state: &mut State, node: NodeId, down: bool) -> Result<Reply, Rejected> {
    let at = state.at;
    let member = state.nodes.get_mut(&node).ok_or(Rejected::UnknownNode { node })?;
    if member.down.is_some() == down {
        return Ok(Reply::Unchanged);
    }
    member.down = down.then_some(at);
    state.turn_ring(state.applied);
    Ok(Reply::Done)
}
