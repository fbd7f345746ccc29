//! What a request came to, for its client to be told.

use dunlin_ledger::Cost;
use dunlin_types::NanoUsd;

use crate::request::caller::Caller;

/// What a request came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settled {
    pub(crate) cost: Cost,
    /// Nobody knows what the model costs: `cost` is nothing for that reason.
    pub(crate) unpriced: bool,
    /// All that the key has spent, this request included.
    pub(crate) key_spend: Option<NanoUsd>,
}

impl Settled {
    /// The same, as `caller` is told it: of what the master key has spent, nothing but this is known.
    pub(crate) fn asked_by(self, caller: &Caller) -> Self {
        let this = caller.key().is_none().then_some(self.cost.total);
        Self { key_spend: self.key_spend.or(this), ..self }
    }
}
