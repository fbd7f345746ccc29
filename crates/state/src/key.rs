//! A virtual key as it is stored, what may change of it, and whether it may be used.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_types::{KeyDigest, UnixMillis};
use serde::{Deserialize, Serialize};

/// A virtual key. The clear key is never stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// True: refused.
    pub blocked: bool,
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

impl<T> Change<T> {
    /// Carries the change out on an optional field.
    pub(crate) fn on(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }

    /// Carries the change out on a field that is empty when cleared.
    pub(crate) fn on_plain(self, field: &mut T)
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
#[serde(default)]
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

/// Who asks: a key that may be used now.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The hash of the key.
    pub token: KeyDigest,
    /// The key.
    pub key: Arc<Key>,
}

/// Why a key may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The state holds no such key.
    #[error("the key is not known")]
    Unknown,
    /// An administrator blocked it.
    #[error("the key is blocked")]
    Blocked,
    /// Its time is over.
    #[error("the key expired at {at:?}")]
    Expired {
        /// When.
        at: UnixMillis,
    },
}
