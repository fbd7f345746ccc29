//! LiteLLM's ways into its pages: there are none here, and these say so.

use axum::response::{IntoResponse, Response};

use crate::error::Error;
use crate::routes::Routes;

pub(crate) const PATHS: [&str; 8] = [
    "/fallback/login",
    "/invitation/new",
    "/login",
    "/sso/{*rest}",
    "/ui",
    "/ui/",
    "/ui/{*rest}",
    "/v2/login",
];
const REASON: &str = "There is no UI to log in to, and nobody is invited to one: use the management \
                      API with the master key or a virtual key, or the command line (`dunlin --help`).";

pub(super) fn add(routes: Routes) -> Routes {
    PATHS.into_iter().fold(routes, |routes, path| routes.absent(path, why))
}

fn why() -> Response {
    Error::NotFound { reason: REASON.to_owned() }.into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn whoever_looks_for_the_ui_is_told_that_there_is_none() {
        let response = why();
        assert_eq!(response.status(), 404);
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.expect("a body");
        let told: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            (&told["error"]["code"], &told["error"]["type"]),
            (&"404".into(), &"not_found_error".into())
        );
        assert!(told["error"]["message"].as_str().is_some_and(|it| it.contains("no UI")), "{told}");
    }
}
