//! The cluster's name, its members, and which of them are silent.

use std::sync::Arc;

use dunlin_limiter::Ring;
use dunlin_types::{ClusterId, NodeId};

use super::{Rejected, Reply};
use crate::state::{Member, State};

pub(super) fn form(state: &mut State, cluster: ClusterId) -> Result<Reply, Rejected> {
    match state.cluster {
        None => state.cluster = Some(cluster),
        Some(known) if known == cluster => return Ok(Reply::Unchanged),
        Some(_) => return Err(Rejected::AlreadyFormed),
    }
    Ok(Reply::Done)
}

pub(super) fn add(state: &mut State, node: NodeId, address: &str) -> Result<Reply, Rejected> {
    if state.members.contains_key(&node) {
        return set_address(state, node, address);
    }
    state.members.insert(node, Member { address: address.to_owned(), down: None });
    turn(state);
    Ok(Reply::Done)
}

pub(super) fn set_address(
    state: &mut State,
    node: NodeId,
    address: &str,
) -> Result<Reply, Rejected> {
    let member = state.members.get_mut(&node).ok_or(Rejected::UnknownNode { node })?;
    if member.address == address {
        return Ok(Reply::Unchanged);
    }
    address.clone_into(&mut member.address);
    Ok(Reply::Done)
}

pub(super) fn remove(state: &mut State, node: NodeId) -> Result<Reply, Rejected> {
    state.members.remove(&node).ok_or(Rejected::UnknownNode { node })?;
    state.results.forget(node);
    turn(state);
    Ok(Reply::Done)
}

pub(super) fn mark(state: &mut State, node: NodeId, down: bool) -> Result<Reply, Rejected> {
    let at = state.at;
    let member = state.members.get_mut(&node).ok_or(Rejected::UnknownNode { node })?;
    if member.down.is_some() == down {
        return Ok(Reply::Unchanged);
    }
    member.down = down.then_some(at);
    turn(state);
    Ok(Reply::Done)
}

/// The ring changed: its version is the index of the entry that changed it.
fn turn(state: &mut State) {
    let serving = state.members.iter().filter(|(_, member)| member.down.is_none());
    let serving = serving.map(|(node, _)| *node).collect();
    state.ring = Arc::new(Ring::new(state.applied, serving));
}
