//! `GET /health/liveliness`, also spelt `liveness`: the process answers. Public.

use axum::response::Response;
use axum::routing::get;

use super::{Routes, ok};

pub(super) fn add(routes: Routes) -> Routes {
    routes.route("/health/liveliness", get(handle)).route("/health/liveness", get(handle))
}

async fn handle() -> Response {
    ok(&"I'm alive!")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_answer_is_a_json_string() {
        let body = handle().await.into_body();
        let body = axum::body::to_bytes(body, 100).await.expect("a body");
        assert_eq!(body, "\"I'm alive!\"");
    }
}
