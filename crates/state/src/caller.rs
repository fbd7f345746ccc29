//! Whether a key may be used.

use std::sync::Arc;

use dunlin_types::{KeyDigest, UnixMillis};

use crate::command::Key;

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
