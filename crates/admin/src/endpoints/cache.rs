//! `GET /cache/ping` and `/cache/redis/info`, `POST /cache/delete` and `/cache/flushall`: there is
//! no cache of answers; these answer as LiteLLM does without one.

use axum::response::Response;
use dunlin_llm::openai::ErrorBody;
use serde_json::json;

use crate::Admin;
use crate::error::{Error, answer};
use crate::routes::{Request, Routes, Who};

const NONE: &str = "Cache not initialized. litellm.cache is None";

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .get("/cache/ping", Who::Viewers, ping)
        .get("/cache/redis/info", Who::Viewers, unhealthy)
        .post("/cache/delete", Who::Admins, delete)
        .post("/cache/flushall", Who::Admins, unhealthy)
}

async fn ping(_: Admin, _: Request) -> Result<Response, Error> {
    let message = json!({
        "message": NONE, "litellm_cache_params": "{}", "health_check_cache_params": "{}",
    });
    let error = ErrorBody {
        message: message.to_string(),
        kind: Some("cache_ping_error".to_owned()),
        param: Some("cache_ping".to_owned()),
        code: 503,
        entity: None,
        details: None,
    };
    Ok(answer(503, error.to_json()))
}

async fn unhealthy(_: Admin, _: Request) -> Result<Response, Error> {
    Ok(detail(503, &format!("Service Unhealthy (503: {NONE})")))
}

async fn delete(_: Admin, _: Request) -> Result<Response, Error> {
    Ok(detail(500, &format!("Cache Delete Failed(503: {NONE})")))
}

fn detail(status: u16, text: &str) -> Response {
    let why = "answers are not cached by this version, so nothing stale is served";
    answer(status, json!({"detail": format!("{text}: {why}")}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_said_as_by_litellm_that_there_is_none() {
        let response = detail(503, &format!("Service Unhealthy (503: {NONE})"));
        let body = axum::body::to_bytes(response.into_body(), 1 << 12).await.expect("a body");
        let told: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let text = told["detail"].as_str().expect("a text");
        assert!(text.starts_with("Service Unhealthy (503: Cache not initialized."), "{text}");
    }
}
