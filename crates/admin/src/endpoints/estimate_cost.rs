//! `POST /cost/estimate`: what requests of a size would cost, one, a day and a month of them, by
//! the price in force, or by the published one of a model that is not served here, discounts and
//! margins included.

use axum::response::Response;
use dunlin_ledger::{Context, Cost, Pricing};
use dunlin_router::{Catalog, Deployment, NoRoute};
use dunlin_state::Change;
use dunlin_types::{NanoUsd, Tokens, Usage};
use serde_json::{Map, Value, json};

use super::check_health::wanted;
use super::ok;
use crate::Admin;
use crate::error::Error;
use crate::request::body::Body;
use crate::request::values::{self, senseless};
use crate::routes::{Request, Routes, Who};

pub(super) fn add(routes: Routes) -> Routes {
    routes.post("/cost/estimate", Who::Anyone, handle)
}

/// What is asked for.
#[derive(Debug, PartialEq)]
struct Estimate {
    model: String,
    usage: Usage,
    a_day: Option<u64>,
    a_month: Option<u64>,
}

async fn handle(admin: Admin, asked: Request) -> Result<Response, Error> {
    let estimate = parse(asked.body()?)?;
    let published = admin.settings()?;
    let access = asked.caller.bearer().map(|bearer| bearer.caller.access());
    let (catalog, model) = (&published.catalog, estimate.model.as_str());
    let found = wanted(catalog, access, Some(model), None).map(|all| of(catalog, model, &all[0]));
    let rates = found.or_else(|unknown| match dunlin_router::group(catalog, access, model) {
        // What the caller may not call it is told nothing of.
        Err(NoRoute::NotAllowed { .. }) => Err(unknown),
        Err(NoRoute::Unknown { .. } | NoRoute::OutOfRegion { .. }) | Ok(_) => {
            let (price, info) = published.basis.published(model).ok_or(unknown)?;
            let provider = info.get("litellm_provider").and_then(Value::as_str);
            let provider = provider.unwrap_or_default().to_owned();
            Ok(Rates { price, info: info.into(), provider })
        }
    })?;
    Ok(ok(&told(&estimate, &rates)?))
}

/// By what a cost is estimated.
struct Rates {
    price: Pricing,
    /// As `/model/info` has it.
    info: Value,
    provider: String,
}

/// Those of a deployment.
fn of(catalog: &Catalog, model: &str, deployment: &Deployment) -> Rates {
    let name = catalog.aliases.get(model).map_or(model, |alias| &*alias.group);
    let info = serde_json::from_str(deployment.about.info.get());
    Rates {
        price: deployment.price_of(name).clone(),
        info: info.expect("it was written as an object"),
        provider: (*deployment.provider).to_owned(),
    }
}

fn parse(mut body: Body) -> Result<Estimate, Error> {
    let model = body.require("model", values::text);
    let input = body.require("input_tokens", values::count);
    let output = body.require("output_tokens", values::count);
    let mut some = |name: &str| match body.take(name, values::count) {
        Change::Set(count) => Some(count),
        Change::Keep | Change::Clear => None,
    };
    let names = [
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "reasoning_tokens",
        "num_requests_per_day",
        "num_requests_per_month",
    ];
    let [read, created, reasoning, a_day, a_month] = names.map(&mut some);
    let [read, created, reasoning] = [read, created, reasoning].map(Option::unwrap_or_default);
    if read.saturating_add(created) > input {
        let reason =
            "cache_read_input_tokens plus cache_creation_input_tokens cannot exceed input_tokens";
        body.fault("input_tokens", senseless(reason.to_owned()));
    }
    if reasoning > output {
        body.fault(
            "output_tokens",
            senseless("reasoning_tokens cannot exceed output_tokens".to_owned()),
        );
    }
    body.finish(["model", "input_tokens", "output_tokens"].into_iter().chain(names))?;
    let usage = Usage {
        prompt: Tokens(input),
        cached: Tokens(read),
        cache_write: Tokens(created),
        completion: Tokens(output),
        reasoning: Tokens(reasoning),
        ..Usage::default()
    };
    Ok(Estimate { model, usage, a_day, a_month })
}

fn told(estimate: &Estimate, rates: &Rates) -> Result<Value, Error> {
    let Estimate { model, usage, a_day, a_month } = estimate;
    if rates.price == Pricing::Unpriced {
        let reason =
            format!("Could not calculate cost for model '{model}': its price is unknown: set it");
        return Err(Error::NotFound { reason });
    }
    let cost = rates.price.cost(usage, &Context::default());
    let mut told = Map::new();
    let mut put = |name: &str, value: Value| told.insert(name.to_owned(), value);
    put("model", json!(model));
    put("input_tokens", json!(usage.prompt.0));
    put("output_tokens", json!(usage.completion.0));
    put("cache_read_input_tokens", json!(usage.cached.0));
    put("cache_creation_input_tokens", json!(usage.cache_write.0));
    put("reasoning_tokens", json!(usage.reasoning.0));
    put("num_requests_per_day", json!(a_day));
    put("num_requests_per_month", json!(a_month));
    for (kind, amount) in lines(&cost) {
        let name = |before: &str, after: &str| {
            if kind.is_empty() {
                format!("{before}cost{after}")
            } else {
                format!("{before}{kind}_cost{after}")
            }
        };
        put(&name("", "_per_request"), json!(amount.as_usd()));
        let times = |count: &Option<u64>| {
            count.map(|count| NanoUsd(amount.0.saturating_mul(count)).as_usd())
        };
        put(&name("daily_", ""), json!(times(a_day)));
        put(&name("monthly_", ""), json!(times(a_month)));
    }
    for rate in RATES {
        put(rate, rates.info[rate].clone());
    }
    put("provider", json!(rates.provider));
    Ok(told.into())
}

/// What one token costs, before tiers, as `/model/info` has it.
const RATES: [&str; 5] = [
    "cache_creation_input_token_cost",
    "cache_read_input_token_cost",
    "input_cost_per_token",
    "output_cost_per_reasoning_token",
    "output_cost_per_token",
];

/// What a cost is made of, in LiteLLM's words; the whole has none.
fn lines(cost: &Cost) -> [(&'static str, NanoUsd); 7] {
    [
        ("", cost.total),
        ("input", cost.input),
        ("output", cost.output),
        ("margin", cost.margin),
        ("cache_read", cost.cache_read),
        ("cache_creation", cost.cache_creation),
        ("reasoning", cost.reasoning),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_and_its_parts_are_within_the_whole() {
        let of = |text: &str| parse(Body::parse(text.as_bytes()).expect("an object"));
        let whole = of(r#"{"model": "m", "input_tokens": 10, "output_tokens": 5,
            "cache_read_input_tokens": 4, "reasoning_tokens": 2, "num_requests_per_day": 3}"#);
        let whole = whole.expect("a size");
        assert_eq!((whole.usage.cached, whole.usage.reasoning), (Tokens(4), Tokens(2)));
        assert_eq!((whole.a_day, whole.a_month), (Some(3), None));
        for text in [
            r#"{"model": "m", "input_tokens": 10}"#,
            r#"{"model": "m", "input_tokens": -1, "output_tokens": 5}"#,
            r#"{"model": "m", "input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 4}"#,
            r#"{"model": "m", "input_tokens": 3, "output_tokens": 5, "reasoning_tokens": 6}"#,
        ] {
            assert!(matches!(of(text), Err(Error::Invalid(_))), "{text}");
        }
    }
}
