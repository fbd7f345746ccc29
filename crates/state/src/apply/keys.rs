//! Keys: made, changed, blocked, deleted.

use std::sync::Arc;

use dunlin_types::KeyDigest;

use crate::command::{Change, Key, KeyChanges, Rejected, Reply};
use crate::state::State;

/// The most text in one key, in bytes: every node holds whatever an admin hangs on it.
const MAX_KEY_BYTES: usize = 64 << 10;

pub(super) fn create(state: &mut State, key: &Key) -> Result<Reply, Rejected> {
    if state.keys.contains_key(&key.token) {
        return Err(Rejected::KeyExists);
    }
    let reply = put(state, Key { created_at: state.at, ..key.clone() })?;
    if state.deleted.remove(&key.token) {
        disown(state, &key.token);
    }
    Ok(reply)
}

pub(super) fn update(
    state: &mut State,
    token: KeyDigest,
    changes: &KeyChanges,
) -> Result<Reply, Rejected> {
    let key = Key::clone(state.keys.get(&token).ok_or(Rejected::UnknownKey)?);
    put(state, key.changed(changes.clone()))
}

pub(super) fn set_blocked(
    state: &mut State,
    token: KeyDigest,
    blocked: bool,
) -> Result<Reply, Rejected> {
    update(state, token, &KeyChanges { blocked: Change::Set(blocked), ..KeyChanges::default() })
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
    while let Some(forgotten) = state.deleted.pop_overdue(state.at) {
        disown(state, &forgotten);
    }
    if deleted.is_empty() { Err(Rejected::UnknownKey) } else { Ok(Reply::Deleted(deleted)) }
}

/// Puts a key in the place of the one with its hash, if there is one.
fn put(state: &mut State, key: Key) -> Result<Reply, Rejected> {
    let bytes = key.text_bytes();
    if bytes > MAX_KEY_BYTES {
        return Err(Rejected::TooLarge {
            what: "key".to_owned(),
            bytes: bytes as u64,
            most: MAX_KEY_BYTES as u64,
        });
    }
    if let Some(alias) = &key.alias
        && state.aliases.get(alias).is_some_and(|holder| *holder != key.token)
    {
        return Err(Rejected::DuplicateAlias { alias: alias.clone() });
    }
    let key = Arc::new(Key { updated_at: state.at, ..key });
    if let Some(before) = state.keys.insert(key.token, Arc::clone(&key))
        && let Some(alias) = &before.alias
    {
        state.aliases.remove(alias);
    }
    if let Some(alias) = &key.alias {
        state.aliases.insert(alias.clone(), key.token);
    }
    Ok(Reply::Key(key))
}

/// What a hash has spent counts for no key any more.
fn disown(state: &mut State, token: &KeyDigest) {
    if let Some(spent) = state.spent.remove(token) {
        state.unclaimed.add(spent);
    }
}
