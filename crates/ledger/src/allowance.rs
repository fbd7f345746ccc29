//! What the config lets the cluster spend on something: all of it, a provider, a deployment, a tag.

use dunlin_types::NanoUsd;

/// A budget of the config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// The most that may be spent in a period. Zero lets nothing through.
    pub most: NanoUsd,
    /// How long a period is, as it was written; without it, for ever.
    pub every: Option<String>,
}
