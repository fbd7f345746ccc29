//! `/utils/model_info`: what is known of any model, whether it is served here or not.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use dunlin_ledger::{Adjustment, Pricing, Rate, Sheet};
use dunlin_llm::Target;
use dunlin_types::PicoUsd;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::questions::model_info::{callable, object};
use crate::questions::params::{supported, supported_by};
use crate::questions::question::{answer_to, refusal};
use crate::request::caller::Caller;
use crate::{Proxy, Serving};

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
            return Some(supported_by(provider, &target(name, &info)));
        }
        let info = self.of(None, model)?;
        let provider = info.get("litellm_provider").and_then(Value::as_str)?;
        Some(supported_by(provider, &target(model, &info)))
    }

    /// What a model costs that is not served here; by its provider, if its name begins with one.
    pub(crate) fn price(&self, model: &str) -> Option<Pricing> {
        let (provider, name) = model.split_once('/').unzip();
        let info = self.of(None, model).or_else(|| self.of(provider, name?))?;
        let mut sheet = Sheet::default();
        for (key, price) in &info {
            let price = price.as_f64().and_then(|usd| PicoUsd::from_usd(usd).ok());
            if let (Some(rate), Some(price)) = (Rate::from_key(key), price) {
                sheet.set(rate, price);
            }
        }
        (!sheet.is_empty()).then(|| Pricing::from(sheet.price(Adjustment::default())))
    }

    fn of(&self, provider: Option<&str>, model: &str) -> Option<Map<String, Value>> {
        (self.0)(provider, model)
    }
}

/// A model that is asked as what is published of it says.
fn target(model: &str, info: &Map<String, Value>) -> Target {
    let responses = info.get("mode").is_some_and(|mode| mode == "responses");
    Target { model: model.into(), responses, ..Target::default() }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    model: Option<String>,
    custom_llm_provider: Option<String>,
}

/// GET /utils/model_info?model=&custom_llm_provider=
pub(crate) async fn show(
    State(proxy): State<Proxy>,
    Query(asked): Query<Asked>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    answer_to(&proxy, &headers, &uri, |serving, caller| told(&proxy, asked, serving, caller)).await
}

fn told(proxy: &Proxy, asked: Asked, serving: &Serving, caller: &Caller) -> Response<Body> {
    let Some(model) = asked.model else {
        return refusal("the query parameter `model` is missing");
    };
    let provider = asked.custom_llm_provider.as_deref();
    // A name of one's own says more than what is published: what the operator wrote over it.
    let mut own = callable(serving, caller.access()).filter(|_| provider.is_none());
    let own = own.find(|(name, _)| **name == *model);
    let own = own.and_then(|(_, group)| group.deployments.first());
    let written = own.map(|one| {
        let mut info = object(one.about.info.get());
        info.entry("litellm_provider").or_insert_with(|| (*one.provider).into());
        info
    });
    let Some(mut info) = written.or_else(|| proxy.0.published.of(provider, &model)) else {
        let provider = provider.unwrap_or("None");
        let error = format!(
            "model={model}, custom_llm_provider={provider} is not in the model cost map; \
             `/v1/models` lists what is served here"
        );
        let detail = Json(json!({"detail": {"error": error}}));
        return (StatusCode::NOT_FOUND, detail).into_response();
    };
    let provider = info.get("litellm_provider").and_then(Value::as_str).unwrap_or_default();
    let (provider, name) = (provider.to_owned(), info.get("key").and_then(Value::as_str));
    let published = || supported_by(&provider, &target(name.unwrap_or(&model), &info));
    let params = own.map_or_else(published, |one| supported(one));
    info.insert("supported_openai_params".to_owned(), json!(params));
    Json(json!({"model": model, "custom_llm_provider": provider, "model_info": info}))
        .into_response()
}
