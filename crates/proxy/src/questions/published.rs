//! What is published about models, whether they are served here or not.

use std::sync::Arc;

use dunlin_ledger::{Adjustment, Pricing, Rate, Sheet};
use dunlin_llm::Target;
use dunlin_providers::supported_params;
use dunlin_router::tells_costs;
use dunlin_types::{PicoUsd, Tokens};
use serde_json::{Map, Value};

/// What is published about a model, by its provider, if one is named, and its name.
#[derive(Clone)]
pub struct Published(Arc<Look>);

type Look = dyn Fn(Option<&str>, &str) -> Option<Map<String, Value>> + Send + Sync;

impl Published {
    /// Looks models up so.
    pub fn new(
        look: impl Fn(Option<&str>, &str) -> Option<Map<String, Value>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(look))
    }

    /// What a model takes that is not served here: by the provider that its name begins with, or that
    /// is published.
    pub(crate) fn params(&self, model: &str) -> Option<Vec<&'static str>> {
        let named = model.split_once('/').filter(|(id, _)| dunlin_providers::find(id).is_some());
        if let Some((provider, name)) = named {
            let info = self.of(Some(provider), name).unwrap_or_default();
            return Some(supported_params(provider, &target(name, &info)));
        }
        let info = self.of(None, model)?;
        let provider = info.get("litellm_provider").and_then(Value::as_str)?;
        Some(supported_params(provider, &target(model, &info)))
    }

    /// What a model costs that is not served here; by its provider, if its name begins with one.
    pub(crate) fn price(&self, model: &str) -> Option<Pricing> {
        let (provider, name) = model.split_once('/').unzip();
        price(&self.of(None, model).or_else(|| self.of(provider, name?))?)
    }

    /// What a provider's model costs, by its own name.
    pub(crate) fn price_at(&self, provider: &str, model: &str) -> Option<Pricing> {
        let price = price(&self.of(Some(provider), model)?)?;
        Some(if tells_costs(provider) { price.or_as_reported() } else { price })
    }

    /// The longest prompt that a provider's model takes, by its own name.
    pub(crate) fn longest_prompt_at(&self, provider: &str, model: &str) -> Option<Tokens> {
        self.of(Some(provider), model)?.get("max_input_tokens")?.as_u64().map(Tokens)
    }

    /// All that is published about it.
    pub(crate) fn of(&self, provider: Option<&str>, model: &str) -> Option<Map<String, Value>> {
        (self.0)(provider, model)
    }
}

fn price(info: &Map<String, Value>) -> Option<Pricing> {
    let mut sheet = Sheet::default();
    for (key, price) in info {
        let price = price.as_f64().and_then(|usd| PicoUsd::from_usd(usd).ok());
        if let (Some(rate), Some(price)) = (Rate::from_key(key), price) {
            sheet.set(rate, price);
        }
    }
    (!sheet.is_empty()).then(|| Pricing::from(sheet.price(Adjustment::default())))
}

/// A model that is asked as what is published of it says.
pub(crate) fn target(model: &str, info: &Map<String, Value>) -> Target {
    let responses = info.get("mode").is_some_and(|mode| mode == "responses");
    Target { model: model.into(), responses, ..Target::default() }
}
