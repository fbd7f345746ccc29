//! Keys: made, changed, blocked, deleted.

use std::sync::Arc;

use dunlin_types::KeyDigest;

use super::{Rejected, Reply};
use crate::key::{Change, Key, KeyChanges};
use crate::state::State;

/// How long a deleted key's spend still finds it, and its hash cannot be used again.
const TOMBSTONE_MS: u64 = 30 * 24 * 60 * 60 * 1000;

pub(super) fn create(state: &mut State, key: &Key) -> Result<Reply, Rejected> {
    if state.keys.contains_key(&key.token) || state.deleted.contains_key(&key.token) {
        return Err(Rejected::KeyExists);
    }
    claim_alias(state, key.token, key.alias.as_deref())?;
    let key = Arc::new(Key { created_at: state.at, updated_at: state.at, ..key.clone() });
    state.keys.insert(key.token, Arc::clone(&key));
    bury(state);
    Ok(Reply::Key(key))
}

pub(super) fn update(
    state: &mut State,
    token: KeyDigest,
    changes: &KeyChanges,
) -> Result<Reply, Rejected> {
    let mut key = Key::clone(state.keys.get(&token).ok_or(Rejected::UnknownKey)?);
    let old_alias = key.alias.clone();
    let changes = changes.clone();
    changes.alias.on(&mut key.alias);
    if key.alias != old_alias {
        claim_alias(state, token, key.alias.as_deref())?;
        if let Some(old) = old_alias {
            state.aliases.remove(&old);
        }
    }
    changes.models.on_plain(&mut key.models);
    changes.aliases.on_plain(&mut key.aliases);
    changes.expires.on(&mut key.expires);
    changes.blocked.on_plain(&mut key.blocked);
    changes.rpm_limit.on(&mut key.rpm_limit);
    changes.tpm_limit.on(&mut key.tpm_limit);
    changes.max_parallel_requests.on(&mut key.max_parallel_requests);
    for (name, change) in changes.other {
        match change {
            Change::Keep => {}
            Change::Clear => drop(key.other.remove(&name)),
            Change::Set(value) => drop(key.other.insert(name, value)),
        }
    }
    Ok(replace(state, key))
}

pub(super) fn set_blocked(
    state: &mut State,
    token: KeyDigest,
    blocked: bool,
) -> Result<Reply, Rejected> {
    let key = Key::clone(state.keys.get(&token).ok_or(Rejected::UnknownKey)?);
    Ok(replace(state, Key { blocked, ..key }))
}

pub(super) fn delete(state: &mut State, tokens: &[KeyDigest]) -> Result<Reply, Rejected> {
    let mut deleted = Vec::new();
    for token in tokens {
        let Some(key) = state.keys.remove(token) else { continue };
        if let Some(alias) = &key.alias {
            state.aliases.remove(alias);
        }
        state.deleted.insert(*token, state.at);
        deleted.push(*token);
    }
    if deleted.is_empty() {
        return Err(Rejected::UnknownKey);
    }
    bury(state);
    Ok(Reply::Deleted(deleted))
}

fn replace(state: &mut State, key: Key) -> Reply {
    let key = Arc::new(Key { updated_at: state.at, ..key });
    state.keys.insert(key.token, Arc::clone(&key));
    Reply::Key(key)
}

fn claim_alias(state: &mut State, token: KeyDigest, alias: Option<&str>) -> Result<(), Rejected> {
    let Some(alias) = alias else { return Ok(()) };
    if state.aliases.contains_key(alias) {
        return Err(Rejected::DuplicateAlias { alias: alias.to_owned() });
    }
    state.aliases.insert(alias.to_owned(), token);
    Ok(())
}

/// Forgets keys that were deleted long ago, with what they spent.
fn bury(state: &mut State) {
    let long_ago = state.at.0.saturating_sub(TOMBSTONE_MS);
    let gone: Vec<_> =
        state.deleted.iter().filter(|(_, at)| at.0 < long_ago).map(|(token, _)| *token).collect();
    for token in gone {
        state.deleted.remove(&token);
        state.spent.remove(&token);
    }
}
