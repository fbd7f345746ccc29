//! Keys: made, changed, blocked, deleted.

use std::sync::Arc;

use dunlin_types::{EntityId, KeyDigest, UnixMillis};

use super::durations::Durations;
use super::{entities, promised, seen};
use crate::Format;
use crate::command::{Change, Key, KeyChanges, Kind, Rejected, Reply, TermsChanges};
use crate::state::{Holder, State};

/// The most text in one key, in bytes: every node holds whatever an admin hangs on it.
const MAX_KEY_BYTES: usize = 64 << 10;

/// Another text for a key.
pub(super) struct NewText<'a> {
    pub(super) token: KeyDigest,
    /// What the key is called by it.
    pub(super) name: &'a str,
    /// Until when the former text works too.
    pub(super) grace: Option<UnixMillis>,
}

pub(super) fn create(state: &mut State, key: &Key) -> Result<Reply, Rejected> {
    if is_taken(state, &key.token) {
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
        (None, None) if !is_taken(state, &key.token) => state.next_id(),
        (Some(known), Some(over)) if known == over => known,
        (Some(_), _) | (None, None) => return Err(Rejected::KeyExists),
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

/// Gives a key another text; its former one works until the grace is over. Without one, those that it
/// had before end too: whoever may know one may know them. A key may have back a text that it had.
pub(super) fn regenerate(
    state: &mut State,
    token: KeyDigest,
    text: &NewText<'_>,
    changes: &KeyChanges,
) -> Result<Reply, Rejected> {
    let key = Key::clone(state.keys.get(&token).ok_or(Rejected::UnknownKey)?);
    let new = text.token;
    let is_own = token != new && state.key_named(&new).is_some_and(|holder| holder.id == key.id);
    if is_taken(state, &new) && !is_own {
        return Err(Rejected::KeyExists);
    }
    take(state, &token);
    state.days.rename(&token.to_string(), &new.to_string());
    let ends_all = text.grace.is_none() && state.format >= Format::ENDS_FORMER_TEXTS;
    state.former = state
        .former
        .iter()
        .filter(|(_, (present, until))| *until > state.at && !(ends_all && *present == token))
        .map(|(old, (present, until))| {
            (*old, (if *present == token { new } else { *present }, *until))
        })
        .collect();
    if state.format >= Format::OWNS_FORMER_TEXTS {
        state.former.remove(&new);
    }
    if let Some(until) = text.grace.filter(|until| *until > state.at) {
        state.former.insert(token, (new, until));
    }
    let key = Key { token: new, name: text.name.to_owned(), ..key };
    put(state, key.changed(changes.clone()))
}

/// Whether a key goes by that text: it is its own, or works still, as far as the log's format knows.
fn is_taken(state: &State, token: &KeyDigest) -> bool {
    if state.format < Format::OWNS_FORMER_TEXTS {
        return state.keys.contains_key(token);
    }
    state.key_named(token).is_some()
}

pub(super) fn delete(state: &mut State, tokens: &[KeyDigest]) -> Result<Reply, Rejected> {
    let taken = tokens.iter().filter_map(|token| take(state, token)).collect::<Vec<_>>();
    for key in &taken {
        entities::forget(state, key.id);
        state.days.part_with(None, &key.token.to_string(), key.alias.as_deref());
    }
    let deleted: Vec<_> = taken.iter().map(|key| key.token).collect();
    if state.format >= Format::OWNS_FORMER_TEXTS {
        let former = std::mem::take(&mut state.former).into_iter();
        state.former = former.filter(|(_, (present, _))| !deleted.contains(present)).collect();
    }
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
    let durations = Durations::of(state, key.id);
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
    durations.keep(state);
    Ok(Reply::Key(key))
}
