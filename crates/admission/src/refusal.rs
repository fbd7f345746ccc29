//! What a request is told when it is not admitted. Policy, not failure: nothing here is logged.

use std::time::Duration;

use dunlin_limiter::Limited;
use dunlin_state::{Kind, Payer, Rank};
use dunlin_types::{NanoUsd, PotId, UnixMillis};

use crate::Counted;

/// Why a request is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such key, as of an answer that a quorum confirmed.
    #[error("the key is not known")]
    UnknownKey,
    /// An administrator blocked the key.
    #[error("the key is blocked")]
    Blocked,
    /// The key's `allowed_routes` do not hold the path.
    #[error("the key may not call this path")]
    RouteNotAllowed {
        /// What it may call.
        allowed: Vec<String>,
    },
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
    /// A limit allows no more at the moment.
    #[error("the limit of {} {} of {} {} is reached", .0.limit, .0.what.name(), .0.of.name(), .0.id())]
    RateLimited(Box<RateLimited>),
    /// A budget is spent.
    #[error("a budget of {} is spent: {} of {}", .0.limit, .0.spent, .0.limit)]
    OverBudget(Box<OverBudget>),
    /// This node has as many requests open as it may.
    #[error("this node has {limit} requests open, which is its limit")]
    NodeFull {
        /// How many.
        limit: u64,
    },
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

/// What kind of scope a limit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitScope {
    /// Whose limit it is.
    pub rank: Rank,
    /// For which of its requests it holds.
    pub part: Part,
}

/// For which requests of somebody a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of them.
    All,
    /// Those for one model.
    Model,
    /// Those with one word on them.
    Tag,
}

impl LimitScope {
    /// As LiteLLM's users know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.rank, self.part) {
            (_, Part::Tag) => "tag_per_key",
            (Rank::Key, Part::All) => "api_key",
            (Rank::User, Part::All) => "user",
            (Rank::Team, Part::All) => "team",
            (Rank::Member, Part::All) => "team_member",
            (Rank::OrganizationMember, Part::All) => "organization_member",
            (Rank::EndUser, Part::All) => "end_user",
            (Rank::Organization, Part::All) => "organization",
            (Rank::AccessGroup, Part::All) => "model_access_group",
            (Rank::Tag, Part::All) => "tag",
            (Rank::Key, Part::Model) => "model_per_key",
            (Rank::User, Part::Model) => "model_per_user",
            (Rank::Team, Part::Model) => "model_per_team",
            (Rank::Member, Part::Model) => "model_per_team_member",
            (Rank::OrganizationMember, Part::Model) => "model_per_organization_member",
            (Rank::EndUser, Part::Model) => "model_per_end_user",
            (Rank::Organization, Part::Model) => "model_per_organization",
            (Rank::AccessGroup, Part::Model) => "model_per_model_access_group",
            (Rank::Tag, Part::Model) => "model_per_tag",
        }
    }
}

/// The budget that refused a request.
#[derive(Clone, Debug)]
pub struct OverBudget {
    /// Whose it is; `None`: of the whole cluster, or of what is called.
    pub payer: Option<Payer>,
    /// Which of its budgets.
    pub pot: PotId,
    /// How long its periods are, as it was written.
    pub duration: Option<String>,
    /// The most that may be spent in a period.
    pub limit: NanoUsd,
    /// What is spent in this one, as far as this node knows.
    pub spent: NanoUsd,
    /// What requests hold that are under way, or have ended on another node just now.
    pub held: NanoUsd,
    /// What lies on nodes that cannot be reached: neither spent nor free.
    pub withheld: NanoUsd,
    /// What the request could cost at most, if a strict budget must have that left.
    pub could_cost: Option<NanoUsd>,
    /// When the next period begins.
    pub resets_at: Option<UnixMillis>,
    /// The HTTP status that the config has for it.
    pub status: u16,
}

impl PartialEq for OverBudget {
    fn eq(&self, other: &Self) -> bool {
        (&self.pot, self.limit) == (&other.pot, other.limit)
    }
}

impl Eq for OverBudget {}

