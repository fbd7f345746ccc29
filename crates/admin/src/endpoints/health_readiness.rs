//! `GET` and `OPTIONS /health/readiness`: whether this node should be sent requests. Public.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use crate::Admin;
use crate::error::answer;
use crate::health::readiness::NotReady;
use crate::routes::Routes;

pub(super) fn add(routes: Routes) -> Routes {
    routes.open("/health/readiness", get(handle).options(handle))
}

async fn handle(State(admin): State<Admin>) -> Response {
    tell(admin.ready().await)
}

#[derive(Serialize)]
struct Answer {
    status: &'static str,
    /// LiteLLM's database, which this cluster does without.
    db: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn tell(ready: Result<(), NotReady>) -> Response {
    let (code, status, reason) = match ready {
        Ok(()) => (200, "healthy", None),
        // LiteLLM's word.
        Err(NotReady::Draining) => (503, "shutting_down", Some(NotReady::Draining.to_string())),
        Err(reason) => (503, "unhealthy", Some(reason.to_string())),
    };
    let told = Answer { status, db: "Not connected", reason };
    answer(code, serde_json::to_vec(&told).expect("plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(ready: Result<(), NotReady>) -> (u16, String) {
        let response = tell(ready);
        let code = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1000).await.expect("a body");
        (code, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn it_is_litellms_answer_or_says_what_is_missing() {
        let ready = r#"{"status":"healthy","db":"Not connected"}"#.to_owned();
        assert_eq!(told(Ok(())).await, (200, ready));
        let (code, body) = told(Err(NotReady::NoConfig)).await;
        assert_eq!(code, 503);
        assert!(body.contains("no config is in force"), "{body}");
        let (code, body) = told(Err(NotReady::Draining)).await;
        assert!(code == 503 && body.starts_with(r#"{"status":"shutting_down""#), "{body}");
    }
}
