//! `GET` and `OPTIONS /health/liveliness`, also spelt `liveness`: the process answers. Public.

use axum::response::Response;
use axum::routing::get;

use super::ok;
use crate::routes::Routes;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .open("/health/liveliness", get(handle).options(handle))
        .open("/health/liveness", get(handle).options(handle))
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
