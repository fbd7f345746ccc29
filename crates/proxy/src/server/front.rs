//! What every request meets before its handler and every answer after it: CORS, spellings of paths,
//! the root path, trailing slashes, security headers, and what is said about paths that do not exist.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use tower::ServiceExt;

use crate::routes;
use crate::server::spelling;
use crate::stale::Detour;
use crate::{Proxy, chat};

/// How the API presents itself at the edge.
#[derive(Clone, Default)]
pub struct Front {
    /// The path under which all routes also answer, such as `/llm`; empty for none.
    pub root_path: String,
    /// Where requests go that this node may know too little for; nowhere if there is none.
    pub detour: Option<Detour>,
    /// Who answers calls of models: most requests are some, and need no routes. If there is none, they
    /// are looked for among those.
    pub models: Option<Proxy>,
}

/// LiteLLM's headers on every answer, and its open CORS.
const ON_EVERY_ANSWER: [(HeaderName, HeaderValue); 4] = [
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::VARY, HeaderValue::from_static("Origin")),
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
];

/// Answers one request of one client.
pub(crate) async fn answer(
    front: &Front,
    app: &Router,
    mut request: Request<Body>,
) -> Response<Body> {
    if let Some(uri) = spelling::plain(request.uri()) {
        *request.uri_mut() = uri;
    }
    let mut response = if is_preflight(&request) {
        preflight(&request)
    } else if let Some(target) = without_trailing_slash(request.uri(), &front.root_path) {
        redirect(&target)
    } else {
        if let Some(uri) = below_root(request.uri(), &front.root_path) {
            *request.uri_mut() = uri;
        }
        if let Some(uri) = routes::with_one_segment(request.uri()) {
            *request.uri_mut() = uri;
        }
        match around(front.detour.as_ref(), request).await {
            Ok(request) => front.serve(app, request).await,
            Err(elsewhere) => elsewhere,
        }
    };
    for (name, value) in ON_EVERY_ANSWER {
        // Another node, in this one's place, has said the same.
        response.headers_mut().insert(name, value);
    }
    response
}

impl Front {
    async fn serve(&self, app: &Router, request: Request<Body>) -> Response<Body> {
        if let Some(proxy) = &self.models
            && let Some(endpoint) = routes::model_call(request.method(), request.uri().path())
        {
            return chat::serve(proxy, endpoint, None, request).await;
        }
        let Ok(response) = app.clone().oneshot(request).await;
        response
    }

    /// Whether clients are to take their next request to another node.
    pub(crate) fn drains(&self) -> bool {
        self.detour.as_ref().is_some_and(Detour::drains)
    }
}

/// By the detour, if there is one and it is to be taken.
async fn around(
    detour: Option<&Detour>,
    request: Request<Body>,
) -> Result<Request<Body>, Response<Body>> {
    match detour {
        Some(detour) => detour.around(request).await,
        None => Ok(request),
    }
}

fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight<B>(request: &Request<B>) -> Response<Body> {
    let mut response = Response::new(Body::from("OK"));
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(asked) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

/// The prefix of calls whose answers tell paths here.
const ANTHROPIC: &str = "/anthropic";
/// LiteLLM's metrics are an application of their own, which answers here.
const ENDS_IN_SLASH: &str = "/metrics/";

/// `/v1/models/` means `/v1/models`.
fn without_trailing_slash(uri: &Uri, root: &str) -> Option<String> {
    let root = root.trim_end_matches('/');
    let below = uri.path().strip_prefix(root).filter(|rest| rest.starts_with('/'));
    let path = below.unwrap_or(uri.path());
    if path == ENDS_IN_SLASH {
        return None;
    }
    let path = path.strip_suffix('/').filter(|path| !path.is_empty())?;
    // A path that begins with two slashes would redirect to another host, and one without the root
    // to nowhere, where a proxy has taken it off.
    let path = format!("{root}/{}", path.trim_start_matches('/'));
    Some(uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}")))
}

fn redirect(target: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    match HeaderValue::from_str(target) {
        Ok(target) => {
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(header::LOCATION, target);
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

/// Without the root. What an answer tells of a path here begins with the root, and with the prefix of a
/// call that was passed on: SDKs put it behind their base URL, which ends so, too.
fn below_root(uri: &Uri, root: &str) -> Option<Uri> {
    let root = root.trim_end_matches('/');
    let whole = uri.path_and_query()?.as_str();
    let once = below(whole, root).unwrap_or(whole);
    let twice = match once.strip_prefix(ANTHROPIC) {
        Some(rest) => below(rest, root).filter(|told| told.starts_with("/anthropic/")),
        None => below(once, root),
    };
    let rest = twice.unwrap_or(once);
    match rest.as_bytes().first() {
        _ if rest.len() == whole.len() => None,
        Some(b'/') => rest.parse().ok(),
        Some(_) | None => format!("/{rest}").parse().ok(),
    }
}

fn below<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    path.strip_prefix(root)
        .filter(|rest| matches!(rest.as_bytes().first(), Some(b'/' | b'?') | None))
}

/// The answer for a path that does not exist.
pub(crate) fn not_found() -> Response<Body> {
    detail(StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#)
}

/// The answer for a path that exists and a method it does not have.
pub(crate) async fn wrong_method() -> Response<Body> {
    detail(StatusCode::METHOD_NOT_ALLOWED, r#"{"detail":"Method Not Allowed"}"#)
}

fn detail(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_is_dropped_and_never_leads_to_another_host() {
        let cases = [
            ("/v1/models/", Some("/v1/models")),
            ("/v1/models/?a=1", Some("/v1/models?a=1")),
            ("//evil.example/", Some("/evil.example")),
            ("/", None),
            ("/v1/models", None),
            ("/metrics/", None),
            ("/llm/metrics/", Some("/llm/metrics")),
        ];
        for (path, expected) in cases {
            let uri = path.parse().expect("a path");
            assert_eq!(without_trailing_slash(&uri, "").as_deref(), expected, "{path}");
        }
        let below = [
            ("/llm/metrics/", None),
            ("/metrics/", None),
            ("/llm/v1/models/?a=1", Some("/llm/v1/models?a=1")),
            ("/v1/models/", Some("/llm/v1/models")),
            ("//evil.example/", Some("/llm/evil.example")),
            ("/llm/", None),
            ("/llmx/", Some("/llm/llmx")),
        ];
        for (path, expected) in below {
            let uri = path.parse().expect("a path");
            assert_eq!(without_trailing_slash(&uri, "/llm/").as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn routes_answer_under_the_root_path_too() {
        let below = |path: &str, root| {
            below_root(&path.parse().expect("a path"), root).map(|uri| uri.to_string())
        };
        assert_eq!(below("/llm/v1/models?x=1", "/llm").as_deref(), Some("/v1/models?x=1"));
        assert_eq!(below("/llm/llm/v1/models", "/llm").as_deref(), Some("/v1/models"));
        assert_eq!(below("/llm/llmx", "/llm").as_deref(), Some("/llmx"));
        let passed = Some("/anthropic/v1/x?a=1");
        for (path, root) in [
            ("/llm/anthropic/v1/x?a=1", "/llm"),
            ("/llm/anthropic/llm/anthropic/v1/x?a=1", "/llm"),
            ("/anthropic/anthropic/v1/x?a=1", ""),
        ] {
            assert_eq!(below(path, root).as_deref(), passed, "{path}");
        }
        assert_eq!(below("/anthropic/v1/x", ""), None);
        assert_eq!(below("/llm", "/llm/").as_deref(), Some("/"));
        assert_eq!(below("/llm?x=1", "/llm").as_deref(), Some("/?x=1"));
        assert_eq!(below("/llmx/v1", "/llm"), None);
        assert_eq!(below("/v1/models", "/llm"), None);
        assert_eq!(below("/v1/models", ""), None);
    }
}
