//! Deleted keys. Each is remembered for a while, so that spend which settles late still counts for
//! it.

use dunlin_types::{KeyDigest, UnixMillis};
use imbl::{OrdMap, OrdSet};

/// How long a deleted key is remembered.
const REMEMBERED_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// How many are remembered; beyond, the oldest is forgotten early.
const MOST: usize = 100_000;

/// Hashes of deleted keys, by hash and by age.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deleted {
    by_token: OrdMap<KeyDigest, UnixMillis>,
    by_age: OrdSet<(UnixMillis, KeyDigest)>,
}

impl Deleted {
    pub(crate) fn contains(&self, token: &KeyDigest) -> bool {
        self.by_token.contains_key(token)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (KeyDigest, UnixMillis)> {
        self.by_token.iter().map(|(token, at)| (*token, *at))
    }

    pub(crate) fn insert(&mut self, token: KeyDigest, at: UnixMillis) {
        self.remove(&token);
        self.by_token.insert(token, at);
        self.by_age.insert((at, token));
    }

    /// Forgets a key; false if it was not remembered.
    pub(crate) fn remove(&mut self, token: &KeyDigest) -> bool {
        let Some(at) = self.by_token.remove(token) else { return false };
        self.by_age.remove(&(at, *token));
        true
    }

    /// A key whose time to be forgotten has come, taken out.
    pub(crate) fn pop_overdue(&mut self, now: UnixMillis) -> Option<KeyDigest> {
        let (at, token) = *self.by_age.get_min()?;
        let overdue = at.0.saturating_add(REMEMBERED_MS) <= now.0 || self.by_token.len() > MOST;
        (overdue && self.remove(&token)).then_some(token)
    }
}
