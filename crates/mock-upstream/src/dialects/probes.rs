//! The endpoints that only look: models, health, vLLM's metrics. They are not counted.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use crate::dialects::openai;
use crate::exchange::{Mock, json_response, response};
use crate::failure::Failure;
use crate::fault::Fault;
use crate::record::Recorded;
use crate::settings::Habit;

const CREATED: u64 = 1_700_000_000;

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*call}", get(model))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
}

async fn models(State(mock): State<Arc<Mock>>, request: Recorded) -> Response {
    if let Some(sick) = ill(&mock).await {
        return sick;
    }
    let data: Vec<Value> = names(&mock).iter().map(|id| described(&request, id)).collect();
    let list = if asks_anthropic(&request) {
        json!({"data": data, "first_id": data.first().map(|model| &model["id"]),
            "has_more": false, "last_id": data.last().map(|model| &model["id"])})
    } else {
        json!({"object": "list", "data": data})
    };
    json_response(200, &list)
}

async fn model(State(mock): State<Arc<Mock>>, request: Recorded) -> Response {
    if let Some(sick) = ill(&mock).await {
        return sick;
    }
    let id = request.path.trim_start_matches("/v1/models/");
    if mock.settings.models.is_none() || names(&mock).iter().any(|name| name == id) {
        return json_response(200, &described(&request, id));
    }
    let refusal = openai::refuse(&mock, &Failure::no_model(id));
    json_response(refusal.status, &refusal.body)
}

/// Anthropic's endpoint has the same path as OpenAI's; its clients name a version.
fn asks_anthropic(request: &Recorded) -> bool {
    request.headers.contains_key("anthropic-version")
}

fn described(request: &Recorded, id: &str) -> Value {
    if asks_anthropic(request) {
        return json!({"type": "model", "id": id, "display_name": id,
            "created_at": "2023-11-14T22:13:20Z", "lifecycle": "active",
            "max_input_tokens": 200_000, "max_tokens": 64_000});
    }
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": "mock"})
}

pub(super) fn names(mock: &Mock) -> Vec<String> {
    mock.settings.models.clone().unwrap_or_else(|| vec!["mock".to_owned()])
}

async fn health(State(mock): State<Arc<Mock>>) -> Response {
    match ill(&mock).await {
        Some(sick) => sick,
        None if mock.settings.has(Habit::Vllm) => response(200, "text/plain", Body::empty()),
        None => json_response(200, &json!({"status": "ok"})),
    }
}

/// The gauges of vLLM that say how busy it is.
async fn metrics(State(mock): State<Arc<Mock>>) -> Response {
    let (running, waiting) = mock.load();
    let slots = mock.settings.slots.unwrap_or(100);
    #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact to 53 bits")]
    let cache = running as f64 / slots.max(1) as f64;
    let model = names(&mock).swap_remove(0);
    let mut text = String::new();
    for (name, help, value) in [
        ("num_requests_running", "Number of requests in model execution batches.", running as f64),
        ("num_requests_waiting", "Number of requests waiting to be processed.", waiting as f64),
        ("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", cache.min(1.0)),
    ] {
        text += &format!(
            "# HELP vllm:{name} {help}\n# TYPE vllm:{name} gauge\n\
             vllm:{name}{{engine=\"0\",model_name=\"{model}\"}} {value:?}\n"
        );
    }
    response(200, "text/plain; version=0.0.4; charset=utf-8", text.into())
}

/// What a fault does to the endpoints that only look.
async fn ill(mock: &Mock) -> Option<Response> {
    let fault = mock.plan.current();
    if fault == Fault::Hang {
        return std::future::pending().await;
    }
    (fault == Fault::Loading).then(|| {
        let refusal = openai::refuse(mock, &Failure::loading());
        json_response(refusal.status, &refusal.body)
    })
}
