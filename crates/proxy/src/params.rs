//! `/utils/supported_openai_params`: which of OpenAI's parameters a model takes.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use dunlin_providers::Params;
use dunlin_router::Deployment;
use serde::Deserialize;
use serde_json::json;

use crate::caller::Caller;
use crate::question::{answer_to, refusal};
use crate::{Proxy, Serving};

/// What a server that speaks OpenAI's dialect is taken to have: it is sent all that comes.
const OPENAI: &[&str] = &[
    "audio",
    "extra_headers",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_retries",
    "max_tokens",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// What a deployment's provider takes.
pub(crate) fn supported(deployment: &Deployment) -> Vec<&'static str> {
    supported_by(&deployment.provider, &deployment.target.model)
}

/// What a provider takes for a model.
pub(crate) fn supported_by(provider: &str, model: &str) -> Vec<&'static str> {
    let params = dunlin_providers::find(provider).map_or(Params::All, |found| found.params(model));
    match params {
        Params::Only(names) => names.to_vec(),
        Params::All | Params::AllBut(_) => {
            OPENAI.iter().copied().filter(|param| params.has(param)).collect()
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    model: Option<String>,
}

/// GET /utils/supported_openai_params?model=
pub(crate) async fn show(
    State(proxy): State<Proxy>,
    Query(asked): Query<Asked>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    answer_to(&proxy, &headers, &uri, |serving, caller| told(asked, serving, caller)).await
}

fn told(asked: Asked, serving: &Serving, caller: &Caller) -> Response<Body> {
    let Some(model) = asked.model else {
        return refusal("the query parameter `model` is missing");
    };
    let found = dunlin_router::group(&serving.catalog, caller.access(), &model).ok();
    let deployment = found.and_then(|group| group.deployments.first().map(|one| supported(one)));
    match deployment {
        Some(params) => Json(json!({"supported_openai_params": params})).into_response(),
        None => {
            let error = format!("Could not map model={model}");
            (StatusCode::BAD_REQUEST, Json(json!({"detail": {"error": error}}))).into_response()
        }
    }
}
