//! Keys: made, changed, blocked, deleted.

use std::sync::Arc;

use dunlin_types::{EntityId, KeyDigest, UnixMillis};

use super::{entities, promised, seen};
use crate::command::{Change, Key, KeyChanges, Kind, Rejected, Reply, TermsChanges};
use crate::state::{Holder, State};

/// The most text in one key, in bytes: every node holds whatever an admin hangs on it.
const MAX_KEY_BYTES: usize = 64 << 10;

pub(super) fn create(state: &mut State, key: &Key) -> Result<Reply, Rejected> {
    if state.keys.contains_key(&key.token) {
        return Err(Rejected::KeyExists);
    }
    let id = state.next_id();
    state.former.remove(&key.token);
    put(state, Key { id, created_at: state.at, updated_at: UnixMillis(0), ..key.clone() })
}

/// Puts a key from elsewhere in the place of `over`, or of none.
pub(super) fn put_over(
    state: &mut State,
    key: &Key,
    over: Option<EntityId>,
) -> Result<Reply, Rejected> {
    let known = state.keys.get(&key.token);
    let updated_at = known.map_or(UnixMillis(0), |known| known.updated_at);
    let id = match (known.map(|known| known.id), over) {
        (None, None) => state.next_id(),
        (Some(known), Some(over)) if known == over => known,
        (Some(_), _) => return Err(Rejected::KeyExists),
        (None, Some(_)) => return Err(Rejected::UnknownKey),
    };
    state.former.remove(&key.token);
    let created_at = state.age(key.created_at);
    put(state, Key { id, created_at, updated_at, ..key.clone() })
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
    let terms = TermsChanges { blocked: Change::Set(blocked), ..TermsChanges::default() };
    update(state, token, &KeyChanges { terms, ..KeyChanges::default() })
}

/// Gives a key the hash `new` and another name; its former text works until `grace`.
pub(super) fn regenerate(
    state: &mut State,
    token: KeyDigest,
    (new, name, grace): (KeyDigest, &str, Option<UnixMillis>),
    changes: &KeyChanges,
) -> Result<Reply, Rejected> {
    let key = Key::clone(state.keys.get(&token).ok_or(Rejected::UnknownKey)?);
    if state.keys.contains_key(&new) {
        return Err(Rejected::KeyExists);
    }
    take(state, &token);
    state.days.rename(&token.to_string(), &new.to_string());
    state.former = state
        .former
        .iter()
        .filter(|(_, (_, until))| *until > state.at)
        .map(|(old, (present, until))| {
            (*old, (if *present == token { new } else { *present }, *until))
        })
        .collect();
    if let Some(until) = grace.filter(|until| *until > state.at) {
        state.former.insert(token, (new, until));
    }
    let key = Key { token: new, name: name.to_owned(), ..key };
    put(state, key.changed(changes.clone()))
}

pub(super) fn delete(state: &mut State, tokens: &[KeyDigest]) -> Result<Reply, Rejected> {
    let taken = tokens.iter().filter_map(|token| take(state, token)).collect::<Vec<_>>();
    for key in &taken {
        entities::forget(state, key.id);
        state.days.part_with(None, &key.token.to_string(), key.alias.as_deref());
    }
    let deleted: Vec<_> = taken.iter().map(|key| key.token).collect();
    if deleted.is_empty() { Err(Rejected::UnknownKey) } else { Ok(Reply::Deleted(deleted)) }
}

/// Takes a key out, but for what it has spent.
fn take(state: &mut State, token: &KeyDigest) -> Option<Arc<Key>> {
    let key = state.keys.remove(token)?;
    if let Some(alias) = &key.alias {
        state.aliases.remove(alias);
    }
    Some(key)
}

/// Puts a key in the place of the one with its hash, if there is one. It was last changed when it says.
fn put(state: &mut State, mut key: Key) -> Result<Reply, Rejected> {
    key.terms.begin(state.at);
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
    let named = [
        (Kind::Team, &key.team),
        (Kind::Organization, &key.organization),
        (Kind::Budget, &key.terms.budget_id),
    ];
    for (kind, name) in named {
        entities::known(state, kind, name.as_deref())?;
    }
    promised::to_key(state, &key)?;
    let updated_at = seen::time(state, key.updated_at);
    let key = Arc::new(Key { updated_at, ..key });
    if let Some(before) = state.keys.insert(key.token, Arc::clone(&key))
        && let Some(alias) = &before.alias
    {
        state.aliases.remove(alias);
    }
    if let Some(alias) = &key.alias {
        state.aliases.insert(alias.clone(), key.token);
    }
    state.holders.insert(key.id, Holder::Key(key.token));
    Ok(Reply::Key(key))
}
