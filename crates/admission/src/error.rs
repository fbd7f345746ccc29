//! Why a request is not admitted, and how far its limits are used.

use std::time::Duration;

use dunlin_types::UnixMillis;

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limited {
    /// Requests in any 60 s.
    Requests,
    /// Tokens in any 60 s.
    Tokens,
    /// Requests at once.
    MaxParallelRequests,
}

impl Limited {
    /// LiteLLM's name for it, in messages and in the `rate_limit_type` header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::MaxParallelRequests => "max_parallel_requests",
        }
    }

    /// The headers that tell the limit and what is left of it.
    #[must_use]
    pub fn headers(self) -> (&'static str, &'static str) {
        match self {
            Self::Requests => {
                ("x-ratelimit-api_key-limit-requests", "x-ratelimit-api_key-remaining-requests")
            }
            Self::Tokens => {
                ("x-ratelimit-api_key-limit-tokens", "x-ratelimit-api_key-remaining-tokens")
            }
            Self::MaxParallelRequests => (
                "x-ratelimit-api_key-limit-max_parallel_requests",
                "x-ratelimit-api_key-remaining-max_parallel_requests",
            ),
        }
    }
}

/// How far a limit is used, right after an admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStatus {
    /// Which limit.
    pub what: Limited,
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
}

/// A limit that does not allow a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// Which limit.
    pub what: Limited,
    /// The limit.
    pub limit: u64,
    /// What is left of it: less than was asked for.
    pub remaining: u64,
    /// How long until a request like this one may be admitted.
    pub retry_after: Duration,
    /// The same as a moment.
    pub reset_at: UnixMillis,
}

/// Why a request is not admitted. An outcome, not a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No node has such a key.
    #[error("the key does not exist")]
    UnknownKey,
    /// An administrator blocked it.
    #[error("the key is blocked")]
    Blocked,
    /// Its time is over.
    #[error("the key has expired")]
    Expired {
        /// When.
        at: UnixMillis,
    },
    /// A limit is used up.
    #[error("the limit of {} {} is used up", .0.limit, .0.what.name())]
    RateLimited(RateLimited),
    /// This node cannot know, and whoever could cannot be reached.
    #[error("{reason}")]
    CannotKnow {
        /// What cannot be known and why.
        reason: String,
    },
    /// This node has too much to do.
    #[error("{reason}")]
    Overloaded {
        /// Which bound was reached.
        reason: String,
    },
}

impl From<dunlin_state::Refusal> for Refusal {
    fn from(refusal: dunlin_state::Refusal) -> Self {
        match refusal {
            dunlin_state::Refusal::Unknown => Self::UnknownKey,
            dunlin_state::Refusal::Blocked => Self::Blocked,
            dunlin_state::Refusal::Expired { at } => Self::Expired { at },
        }
    }
}
