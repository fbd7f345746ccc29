//! End users that requests name and nobody made: rows for whom default terms hold. Clients can name as
//! many as they like, so there is a bound.

use std::sync::Arc;

use dunlin_types::UnixMillis;

use super::entities;
use crate::command::{Entity, Kind, Rejected, Reply};
use crate::met::{self, OTHER};
use crate::state::State;

/// Makes rows of those that are unknown, and takes note of when they were seen. Forgets those that
/// were not for long.
pub(super) fn meet(state: &mut State, names: &[String]) -> Result<Reply, Rejected> {
    forget_idle(state);
    for name in names {
        match state.entity(Kind::EndUser, name).map(|known| known.met) {
            // An admin's: it stays whether it is seen or not.
            Some(None) => {}
            Some(Some(_)) => note(state, name),
            None if state.met.len() < met::MOST => {
                make(state, name)?;
                note(state, name);
            }
            None if state.entity(Kind::EndUser, OTHER).is_none() => make(state, OTHER)?,
            None => {}
        }
    }
    Ok(Reply::Done)
}

fn make(state: &mut State, name: &str) -> Result<(), Rejected> {
    let (kind, name) = (Kind::EndUser, name.to_owned());
    let entity = Entity { kind, name, ..Entity::default() };
    entities::create(state, &entity, &[]).map(drop)
}

/// Seen at this moment.
fn note(state: &mut State, name: &str) {
    let at = state.at;
    let entity = state.entities.entry(Kind::EndUser).or_default().get_mut(name);
    let entity = Arc::make_mut(entity.expect("it was just found or made"));
    if let Some(before) = entity.met.replace(at) {
        state.met.remove(&(before, name.to_owned()));
    }
    state.met.insert((at, name.to_owned()));
}

fn forget_idle(state: &mut State) {
    while let Some((seen, name)) = state.met.get_min().cloned()
        && UnixMillis(seen.0.saturating_add(met::KEPT_MS)) <= state.at
    {
        state.met.remove(&(seen, name.clone()));
        let gone = state.entities.entry(Kind::EndUser).or_default().remove(&name);
        entities::forget(state, gone.expect("whoever is noted has a row").id);
    }
}

/// What an admin put is an admin's from here on, and what is gone is gone.
pub(super) fn leave(state: &mut State, entity: &Entity) {
    if let Some(seen) = entity.met {
        state.met.remove(&(seen, entity.name.clone()));
    }
}
