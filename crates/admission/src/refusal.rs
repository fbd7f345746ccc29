//! What a request is told when it is not admitted. Policy, not failure: nothing here is logged.

use std::time::Duration;

use dunlin_limiter::Limited;
use dunlin_state::Kind;
use dunlin_types::UnixMillis;

/// Why a request is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such key, as of an answer that a quorum confirmed.
    #[error("the key is not known")]
    UnknownKey,
    /// An administrator blocked the key.
    #[error("the key is blocked")]
    Blocked,
    /// An administrator blocked whose it is.
    #[error("the {} `{name}` of the key is blocked", kind.name())]
    HolderBlocked {
        /// What is blocked.
        kind: Kind,
        /// Which one.
        name: String,
    },
    /// The key's time is over.
    #[error("the key has expired")]
    Expired {
        /// When.
        at: UnixMillis,
    },
    /// A limit of the key allows no more at the moment.
    #[error("the limit of {} {} is reached", .0.limit, .0.what.name())]
    RateLimited(RateLimited),
    /// This node is cut off from what it would have to ask.
    #[error("{reason}")]
    CannotKnow {
        /// Why, as a clause.
        reason: String,
    },
    /// A table or queue of this node is full.
    #[error("{reason}")]
    Overloaded {
        /// Which, as a clause.
        reason: String,
    },
}

/// The limit that refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// Which limit.
    pub what: Limited,
    /// Its size.
    pub limit: u64,
    /// What is left of it: less than the request needs.
    pub remaining: u64,
    /// How long until the request could pass.
    pub retry_after: Duration,
    /// The same as a moment.
    pub reset_at: UnixMillis,
}

/// One limit of an admitted request's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStatus {
    /// Which limit.
    pub what: Limited,
    /// Its size.
    pub limit: u64,
    /// What is left after this request.
    pub remaining: u64,
}

/// An admitted request could not be put on record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal could not be written.
    #[error("the journal cannot be written")]
    Journal(#[from] dunlin_journal::Error),
}

impl From<dunlin_state::Refusal> for Refusal {
    fn from(refusal: dunlin_state::Refusal) -> Self {
        match refusal {
            dunlin_state::Refusal::Unknown => Self::UnknownKey,
            dunlin_state::Refusal::Blocked => Self::Blocked,
            dunlin_state::Refusal::HolderBlocked { kind, name } => {
                Self::HolderBlocked { kind, name }
            }
            dunlin_state::Refusal::Expired { at } => Self::Expired { at },
        }
    }
}
