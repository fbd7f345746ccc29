//! Questions about one model, whether it is served here or not: `/utils/model_info` and
//! `/utils/supported_openai_params`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use dunlin_providers::supported_params;
use dunlin_router::Deployment;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::questions::model_info::{callable, object};
use crate::questions::published::target;
use crate::questions::question::{answer_to, refusal};
use crate::request::caller::Caller;
use crate::request::said::Query;
use crate::{Proxy, Serving};

#[derive(Deserialize)]
pub(crate) struct ModelQuery {
    model: Option<String>,
    custom_llm_provider: Option<String>,
}

/// A model, and who asks about it.
struct Question<'a> {
    proxy: &'a Proxy,
    serving: &'a Serving,
    caller: &'a Caller,
    model: &'a str,
    provider: Option<&'a str>,
}

/// GET /utils/model_info?model=&custom_llm_provider=
pub(crate) async fn info(
    State(proxy): State<Proxy>,
    Query(query): Query<ModelQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    answer(&proxy, &query, (&uri, &headers), |question| question.info()).await
}

/// GET /utils/supported_openai_params?model=
pub(crate) async fn params(
    State(proxy): State<Proxy>,
    Query(query): Query<ModelQuery>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    answer(&proxy, &query, (&uri, &headers), |question| question.params()).await
}

async fn answer(
    proxy: &Proxy,
    query: &ModelQuery,
    (uri, headers): (&Uri, &HeaderMap),
    story: fn(Question<'_>) -> Response<Body>,
) -> Response<Body> {
    answer_to(proxy, headers, uri, |serving, caller| {
        let Some(model) = &query.model else {
            return refusal("the query parameter `model` is missing");
        };
        let provider = query.custom_llm_provider.as_deref();
        story(Question { proxy, serving, caller, model, provider })
    })
    .await
}

/// What a deployment's provider takes.
pub(crate) fn params_of(deployment: &Deployment) -> Vec<&'static str> {
    supported_params(&deployment.provider, &deployment.target)
}

impl Question<'_> {
    fn params(self) -> Response<Body> {
        let Self { proxy, serving, caller, model, .. } = self;
        let found = dunlin_router::group(&serving.catalog, caller.access(), model).ok();
        let params = found.and_then(|group| group.deployments.first().map(|one| params_of(one)));
        match params.or_else(|| proxy.0.published.params(model)) {
            Some(params) => Json(json!({"supported_openai_params": params})).into_response(),
            None => refusal(&format!("Could not map model={model}")),
        }
    }

    fn info(self) -> Response<Body> {
        let Self { proxy, serving, caller, model, provider } = self;
        // A name of one's own says more than what is published: what the operator wrote over it.
        let mut own = callable(serving, caller.access()).filter(|_| provider.is_none());
        let own = own.find(|(name, _)| **name == *model);
        let own = own.as_ref().and_then(|(_, group)| group.deployments.first());
        let written = own.map(|one| {
            let mut info = object(one.about.info.get());
            info.entry("litellm_provider").or_insert_with(|| (*one.provider).into());
            info
        });
        let Some(mut info) = written.or_else(|| proxy.0.published.of(provider, model)) else {
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
        let published = || supported_params(&provider, &target(name.unwrap_or(model), &info));
        let params = own.map_or_else(published, |one| params_of(one));
        info.insert("supported_openai_params".to_owned(), json!(params));
        Json(json!({"model": model, "custom_llm_provider": provider, "model_info": info}))
            .into_response()
    }
}
