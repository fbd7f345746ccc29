//! `GET /` and `/redoc`: what somebody sees who opens the base URL: a page that leads on and lists the
//! routes for a browser, an object for programs. Public, like the routes' own list.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

use super::ok;
use crate::Admin;
use crate::routes::Routes;

const PAGE: &str = include_str!("../root.html");
/// The page loads nothing from anywhere else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'";

pub(super) fn add(routes: Routes) -> Routes {
    routes.open("/", get(handle)).open("/redoc", get(async || page()))
}

async fn handle(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    answer(&headers, admin.0.config.root_path.trim_end_matches('/'))
}

fn answer(headers: &HeaderMap, root: &str) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/html")) { page() } else { told(root) }
}

fn page() -> Response {
    let page = PAGE.replace("{version}", env!("CARGO_PKG_VERSION"));
    let mut response = Response::new(page.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn told(root: &str) -> Response {
    let below = |path: &str| format!("{root}{path}");
    ok(&json!({
        "name": "dunlin",
        "version": env!("CARGO_PKG_VERSION"),
        "openai_base_url": below("/v1"),
        "anthropic_base_url": below("/"),
        "openapi": below("/openapi.json"),
        "routes": below("/routes"),
        "health": below("/health/readiness"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_browser_gets_a_page_and_a_program_an_object() {
        let ask = async |accept: &str| {
            let accept = accept.parse().expect("a value");
            let response = answer(&HeaderMap::from_iter([(header::ACCEPT, accept)]), "/llm");
            let kind = response.headers()[header::CONTENT_TYPE].clone();
            let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.expect("a body");
            (kind, String::from_utf8(body.to_vec()).expect("text"))
        };
        let (kind, body) = ask("text/html,application/xhtml+xml").await;
        assert!(kind == "text/html; charset=utf-8" && body.contains(env!("CARGO_PKG_VERSION")));
        assert!(!body.contains("{version}") && !body.contains("http://"), "{body}");
        let (kind, body) = ask("*/*").await;
        assert!(kind == "application/json" && body.contains("\"/llm/openapi.json\""), "{body}");
    }
}
