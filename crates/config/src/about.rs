//! What `/model/info` says of a deployment: what is published about its model, with what the operator
//! wrote over it. No credential is in it.

use dunlin_prices::{Asked, Facts, Table};
use dunlin_router::{About, HealthCheck};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::models::Origin;
use crate::tree::{self, Node};

/// Builds it once, when a config is loaded.
pub(crate) fn of(
    table: &Table,
    asked: &Asked<'_>,
    (params, info): (&tree::Map, &tree::Map),
    origin: Origin,
) -> About {
    let mut shown = table.find(asked).map(published).unwrap_or_default();
    let rates = params
        .entries
        .iter()
        .filter(|(key, _)| key.text.contains("_cost_per_") || key.text.contains("_token_cost"));
    for (key, node) in rates.chain(&info.entries) {
        shown.insert(key.text.clone(), value(node));
    }
    let added = origin == Origin::Added;
    shown.insert("db_model".to_owned(), added.into());
    let mode = shown.entry("mode").or_insert_with(|| "chat".into());
    let mode = mode.as_str().unwrap_or("chat").into();
    let params = params.entries.iter().map(|(key, node)| (key.text.clone(), node));
    let params: Map<String, Value> = params
        .filter(|(key, _)| !dunlin_types::is_secret(key))
        .map(|(k, n)| (k, value(n)))
        .collect();
    About { added, mode, params: raw(&params), info: raw(&shown), check: HealthCheck::default() }
}

fn raw(map: &Map<String, Value>) -> Box<RawValue> {
    to_raw_value(map).expect("values are always JSON")
}

fn value(node: &Node) -> Value {
    serde_json::from_str(&node.public_json()).expect("a tree writes JSON")
}

/// Published data about a model, under LiteLLM's keys: from `provider`, or else from any provider
/// with a model of exactly that name, such as `gpt-4o` or `groq/llama-3.3-70b-versatile`. `None`:
/// there is none.
#[must_use]
pub fn published_of(
    table: &Table,
    provider: Option<&str>,
    model: &str,
) -> Option<Map<String, Value>> {
    let of = |provider, model| {
        table.find(&Asked { provider, model, base_model: None, own_address: false })
    };
    let found = match provider {
        Some(provider) => {
            let under = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
            of(provider, under.unwrap_or(model))
        }
        None => table.named(model).or_else(|| {
            let (provider, model) = model.split_once('/')?;
            of(provider, model)
        }),
    };
    found.map(published)
}

/// What is published about a model, under LiteLLM's keys.
fn published(facts: Facts<'_>) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        shown.extend(value.map(|value| (key.to_owned(), value)));
    };
    put("key", Some(facts.name.into()));
    put("litellm_provider", Some(facts.provider.into()));
    put("mode", facts.mode.map(|mode| mode.name().into()));
    put("max_tokens", facts.max_output.or(facts.max_input).map(Into::into));
    put("max_input_tokens", facts.max_input.map(Into::into));
    put("max_output_tokens", facts.max_output.map(Into::into));
    put("deprecation_date", facts.ends.map(|day| day.to_string().into()));
    for (rate, price) in facts.rates {
        put(&rate.key(), Some(price.as_usd().into()));
    }
    for ability in facts.abilities() {
        put(ability.key, Some(true.into()));
    }
    shown
}
