//! Azure OpenAI: OpenAI's bodies at paths of its own, with what its filters found.

use std::sync::Arc;

use axum::Router;
use serde_json::{Value, json};

use super::openai::{Chat, Completions, Embeddings, Responses};
use super::post;
use crate::ask::Ask;
use crate::exchange::{Keys, Mock, Place, Refusal};
use crate::failure::{Failure, Why};
use crate::record::Recorded;

pub(super) const KEYS: Keys =
    Keys { needed: true, places: &[Place::Header("api-key"), Place::Bearer] };

pub(super) fn router() -> Router<Arc<Mock>> {
    let deployment = "/openai/deployments/{deployment}";
    let mut router = Router::new();
    for base in [deployment, "/openai/v1"] {
        router = router
            .route(&format!("{base}/chat/completions"), post(Chat { azure: true }))
            .route(&format!("{base}/completions"), post(Completions { azure: true }))
            .route(&format!("{base}/embeddings"), post(Embeddings { azure: true }));
    }
    router
        .route("/openai/v1/responses", post(Responses { azure: true }))
        .route("/openai/responses", post(Responses { azure: true }))
}

/// Reads a body whose model is in itself, or in the path if it is a deployment's.
pub(super) fn model(azure: bool, request: &Recorded) -> Result<Ask, Failure> {
    if !azure || !request.path.starts_with("/openai/deployments/") {
        return Ask::of_model(&request.body);
    }
    if request.parameter("api-version").is_none() {
        let message = "Missing required query parameter: api-version";
        return Err(Failure { status: 404, ..Failure::bad(message) });
    }
    Ok(Ask { model: request.segment(2), ..Ask::json(&request.body)? })
}

pub(super) fn refuse(failure: &Failure) -> Refusal {
    let status = failure.status;
    let code = status.to_string();
    let message = &failure.message;
    let error = match failure.why {
        Why::Unknown => json!({"code": "DeploymentNotFound", "message":
            "The API deployment for this resource does not exist. If you created the deployment \
             within the last 5 minutes, please wait a moment and try again."}),
        Why::NoKey | Why::WrongKey => json!({"code": "401", "message":
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to \
             provide a valid key for an active subscription and use a correct regional API \
             endpoint for your resource."}),
        Why::Bad(ref param) => json!({"message": message, "type": "invalid_request_error",
            "param": param, "code": null}),
        Why::TooLong { .. } => json!({"message": message, "type": "invalid_request_error",
            "param": "messages", "code": "context_length_exceeded"}),
        Why::Told | Why::Loading => json!({"code": code, "message": message}),
    };
    Refusal::new(status, json!({ "error": error }))
}

fn findings() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe})
}

/// Says of a choice what the filters found in it.
pub(super) fn with_filter(mut choice: Value) -> Value {
    choice["content_filter_results"] = findings();
    choice
}

/// Says what the filters found in the prompt.
pub(super) fn with_prompt_filter(mut answer: Value) -> Value {
    answer["prompt_filter_results"] =
        json!([{"prompt_index": 0, "content_filter_results": findings()}]);
    answer
}
