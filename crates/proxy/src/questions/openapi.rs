//! `/openapi.json` and `/routes`: what this node serves, taken from the routes themselves, so that
//! it cannot be stale.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::ALLOW;
use axum::http::{Method, Request};
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use tower::ServiceExt;

use crate::response::headers;

/// Methods that one path has.
type Methods = Vec<String>;

/// `routes` and what describes them. Those of `paths` are asked which methods they have: none may
/// have TRACE. Others are described as `own` says: by one method, or by all. `root` is the path
/// under which clients find them; empty for none.
pub(crate) fn described(
    routes: Router,
    own: Vec<(String, Option<Method>)>,
    paths: Vec<String>,
    root: &str,
) -> Router {
    let root = root.trim_end_matches('/').to_owned();
    let told = OnceCell::new();
    let served = Arc::new(Served { routes: routes.clone(), own, paths, root, told });
    let also = Arc::clone(&served);
    let document = get(async move || headers::plain_json(served.told().await.document.clone()));
    let list = get(async move || headers::plain_json(also.told().await.list.clone()));
    routes.route("/openapi.json", document).route("/routes", list)
}

/// What is served, and, once somebody has asked, what is told of it.
struct Served {
    routes: Router,
    own: Vec<(String, Option<Method>)>,
    paths: Vec<String>,
    root: String,
    told: OnceCell<Description>,
}

struct Description {
    document: Bytes,
    list: Bytes,
}

impl Served {
    async fn told(&self) -> &Description {
        self.told.get_or_init(|| self.describe()).await
    }

    async fn describe(&self) -> Description {
        let mut all: BTreeMap<String, Methods> = BTreeMap::new();
        for (path, method) in &self.own {
            let methods = method.as_ref().map_or(METHODS.to_vec(), |method| vec![method.as_str()]);
            all.entry(path.clone()).or_default().extend(methods.into_iter().map(str::to_owned));
        }
        for path in &self.paths {
            let methods = methods(&self.routes, path).await;
            all.entry(path.clone()).or_default().extend(methods);
        }
        for path in ["/openapi.json", "/routes"] {
            all.insert(path.to_owned(), vec!["GET".to_owned()]);
        }
        for methods in all.values_mut() {
            methods.sort_unstable();
            methods.dedup();
        }
        Description { document: document(&all, &self.root), list: list(&all) }
    }
}

const METHODS: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];

/// What a 405 allows.
async fn methods(routes: &Router, path: &str) -> Methods {
    let filled = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    let request = Request::builder()
        .method(Method::TRACE)
        .uri(filled.collect::<Vec<_>>().join("/"))
        .body(Body::empty())
        .expect("a path of ours is a URI");
    let Ok(answer) = routes.clone().oneshot(request).await;
    let allowed = answer.headers().get(ALLOW).and_then(|methods| methods.to_str().ok());
    let allowed = allowed.unwrap_or_default().split(',').map(str::trim);
    allowed.filter(|method| METHODS.contains(method)).map(str::to_owned).collect()
}

/// A path in OpenAPI's way, and its parameters.
fn template(path: &str) -> (String, Vec<&str>) {
    let parts = path.split('/').map(|part| part.replacen("{*", "{", 1));
    let parameter = |part: &&str| part.starts_with('{') && part.ends_with('}');
    let names = path.split('/').filter(parameter).map(|part| part.trim_matches(['{', '}', '*']));
    let template = parts.collect::<Vec<_>>().join("/");
    (template, names.collect())
}

fn document(all: &BTreeMap<String, Methods>, root: &str) -> Bytes {
    let mut paths = Map::new();
    for (path, methods) in all {
        let (template, names) = template(path);
        let operations = methods
            .iter()
            .map(|method| (method.to_ascii_lowercase(), operation(method, path, &names)));
        paths.insert(template, Value::Object(operations.collect()));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dunlin",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Bodies are those of the APIs that the paths belong to: OpenAI's, \
                Anthropic's, Google's, Cohere's and LiteLLM's.",
        },
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": {
                "type": "object",
                "properties": {"error": {
                    "type": "object",
                    "properties": {
                        "message": {"type": "string"},
                        "type": {"type": ["string", "null"]},
                        "param": {"type": ["string", "null"]},
                        "code": {"type": "string", "description": "the HTTP status"},
                    },
                }},
            }},
        },
        "paths": paths,
    });
    if !root.is_empty() {
        document["servers"] = json!([{"url": root}]);
    }
    Bytes::from(document.to_string())
}

fn operation(method: &str, path: &str, names: &[&str]) -> Value {
    let error = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}});
    let mut operation = json!({
        "operationId": format!("{} {path}", method.to_ascii_lowercase()),
        "responses": {
            "200": {"description": "the answer"},
            "default": {"description": "no answer", "content": error},
        },
    });
    if !names.is_empty() {
        let parameter = |name: &&str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
        operation["parameters"] = names.iter().map(parameter).collect();
    }
    if matches!(method, "POST" | "PUT" | "PATCH") {
        operation["requestBody"] = json!({"content": {"application/json": {"schema": {}}}});
    }
    if is_public(path) {
        operation["security"] = json!([]);
    }
    operation
}

/// What is answered to everyone.
fn is_public(path: &str) -> bool {
    matches!(path, "/openapi.json" | "/routes" | "/test")
        || path.starts_with("/health/li")
        || path == "/health/readiness"
}

fn list(all: &BTreeMap<String, Methods>) -> Bytes {
    let routes = all.iter().map(|(path, methods)| json!({"path": path, "methods": methods}));
    Bytes::from(json!({"routes": routes.collect::<Vec<_>>()}).to_string())
}

#[cfg(test)]
mod tests {
    use axum::routing::post;

    use super::*;

    #[tokio::test]
    async fn what_is_served_is_described() {
        let routes = Router::new()
            .route("/key/{id}/x", post(async || "").get(async || ""))
            .route("/vllm/{*rest}", get(async || ""));
        let own = [("/vllm/{*rest}".to_owned(), None), ("/m".to_owned(), Some(Method::POST))];
        let routes = described(routes, own.to_vec(), vec!["/key/{id}/x".to_owned()], "/llm/");
        let request = Request::builder().uri("/openapi.json").body(Body::empty());
        let Ok(answer) = routes.oneshot(request.expect("a request")).await;
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        let document: Value = serde_json::from_slice(&body).expect("JSON");
        let methods = |path: &str| {
            let operations = document["paths"][path].as_object().expect(path);
            operations.keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(methods("/key/{id}/x"), "get post");
        assert_eq!(document["servers"], json!([{"url": "/llm"}]));
        assert_eq!(methods("/vllm/{rest}"), "delete get patch post put");
        assert_eq!((methods("/m"), methods("/routes")), ("post".into(), "get".into()));
        assert_eq!(document["paths"]["/vllm/{rest}"]["get"]["parameters"][0]["name"], "rest");
    }
}
