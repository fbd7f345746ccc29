//! The models a caller may call, in OpenAI's shape, with the constants LiteLLM fills in; in
//! Anthropic's for those who name its version, and in Codex's for those who name one of Codex.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use dunlin_llm::Endpoint;
use dunlin_llm::openai::ErrorBody;
use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::chat::Call;
use crate::error::Failed;
use crate::lines::Lines;
use crate::{Proxy, Serving, headers, model_info, told};

mod anthropic;
mod codex;
mod listing;

use listing::{Listing, Metadata};

/// The same for every model, as LiteLLM has it.
const CREATED: u64 = 1_677_610_602;

#[derive(Serialize)]
struct List {
    data: Vec<Model>,
    object: &'static str,
}

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

impl Model {
    fn named(id: &str) -> Self {
        let (id, metadata) = (id.to_owned(), None);
        Self { id, object: "model", created: CREATED, owned_by: "openai", metadata }
    }
}

/// Whose list is asked for.
#[derive(Deserialize)]
pub(crate) struct Asked {
    client_version: Option<String>,
}

/// GET /v1/models
pub(crate) async fn list(
    State(proxy): State<Proxy>,
    Query(page): Query<anthropic::Page>,
    Query(asked): Query<Asked>,
    Query(listing): Query<Listing>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    if asked.client_version.is_some() {
        return match catalogue(&proxy, &uri, &headers).await {
            Ok(catalogue) => Json(catalogue).into_response(),
            Err(failed) => failed.response(&Call::of_headers(&proxy, endpoint(&headers), &headers)),
        };
    }
    match names(&proxy, &listing, &uri, &headers).await {
        Ok((names, _)) if anthropic::is_asked_for(&headers) => {
            Json(anthropic::page(&names, &page)).into_response()
        }
        Ok((names, serving)) => {
            let model = |name: &Arc<str>| {
                let metadata = listing.metadata(&serving.catalog, name);
                Model { metadata, ..Model::named(name) }
            };
            let data = names.iter().map(model).collect();
            Json(List { data, object: "list" }).into_response()
        }
        Err(failed) => failed.response(&Call::of_headers(&proxy, endpoint(&headers), &headers)),
    }
}

/// GET /v1/models/{id}; an id may have slashes in it.
pub(crate) async fn one(
    State(proxy): State<Proxy>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    #[derive(Serialize)]
    struct Missing {
        detail: String,
    }
    match names(&proxy, &Listing::default(), &uri, &headers).await {
        Ok((names, _)) if names.iter().any(|name| **name == *id) => {
            if anthropic::is_asked_for(&headers) {
                Json(anthropic::model(&id)).into_response()
            } else {
                Json(Model::named(&id)).into_response()
            }
        }
        Ok(_) => {
            let detail = format!("The model `{id}` does not exist or is not accessible");
            if anthropic::is_asked_for(&headers) {
                let error = ErrorBody { message: detail, kind: None, param: None, code: 404 };
                let call = Call::of_headers(&proxy, Endpoint::Messages, &headers);
                let mut told = Lines::default();
                told::of_failure(&mut told, &call, None);
                return headers::error(told, error.code, call.endpoint.error_body(&error));
            }
            (StatusCode::NOT_FOUND, Json(Missing { detail })).into_response()
        }
        Err(failed) => failed.response(&Call::of_headers(&proxy, endpoint(&headers), &headers)),
    }
}

/// In whose words errors are.
fn endpoint(headers: &HeaderMap) -> Endpoint {
    if anthropic::is_asked_for(headers) { Endpoint::Messages } else { Endpoint::ChatCompletions }
}

async fn catalogue(
    proxy: &Proxy,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<codex::Catalogue, Failed> {
    let serving = proxy.0.serving.load_full();
    let caller = Caller::identify(proxy, &serving, headers, uri).await?;
    Ok(codex::Catalogue::of(model_info::callable(&serving, caller.access())))
}

async fn names(
    proxy: &Proxy,
    listing: &Listing,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(Vec<Arc<str>>, Arc<Serving>), Failed> {
    let serving = proxy.0.serving.load_full();
    let caller = Caller::identify(proxy, &serving, headers, uri).await?;
    Ok((listing.names(proxy, &serving, caller.access()), serving))
}
