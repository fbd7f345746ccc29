//! `POST /spend/calculate`: what a request costs or an answer has cost, by the price in force, or
//! by the published one where the model is not served here. Nothing is asked upstream, nothing is
//! charged and no limit is touched.

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::response::IntoResponse;
use bytes::Bytes;
use dunlin_ledger::{Context, Pricing};
use dunlin_llm::{ChatReply, Endpoint, Usage};
use dunlin_router::{Catalog, Deployment, NoRoute};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Proxy;
use crate::questions::question::{Question, answer};
use crate::response::error::{Failed, Refused};

#[derive(Deserialize)]
struct SpendBody<'a> {
    model: Option<String>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    completion_response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named {
    model: Option<String>,
}

#[derive(Deserialize)]
struct Told {
    usage: Option<Value>,
}

/// POST /spend/calculate
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    answer(proxy, request, conduct).await
}

async fn conduct(proxy: Proxy, asked: Question) -> Result<Response<Body>, Failed> {
    let Question { serving, caller, body } = asked;
    let asked: SpendBody<'_> = serde_json::from_slice(&body)
        .map_err(|error| unfit("body", format!("the body is not a request for a cost: {error}")))?;
    let model = named(&asked)?;
    let group = match dunlin_router::group(&serving.catalog, caller.access(), &model) {
        Ok(group) => group.deployments.first().cloned(),
        Err(NoRoute::Unknown { .. }) => None,
        Err(refused) => {
            return Err(Refused::no_route(refused, Endpoint::ChatCompletions, &caller).into());
        }
    };
    let found = group.as_deref().or_else(|| upstream(&serving.catalog, &model));
    let own =
        found.map(|known| known.price_of(&model)).filter(|price| **price != Pricing::Unpriced);
    let Some(price) = own.cloned().or_else(|| proxy.0.published.price(&model)) else {
        let message = format!(
            "the price of the model '{model}' is unknown: it is on no price list, and the \
             configuration sets none"
        );
        return Err(unfit("model", message).into());
    };
    let usage = used(&proxy, found.map_or(&model, |known| &known.target.model), &asked).await?;
    let cost = price.cost(&usage, &Context::default());
    Ok(Json(json!({"cost": cost.total.as_usd()})).into_response())
}

/// The model whose cost is asked: the request's, else the answer's.
fn named(asked: &SpendBody<'_>) -> Result<String, Refused> {
    let of_answer = || {
        let answer = asked.completion_response?.get();
        serde_json::from_str::<Named>(answer).ok()?.model
    };
    let model = asked.model.clone().or_else(of_answer);
    model.ok_or_else(|| unfit("model", "a `model` is needed".to_owned()))
}

/// The deployment with that model upstream, which may be named with its provider.
fn upstream<'c>(catalog: &'c Catalog, model: &str) -> Option<&'c Deployment> {
    let deployments = catalog.groups.values().flat_map(|group| &group.deployments);
    let is = |known: &&Deployment| {
        let of_provider = model.strip_prefix(&*known.provider).and_then(|it| it.strip_prefix('/'));
        of_provider.unwrap_or(model) == &*known.target.model
    };
    deployments.map(AsRef::as_ref).find(is)
}

/// What the request would use, or the answer has used.
async fn used(proxy: &Proxy, model: &str, asked: &SpendBody<'_>) -> Result<Usage, Refused> {
    match (asked.messages, asked.completion_response) {
        (Some(messages), None) => {
            proxy.0.tokenizer.warm(model).await;
            let chat = format!("{{\"messages\":{}}}", messages.get());
            let count = proxy.0.tokenizer.count_chat(model, chat.as_bytes());
            let count = count.map_err(|_| {
                unfit("messages", "`messages` are not valid chat messages".to_owned())
            })?;
            Ok(Usage { prompt: count.tokens, ..Usage::default() })
        }
        (None, Some(answer)) => {
            let told = serde_json::from_str::<Told>(answer.get()).ok();
            if told.and_then(|told| told.usage).is_some_and(|usage| counts_below_zero(&usage)) {
                let message = "the answer's usage counts less than nothing".to_owned();
                return Err(unfit("completion_response", message));
            }
            let answer = Bytes::copy_from_slice(answer.get().as_bytes());
            let usage = ChatReply::parse(answer).ok().and_then(|answer| answer.usage());
            usage.ok_or_else(|| unfit("completion_response", "the answer has no usage".to_owned()))
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = "either `messages` or a `completion_response` is needed";
            Err(unfit("messages", message.to_owned()))
        }
    }
}

/// Who reads a provider's answer takes such a count for none; here it is a slip of who asks.
fn counts_below_zero(usage: &Value) -> bool {
    match usage {
        Value::Number(count) => count.as_f64().is_some_and(|count| count < 0.0),
        Value::Array(parts) => parts.iter().any(counts_below_zero),
        Value::Object(parts) => parts.values().any(counts_below_zero),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn unfit(param: &'static str, message: String) -> Refused {
    Refused::Unfit { param, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_below_zero_is_found_wherever_it_stands() {
        assert!(counts_below_zero(&json!({"prompt_tokens": -1, "completion_tokens": 5})));
        assert!(counts_below_zero(&json!({"prompt_tokens_details": {"cached_tokens": -0.5}})));
        assert!(!counts_below_zero(&json!({"prompt_tokens": 0, "details": null})));
    }
}
