//! OpenAI's dialect: what its endpoints have in common, and the accents of those who speak it too.

use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};

use super::post;
use crate::answer::Usage;
use crate::ask::Ask;
use crate::exchange::{Keys, Mock, Place, Refusal};
use crate::failure::{Failure, Why};
use crate::settings::Habit;

mod audio;
mod batches;
mod calls;
mod chat;
mod completions;
mod conversations;
mod embeddings;
mod files;
mod images;
mod jobs;
mod judges;
mod realtime;
mod responses;

pub(super) use chat::Chat;
pub(super) use completions::Completions;
pub(super) use embeddings::Embeddings;
pub(super) use responses::Responses;

/// When everything was made.
const CREATED: u64 = 1_700_000_000;

/// Its key is not needed, as few of those who speak this dialect need one.
const KEYS: Keys = Keys { needed: false, places: &[Place::Bearer] };

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/chat/completions", post(Chat { azure: false }))
        .route("/v1/completions", post(Completions { azure: false }))
        .route("/v1/embeddings", post(Embeddings { azure: false }))
        .merge(audio::router())
        .merge(batches::router())
        .merge(calls::router())
        .merge(conversations::router())
        .merge(files::router())
        .merge(images::router())
        .merge(jobs::router())
        .merge(judges::router())
        .merge(realtime::router())
        .merge(responses::router())
}

pub(super) fn refuse(mock: &Mock, failure: &Failure) -> Refusal {
    if mock.settings.has(Habit::Tgi) {
        return refuse_as_tgi(failure);
    }
    let llama = mock.settings.has(Habit::LlamaCpp);
    let vllm = mock.settings.has(Habit::Vllm);
    let status = failure.status;
    let message = &failure.message;
    if let Why::TooLong { prompt, limit } = failure.why
        && llama
    {
        let message = "the request exceeds the available context size, try increasing it";
        let error = json!({"code": status, "message": message, "n_ctx": limit,
            "n_prompt_tokens": prompt, "type": "exceed_context_size_error"});
        return Refusal::new(status, json!({ "error": error }));
    }
    let error = if vllm || llama {
        let kind = if vllm { vllm_type(status) } else { llama_type(status) };
        json!({"message": message, "type": kind, "param": null, "code": status})
    } else {
        let (kind, code) = words(failure);
        let param = if let Why::Bad(Some(name)) = &failure.why { Some(name) } else { None };
        json!({"message": message, "type": kind, "param": param, "code": code})
    };
    Refusal::new(status, json!({ "error": error }))
}

/// The type and the code of an error.
fn words(failure: &Failure) -> (&'static str, Option<&'static str>) {
    match (&failure.why, failure.status) {
        (Why::Bad(_), _) => ("invalid_request_error", None),
        (Why::TooLong { .. }, _) => ("invalid_request_error", Some("context_length_exceeded")),
        (Why::NoKey | Why::WrongKey, _) | (Why::Told, 401) => {
            ("invalid_request_error", Some("invalid_api_key"))
        }
        (Why::Unknown, _) | (Why::Told, 404) => ("invalid_request_error", Some("model_not_found")),
        (Why::Told, 429) => ("requests", Some("rate_limit_exceeded")),
        (Why::Told, 500..) => ("server_error", None),
        // No word of OpenAI's, to be told from one that a gateway has made up.
        (Why::Told, _) => ("mock_error", None),
        (Why::Loading, _) => ("unavailable_error", None),
    }
}

fn vllm_type(status: u16) -> &'static str {
    match status {
        401 => "AuthenticationError",
        404 => "NotFoundError",
        429 => "RateLimitError",
        400..500 => "BadRequestError",
        _ => "InternalServerError",
    }
}

fn llama_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        404 => "not_found_error",
        503 => "unavailable_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    }
}

fn refuse_as_tgi(failure: &Failure) -> Refusal {
    let (status, kind) = match (&failure.why, failure.status) {
        (Why::Bad(_) | Why::TooLong { .. }, _) => (422, "validation"),
        (_, 429) => (429, "overloaded"),
        (_, status) => (status, "generation"),
    };
    let message = if let Why::TooLong { prompt, limit } = failure.why {
        format!(
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= {limit}. \
             Given: {prompt} `inputs` tokens and 0 `max_new_tokens`"
        )
    } else {
        failure.message.clone()
    };
    Refusal::new(status, json!({"error": message, "error_type": kind}))
}

/// The frame that ends a stream in an error.
fn error_frame() -> bytes::Bytes {
    let error = json!({"message": "the mock broke", "type": "server_error", "param": null,
        "code": 500});
    crate::script::event(&json!({ "error": error }))
}

/// The service tier that an answer says it came in: the one that was asked for.
fn tier(ask: &Ask) -> &str {
    match ask.body["service_tier"].as_str() {
        None | Some("auto") => "default",
        Some(asked) => asked,
    }
}

/// Usage of text that is made, of `n` answers.
fn usage(usage: Usage, n: u64) -> Value {
    let completion = usage.completion * n;
    json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": completion,
        "total_tokens": usage.prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.thought * n, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    })
}

/// Puts `usage` there, if there is any.
fn with_usage(mut value: Value, usage: Option<Value>) -> Value {
    if let Some(usage) = usage {
        value["usage"] = usage;
    }
    value
}
