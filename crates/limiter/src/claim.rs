//! What a request claims of its key's limits, and what it is told.

use std::time::Duration;

use dunlin_types::{OnLoss, RequestId};
use serde::{Deserialize, Serialize};

use crate::ring::ScopeId;

/// One of the limits of a scope, in the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Limited {
    /// Requests in any 60 s.
    Requests,
    /// Tokens in any 60 s.
    Tokens,
    /// Requests at once.
    MaxParallelRequests,
}

impl Limited {
    /// As clients know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::MaxParallelRequests => "max_parallel_requests",
        }
    }
}

/// The limits of a scope. `None` is no limit; zero admits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Requests in any 60 s.
    pub requests: Option<u64>,
    /// Tokens in any 60 s.
    pub tokens: Option<u64>,
    /// Requests at once.
    pub parallel: Option<u64>,
    /// What they do while nodes are lost.
    #[serde(default)]
    pub on_loss: OnLoss,
    /// Higher for newer limits, such as the moment of their last change: the owner keeps the newest
    /// it was told.
    pub as_of: u64,
}

impl Limits {
    /// Whether there is nothing to check.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none() && self.parallel.is_none()
    }

    /// Whether requests are all that is limited.
    pub(crate) fn only_requests(&self) -> bool {
        self.requests.is_some_and(|limit| limit > 0)
            && self.tokens.is_none()
            && self.parallel.is_none()
    }

    /// Each limit with what it is compared to.
    fn each(&self, of: Amounts) -> [(Limited, Option<u64>, u64); 3] {
        [
            (Limited::Requests, self.requests, of.requests),
            (Limited::Tokens, self.tokens, of.tokens),
            (Limited::MaxParallelRequests, self.parallel, of.parallel),
        ]
    }

    /// As amounts: no limit is more than anything.
    pub(crate) fn amounts(&self) -> Amounts {
        let most = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        Amounts {
            requests: most(self.requests),
            tokens: most(self.tokens),
            parallel: most(self.parallel),
        }
    }

    /// The first limit of which `want` is more than `free`.
    pub(crate) fn short(&self, free: Amounts, want: Amounts) -> Option<Short> {
        let wanted = self.each(want);
        self.each(free).into_iter().zip(wanted).find_map(|(free, want)| {
            let (what, limit, free) = free;
            limit.filter(|_| want.2 > free).map(|limit| Short { what, limit, free })
        })
    }

    /// What remains of each limit there is.
    pub(crate) fn remaining(&self, free: Amounts) -> Remaining {
        let each = self.each(free).into_iter();
        Remaining(each.filter_map(|(what, limit, free)| limit.map(|l| (what, l, free))).collect())
    }
}

/// A limit that is too short for a request.
pub(crate) struct Short {
    pub(crate) what: Limited,
    pub(crate) limit: u64,
    pub(crate) free: u64,
}

/// An amount of each kind that can be limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Amounts {
    /// Requests.
    pub requests: u64,
    /// Tokens.
    pub tokens: u64,
    /// Requests at once.
    pub parallel: u64,
}

impl Amounts {
    pub(crate) fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    pub(crate) fn least(self, other: Self) -> Self {
        self.each(other, u64::min)
    }

    pub(crate) fn map(self, f: impl Fn(u64) -> u64) -> Self {
        self.each(self, |amount, _| f(amount))
    }

    /// Of one kind.
    pub(crate) fn of(self, what: Limited) -> u64 {
        match what {
            Limited::Requests => self.requests,
            Limited::Tokens => self.tokens,
            Limited::MaxParallelRequests => self.parallel,
        }
    }

    fn each(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: f(self.requests, other.requests),
            tokens: f(self.tokens, other.tokens),
            parallel: f(self.parallel, other.parallel),
        }
    }
}

/// One request and what it wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Whose limits.
    pub scope: ScopeId,
    /// The request. A claim repeated under the same id takes once.
    pub request: RequestId,
    /// The tokens it may take. More than the whole limit is never granted.
    pub tokens: u64,
    /// The limits as the claiming node knows them.
    pub limits: Limits,
}

impl Claim {
    pub(crate) fn wants(&self) -> Amounts {
        // One token at least, so that a limit of zero admits nothing.
        Amounts { requests: 1, tokens: self.tokens.max(1), parallel: 1 }
    }
}

/// What remains of each limit of the scope: the limit's kind, its size, what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Remaining(pub Vec<(Limited, u64, u64)>);

/// A claim that a limit does not allow. Nothing was taken of any limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refused {
    /// The first limit that was too short.
    pub what: Limited,
    /// Its size.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// When the same claim could succeed, if nobody else claims and it is no more than the limit.
    pub retry_after: Duration,
    /// Whether others may have given back what lacks: the claim is to be asked again in a moment, and
    /// refused when patience is out.
    #[serde(default)]
    pub doubted: bool,
}

impl Refused {
    /// The tokens of the claim, if it is them that are more than the whole limit.
    #[must_use]
    pub fn too_large(&self, claim: &Claim) -> Option<u64> {
        let is_of_tokens = self.what == Limited::Tokens;
        Some(claim.tokens).filter(|tokens| is_of_tokens && *tokens > self.limit)
    }
}
