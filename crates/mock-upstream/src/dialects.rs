//! The dialects the mock speaks, one file each, and where their endpoints are.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::exchange::{Mock, Route, serve};
use crate::record::Recorded;

mod anthropic;
mod azure;
mod bedrock;
mod cohere;
mod gemini;
mod ollama;
mod openai;
mod probes;
mod vertex;

/// As much as a gateway accepts from its clients.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// All endpoints.
pub(crate) fn router(mock: Arc<Mock>) -> Router {
    Router::new()
        .merge(anthropic::router())
        .merge(azure::router())
        .merge(bedrock::router())
        .merge(cohere::router())
        .merge(gemini::router())
        .merge(ollama::router())
        .merge(openai::router())
        .merge(probes::router())
        .merge(vertex::router())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(mock)
}

type Endpoint = MethodRouter<Arc<Mock>>;

fn post(route: impl Route + Copy + 'static) -> Endpoint {
    to(MethodFilter::POST, route)
}

fn get(route: impl Route + Copy + 'static) -> Endpoint {
    to(MethodFilter::GET, route)
}

fn delete(route: impl Route + Copy + 'static) -> Endpoint {
    to(MethodFilter::DELETE, route)
}

fn to(method: MethodFilter, route: impl Route + Copy + 'static) -> Endpoint {
    on(method, async move |State(mock): State<Arc<Mock>>, request: Recorded| {
        serve(&mock, request, &route).await
    })
}
