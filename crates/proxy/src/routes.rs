//! The paths of the client API: the one list of what is served where.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::routing::{MethodRouter, any, get, post};
use dunlin_llm::Endpoint;
use dunlin_providers::relay::PREFIXES;

use crate::relay::Way;
use crate::{Proxy, Routes, chat, count, gemini, model_info, models, params, relay};

/// The endpoints whose requests name a model, and their paths. Each is also served under `/v1`, and under the two
/// prefixes that name the model: those of OpenAI's first API and of Azure.
const ENDPOINTS: &[(&str, Endpoint)] = &[
    ("/chat/completions", Endpoint::ChatCompletions),
    ("/completions", Endpoint::Completions),
    ("/embeddings", Endpoint::Embeddings),
    ("/images/edits", Endpoint::ImageEdits),
    ("/images/generations", Endpoint::ImageGenerations),
    ("/moderations", Endpoint::Moderations),
    ("/rerank", Endpoint::Rerank),
    ("/responses", Endpoint::Responses),
    ("/audio/speech", Endpoint::Speech),
    ("/audio/transcriptions", Endpoint::Transcriptions),
    ("/audio/translations", Endpoint::Translations),
];

const PREFIXES_WITH_MODEL: [&str; 3] =
    ["/engines/{model}", "/v1/engines/{model}", "/openai/deployments/{model}"];

/// The routes of the client API, and what becomes of paths that none of ours takes.
pub fn router(proxy: Proxy) -> Routes {
    let mut routes = Router::new()
        .route("/models", get(models::list))
        .route("/models/{*id}", get(models::one).post(gemini::serve))
        .route("/model/info", get(model_info::list))
        .route("/v1/model/info", get(model_info::list))
        .route("/v2/model/info", get(model_info::page))
        .route("/model_group/info", get(model_info::groups))
        .route("/utils/supported_openai_params", get(params::show))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one).post(gemini::serve))
        .route("/v1beta/models/{*id}", post(gemini::serve));
    for (path, endpoint) in ENDPOINTS {
        routes =
            routes.route(path, serve(*endpoint)).route(&format!("/v1{path}"), serve(*endpoint));
        for prefix in PREFIXES_WITH_MODEL {
            routes = routes.route(&format!("{prefix}{path}"), serve_named(*endpoint));
        }
    }
    for &(prefix, providers) in PREFIXES {
        let way = Way { prefix, providers };
        routes = routes.route(&format!("/{prefix}/{{*rest}}"), pass(way));
    }
    routes
        .route("/v2/rerank", serve(Endpoint::Rerank))
        .route("/v1/messages", serve(Endpoint::Messages))
        .route("/v1/messages/count_tokens", post(count::serve))
        .route("/openai/v1/responses", serve(Endpoint::Responses))
        .fallback(relay::configured::serve)
        .with_state(proxy)
}

fn serve(endpoint: Endpoint) -> MethodRouter<Proxy> {
    post(move |State(proxy): State<Proxy>, request: Request| async move {
        chat::serve(&proxy, endpoint, None, request).await
    })
}

/// A provider's own API, whatever is called there.
fn pass(way: Way) -> MethodRouter<Proxy> {
    any(move |State(proxy): State<Proxy>, request: Request| async move {
        relay::serve(&proxy, way, request).await
    })
}

/// Where the path names the model.
fn serve_named(endpoint: Endpoint) -> MethodRouter<Proxy> {
    post(
        move |State(proxy): State<Proxy>, Path(model): Path<String>, request: Request| async move {
            chat::serve(&proxy, endpoint, Some(&model), request).await
        },
    )
}
