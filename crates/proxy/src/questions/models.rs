//! The models a caller may call, in OpenAI's shape, with the constants LiteLLM fills in; in
//! Anthropic's for those who name its version, and in Codex's for those who name one of Codex.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use dunlin_llm::Endpoint;
use dunlin_llm::openai::ErrorBody;
use serde::{Deserialize, Serialize};

use crate::questions::model_info;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::request::said::{Path, Query};
use crate::response::error::Failed;
use crate::response::lines::Lines;
use crate::response::{headers, told};
use crate::{Proxy, Serving};

mod anthropic;
mod codex;
mod listing;

use listing::{Listing, Metadata, Unlisted};

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
pub(crate) struct ListQuery {
    client_version: Option<String>,
}

/// GET /v1/models
pub(crate) async fn list(
    State(proxy): State<Proxy>,
    Query(page): Query<anthropic::Page>,
    Query(asked): Query<ListQuery>,
    Query(listing): Query<Listing>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let (caller, serving) = match asker(&proxy, &listing, &uri, &headers).await {
        Ok(asker) => asker,
        Err(refused) => return *refused,
    };
    if asked.client_version.is_some() {
        let groups = model_info::callable(&serving, caller.access());
        return Json(codex::Catalogue::of(groups)).into_response();
    }
    let names = listing.names(&proxy, &serving, caller.access());
    if anthropic::is_asked_for(&headers) {
        return Json(anthropic::page(&names, &page)).into_response();
    }
    let model = |name: &Arc<str>| {
        let metadata = listing.metadata(&serving.catalog, name);
        Model { metadata, ..Model::named(name) }
    };
    let data = names.iter().map(model).collect();
    Json(List { data, object: "list" }).into_response()
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
    let listing = Listing::default();
    let (caller, serving) = match asker(&proxy, &listing, &uri, &headers).await {
        Ok(asker) => asker,
        Err(refused) => return *refused,
    };
    let names = listing.names(&proxy, &serving, caller.access());
    if names.iter().any(|name| **name == *id) {
        return if anthropic::is_asked_for(&headers) {
            Json(anthropic::model(&id)).into_response()
        } else {
            Json(Model::named(&id)).into_response()
        };
    }
    let detail = format!("The model `{id}` does not exist or is not accessible");
    if anthropic::is_asked_for(&headers) {
        let error = ErrorBody {
            message: detail,
            kind: None,
            param: None,
            code: 404,
            entity: None,
            details: None,
        };
        let call = Call::of_headers(&proxy, Endpoint::Messages, &headers);
        let mut told = Lines::default();
        told::of_failure(&mut told, &call, None);
        return headers::error(told, error.code, call.endpoint.error_body(&error));
    }
    (StatusCode::NOT_FOUND, Json(Missing { detail })).into_response()
}

/// In whose words errors are.
fn endpoint(headers: &HeaderMap) -> Endpoint {
    if anthropic::is_asked_for(headers) { Endpoint::Messages } else { Endpoint::ChatCompletions }
}

/// As whom the models are listed, or the answer to whoever may not have them.
async fn asker(
    proxy: &Proxy,
    listing: &Listing,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(Caller, Arc<Serving>), Box<Response<Body>>> {
    let serving = proxy.0.serving.load_full();
    let caller = Caller::identify(proxy, &serving, headers, uri).await.map_err(|refused| {
        let call = Call::of_headers(proxy, endpoint(headers), headers);
        Box::new(Failed::from(refused).response(&call))
    })?;
    let refused = |unlisted: Unlisted| Box::new(unlisted.into_response());
    Ok((listing.caller(proxy, caller).map_err(refused)?, serving))
}
