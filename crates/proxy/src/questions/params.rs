//! `/utils/supported_openai_params`: which of OpenAI's parameters a model takes.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use dunlin_llm::Target;
use dunlin_providers::Params;
use dunlin_router::Deployment;
use serde::Deserialize;
use serde_json::json;

use crate::questions::question::{answer_to, refusal};
use crate::request::caller::Caller;
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

/// What every chat may say, whoever answers it: it is said in the provider's words, or carried out
/// here.
const ALWAYS: &[&str] = &[
    "extra_headers",
    "max_completion_tokens",
    "max_retries",
    "max_tokens",
    "stream",
    "stream_options",
    "user",
];
/// What comes with tools, in the words of OpenAI's first API for them.
const WITH_TOOLS: &[&str] = &["function_call", "functions"];
/// What comes with reasoning, in Anthropic's words.
const WITH_REASONING: &[&str] = &["thinking"];

/// What a deployment's provider takes.
pub(crate) fn supported(deployment: &Deployment) -> Vec<&'static str> {
    supported_by(&deployment.provider, &deployment.target)
}

/// What a provider takes for a model.
pub(crate) fn supported_by(provider: &str, to: &Target) -> Vec<&'static str> {
    let params = dunlin_providers::find(provider).map_or(Params::All, |found| found.params(to));
    match params {
        Params::Only(names) => {
            let with = |has: &str, more: &'static [&'static str]| {
                if names.contains(&has) { more } else { &[] }
            };
            let tools = with("tools", WITH_TOOLS);
            let reasoning = with("reasoning_effort", WITH_REASONING);
            let all = names.iter().chain(ALWAYS).chain(tools).chain(reasoning);
            let mut all: Vec<&str> = all.copied().collect();
            all.sort_unstable();
            all.dedup();
            all
        }
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
    answer_to(&proxy, &headers, &uri, |serving, caller| told(&proxy, asked, serving, caller)).await
}

fn told(proxy: &Proxy, asked: Asked, serving: &Serving, caller: &Caller) -> Response<Body> {
    let Some(model) = asked.model else {
        return refusal("the query parameter `model` is missing");
    };
    let found = dunlin_router::group(&serving.catalog, caller.access(), &model).ok();
    let params = found.and_then(|group| group.deployments.first().map(|one| supported(one)));
    match params.or_else(|| proxy.0.published.params(&model)) {
        Some(params) => Json(json!({"supported_openai_params": params})).into_response(),
        None => {
            let error = format!("Could not map model={model}");
            (StatusCode::BAD_REQUEST, Json(json!({"detail": {"error": error}}))).into_response()
        }
    }
}
