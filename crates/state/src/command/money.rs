//! Money as it is logged: what was spent, what may be spent.

use dunlin_types::{NanoUsd, PotId, UnixMillis};
use serde::{Deserialize, Serialize};

/// What was spent from one pot in a stretch of one node's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The pot.
    pub pot: PotId,
    /// The start of the period in which it was admitted; 0 where there are no periods.
    pub period: UnixMillis,
    /// The cost of the requests.
    pub cost: NanoUsd,
    /// How many.
    pub requests: u64,
}

/// What a node asks to spend from one pot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The pot.
    pub pot: PotId,
    /// The start of the period it is for; a later one than the pot's begins with it.
    pub period: UnixMillis,
    /// Less is of no use while more is free.
    pub least: NanoUsd,
    /// More is not needed.
    pub amount: NanoUsd,
    /// The limit of a pot that belongs to the config, or to something the config has a default for.
    /// Limits of entities are known.
    pub limit: Option<NanoUsd>,
    /// Likewise how long its periods are, as it was written, if they begin with a first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// What was spent beyond the limit in the period that began then is spent of this one, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carries: Option<UnixMillis>,
}

/// What a node gives back to one pot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// The pot.
    pub pot: PotId,
    /// The start of the period it was for.
    pub period: UnixMillis,
    /// How much.
    pub amount: NanoUsd,
}
