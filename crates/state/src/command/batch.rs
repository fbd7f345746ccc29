//! What a batch came to, whose tokens are counted by the day.

use dunlin_types::{EntityId, RequestId, UnixMillis};
use serde::{Deserialize, Serialize};

use super::day::Day;

/// A batch of which it is known what it used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsedBatch {
    /// By what it is claimed, and when it was made: whoever comes later with the same changes
    /// nothing. `None` of one that was not made, which only who counted it knows.
    pub claim: Option<(RequestId, UnixMillis)>,
    /// For whom it was counted.
    pub whose: Vec<EntityId>,
    /// So many tokens were.
    pub counted: u64,
    /// So many it used.
    pub used: u64,
    /// On which day it was counted.
    pub day: Day,
}
