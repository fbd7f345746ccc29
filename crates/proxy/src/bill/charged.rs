//! What a request is charged: for the model that answered, and for those that tools asked.

use dunlin_journal::Outcome;
use dunlin_ledger::{Context, Cost};
use dunlin_llm::Usage;
use dunlin_router::service;

use super::Bill;
use crate::tool_models::{Others, others};

impl Bill {
    pub(super) fn cost(&self, outcome: Outcome, used: &Usage) -> Cost {
        // A margin that is fixed is for answers; nobody's failure is charged.
        match outcome {
            Outcome::Success | Outcome::Partial => {
                let now = self.proxy.0.clock.unix();
                let took = now.0.saturating_sub(self.record.started.0);
                let own = self.tariff.cost(used, took, self.record.estimated);
                own.plus(self.others(used).cost)
            }
            Outcome::Failure => Cost::default(),
        }
    }

    /// Whether nobody knows what some of it costs.
    pub(super) fn is_unknown(&self, used: &Usage) -> bool {
        self.tariff.pricing.is_unknown(used) || self.others(used).unpriced
    }

    fn others(&self, used: &Usage) -> Others {
        let is_alone = used.parts.iter().next().is_none();
        let Some(by) = self.tariff.by.as_ref().filter(|_| !is_alone) else {
            return Others::default();
        };
        let serving = self.proxy.0.serving.load();
        let context = Context { service: service(self.tariff.tier), ..Context::default() };
        let known = (&*serving.catalog, &self.proxy.0.published);
        others(known, by, used, self.tariff.tool_model.as_deref(), context)
    }
}