/// The limit that refused a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// What kind of scope it has.
    pub of: LimitScope,
    /// Whose it is.
    pub name: String,
    /// The model or the word it holds for, if for one alone.
    pub only: Option<String>,
    /// Whether it is smaller than usual because a budget is spent.
    pub throttled: bool,
    /// Which limit.
    pub what: Limited,
    /// The tokens of the batch that it refused, if it is one of tokens of batches in a day.
    pub batch: Option<u64>,
    /// The tokens that the request asks for, if they are more than the whole limit.
    pub too_large: Option<u64>,
    /// Its size.
    pub limit: u64,
    /// What is left of it: less than the request needs.
    pub remaining: u64,
    /// How long until the request could pass.
    pub retry_after: Duration,
    /// The same as a moment.
    pub reset_at: UnixMillis,
}

impl RateLimited {
    /// Which of the scopes of its kind it is.
    #[must_use]
    pub fn id(&self) -> String {
        let Self { name, only, .. } = self;
        only.as_ref().map_or_else(|| name.clone(), |only| format!("{name}:{only}"))
    }

    /// What is left, as an admitted request is told.
    #[must_use]
    pub fn status(&self) -> LimitStatus {
        let Self { of, what, limit, remaining, .. } = *self;
        LimitStatus { of, what, limit, remaining }
    }
}

/// One limit of an admitted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStatus {
    /// What kind of scope it has.
    pub of: LimitScope,
    /// Which limit.
    pub what: Limited,
    /// Its size.
    pub limit: u64,
    /// What is left after this request.
    pub remaining: u64,
}

/// Why a request may not be sent to a deployment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEntered {
    /// It has been sent all that it may be sent.
    #[error("the deployment's limit of {} {} is reached", .0.limit, .0.what.name())]
    Full(Full),
    /// What may be spent there is spent.
    #[error("a budget of {} is spent: {} of {}", .0.limit, .0.spent, .0.limit)]
    Spent(Box<OverBudget>),
    /// Nobody could count it.
    #[error(transparent)]
    Refused(Refusal),
}

impl From<Refusal> for NotEntered {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OverBudget(over) => Self::Spent(over),
            refusal @ (Refusal::UnknownKey
            | Refusal::Blocked
            | Refusal::RouteNotAllowed { .. }
            | Refusal::HolderBlocked { .. }
            | Refusal::Expired { .. }
            | Refusal::RateLimited(_)
            | Refusal::NodeFull { .. }
            | Refusal::CannotKnow { .. }
            | Refusal::Overloaded { .. }) => Self::Refused(refusal),
        }
    }
}

/// The limit of a deployment that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Which limit.
    pub what: Limited,
    /// The tokens that it counts, if it counts those of prompts or of answers alone.
    pub only: Option<Counted>,
    /// The tokens that the request asks for, if they are more than the whole limit.
    pub too_large: Option<u64>,
    /// Its size.
    pub limit: u64,
    /// What is left of it: too little for the request.
    pub remaining: u64,
    /// How long until the request could pass.
    pub retry_after: Duration,
}

impl Full {
    /// The limit, as the config names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.what, self.only) {
            (Limited::Requests, _) => "rpm",
            (Limited::Tokens, None | Some(Counted::Total)) => "tpm",
            (Limited::Tokens, Some(Counted::Input)) => "itpm",
            (Limited::Tokens, Some(Counted::Output)) => "otpm",
            (Limited::MaxParallelRequests, _) => "max_parallel_requests",
        }
    }
}

/// An admitted request could not be put on record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal could not be written.
    #[error("the journal cannot be written: {0}")]
    Journal(#[from] dunlin_journal::Error),
}

impl From<dunlin_state::Refusal> for Refusal {
    fn from(refusal: dunlin_state::Refusal) -> Self {
        match refusal {
            dunlin_state::Refusal::Unknown => Self::UnknownKey,
            dunlin_state::Refusal::Blocked => Self::Blocked,
            dunlin_state::Refusal::RouteNotAllowed { allowed } => Self::RouteNotAllowed { allowed },
            dunlin_state::Refusal::HolderBlocked { kind, name } => {
                Self::HolderBlocked { kind, name }
            }
            dunlin_state::Refusal::Expired { at } => Self::Expired { at },
        }
    }
}
