//! A virtual key as it is logged and stored, and what may change of it.

use std::collections::BTreeMap;

use dunlin_types::{KeyDigest, UnixMillis};
use serde::{Deserialize, Serialize};

/// A virtual key. The clear key is never stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// SHA-256 of the clear key.
    pub token: KeyDigest,
    /// `sk-...` and the last four characters.
    pub name: String,
    /// A second, unique name.
    pub alias: Option<String>,
    /// What it may call; empty means everything.
    pub models: Vec<String>,
    /// Names it may use instead of a model's.
    pub aliases: BTreeMap<String, String>,
    /// When it ceases to work.
    pub expires: Option<UnixMillis>,
    /// True: refused. `None` if that was never decided, which lets it in.
    pub blocked: Option<bool>,
    /// Requests in any 60 s.
    pub rpm_limit: Option<u64>,
    /// Tokens in any 60 s.
    pub tpm_limit: Option<u64>,
    /// Requests at once.
    pub max_parallel_requests: Option<u64>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
    /// Who made it.
    pub created_by: String,
    /// Every other field of LiteLLM's key object, stored and echoed: name, JSON text.
    pub other: BTreeMap<String, String>,
}

/// What becomes of one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Change<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is cleared.
    Clear,
    /// It is this from now on.
    Set(T),
}

impl Key {
    /// This key with `changes` made to it.
    pub(crate) fn changed(mut self, changes: KeyChanges) -> Self {
        changes.alias.on(&mut self.alias);
        changes.models.on_plain(&mut self.models);
        changes.aliases.on_plain(&mut self.aliases);
        changes.expires.on(&mut self.expires);
        changes.blocked.on(&mut self.blocked);
        changes.rpm_limit.on(&mut self.rpm_limit);
        changes.tpm_limit.on(&mut self.tpm_limit);
        changes.max_parallel_requests.on(&mut self.max_parallel_requests);
        for (name, change) in changes.other {
            match change {
                Change::Keep => {}
                Change::Clear => drop(self.other.remove(&name)),
                Change::Set(value) => drop(self.other.insert(name, value)),
            }
        }
        self
    }

    /// How much text it holds, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        let pairs = |map: &BTreeMap<String, String>| -> usize {
            map.iter().map(|(name, value)| name.len() + value.len()).sum()
        };
        self.name.len()
            + self.created_by.len()
            + self.alias.as_ref().map_or(0, String::len)
            + self.models.iter().map(String::len).sum::<usize>()
            + pairs(&self.aliases)
            + pairs(&self.other)
    }
}

impl<T> Change<T> {
    /// Carries the change out on an optional field.
    fn on(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// Carries the change out on a field that is empty when cleared.
    fn on_plain(self, field: &mut T)
    where
        T: Default,
    {
        match self {
            Self::Keep => {}
            Self::Clear => *field = T::default(),
            Self::Set(value) => *field = value,
        }
    }
}

/// What changes of a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyChanges {
    /// See [`Key::alias`].
    pub alias: Change<String>,
    /// See [`Key::models`].
    pub models: Change<Vec<String>>,
    /// See [`Key::aliases`].
    pub aliases: Change<BTreeMap<String, String>>,
    /// See [`Key::expires`].
    pub expires: Change<UnixMillis>,
    /// See [`Key::blocked`].
    pub blocked: Change<bool>,
    /// See [`Key::rpm_limit`].
    pub rpm_limit: Change<u64>,
    /// See [`Key::tpm_limit`].
    pub tpm_limit: Change<u64>,
    /// See [`Key::max_parallel_requests`].
    pub max_parallel_requests: Change<u64>,
    /// See [`Key::other`]: only these names change.
    pub other: BTreeMap<String, Change<String>>,
}
