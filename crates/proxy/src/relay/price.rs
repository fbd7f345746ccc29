//! By whose price a call of a provider's own API is charged: that of the deployment which served it, if
//! that is its model, else that of the model's own, else what is published.

use std::slice;
use std::sync::Arc;

use dunlin_ledger::Pricing;
use dunlin_providers::relay::sent_model;
use dunlin_router::relay::prices;
use dunlin_router::{Catalog, Deployment};
use dunlin_types::Tokens;

use super::Way;
use crate::bill::Bill;
use crate::questions::published::Published;

/// The price of one answer.
pub(super) struct Price {
    pub(super) catalog: Arc<Catalog>,
    pub(super) published: Published,
    pub(super) way: Way,
    /// Who serves it.
    pub(super) by: Arc<Deployment>,
    /// The model, as soon as it is known.
    pub(super) model: String,
}

impl Price {
    /// The request says which model it is, or else the answer.
    pub(super) fn learn(&mut self, bill: &mut Bill, model: &str) {
        if model.is_empty() || !self.model.is_empty() {
            return;
        }
        model.clone_into(&mut self.model);
        let by = &self.by;
        let pricing = match sent_model(&by.provider, &by.target) == model {
            true => by.price_of(model).clone(),
            false => {
                let first = slice::from_ref(by);
                of_model(&self.catalog, &self.published, (self.way.providers, first), model)
                    .swap_remove(0)
            }
        };
        bill.priced_as(model, pricing);
    }
}

/// What a model of one of these providers may cost, by each of those who `first` come if it is theirs.
/// Never empty.
pub(crate) fn of_model(
    catalog: &Catalog,
    published: &Published,
    (providers, first): (&[&str], &[Arc<Deployment>]),
    model: &str,
) -> Vec<Pricing> {
    let known = prices(catalog, providers, first, model);
    if !known.is_empty() {
        return known.into_iter().cloned().collect();
    }
    let mut published = providers.iter().filter_map(|provider| published.price_at(provider, model));
    vec![published.next().unwrap_or(Pricing::Unpriced)]
}

/// The longest prompt that a model takes, as those say who lend for it, if it is theirs or called by
/// their name for it, or else what is published.
pub(crate) fn longest_prompt(
    published: &Published,
    (providers, lending): (&[&str], &[Arc<Deployment>]),
    (model, is_renamed): (&str, bool),
) -> Option<Tokens> {
    let is_theirs = |by: &Deployment| is_renamed || sent_model(&by.provider, &by.target) == model;
    let theirs = lending.iter().filter(|by| is_theirs(by)).filter_map(|by| by.max_input).max();
    let published = |provider: &&str| published.longest_prompt_at(provider, model);
    theirs.or_else(|| providers.iter().find_map(published))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_that_nobody_serves_costs_what_is_published() {
        let published = Published::new(|provider, model| {
            let row = json!({"input_cost_per_token": 1.5e-5, "mode": "chat"});
            let is_known = (provider, model) == (Some("anthropic"), "claude");
            is_known.then(|| row.as_object().cloned().expect("an object"))
        });
        let price = |providers: &[&str], model: &str| {
            of_model(&Catalog::default(), &published, (providers, &[]), model)
        };
        assert!(matches!(price(&["vertex_ai", "anthropic"], "claude")[..], [Pricing::Priced(_)]));
        assert_eq!(price(&["anthropic"], "other"), [Pricing::Unpriced]);
        assert_eq!(price(&["openai"], "claude"), [Pricing::Unpriced]);
    }
}
