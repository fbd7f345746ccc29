//! The paths of the client API: the one list of what is served where.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use axum::routing::{MethodFilter, MethodRouter, any, get, on, post};
use dunlin_llm::Endpoint;
use dunlin_providers::relay::PREFIXES;

use crate::ids::Kind;
use crate::relay::Way;
use crate::stored::unmade::Wanted;
use crate::stored::{self, About};
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
        .merge(kept())
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

/// What can be done with something that a provider keeps, and under what prefixes: the last ones
/// name the provider of files and batches that are new.
fn kept() -> Router<Proxy> {
    const GET: MethodFilter = MethodFilter::GET;
    const GET_OR_DELETE: MethodFilter = GET.or(MethodFilter::DELETE);
    const POST: MethodFilter = MethodFilter::POST;
    const THINGS: [(&str, MethodFilter, Kind, &str); 7] = [
        ("/responses/{id}", GET_OR_DELETE, Kind::Response, ""),
        ("/responses/{id}/cancel", POST, Kind::Response, "/cancel"),
        ("/responses/{id}/input_items", GET, Kind::Response, "/input_items"),
        ("/files/{id}", GET_OR_DELETE, Kind::File, ""),
        ("/files/{id}/content", GET, Kind::File, "/content"),
        ("/batches/{id}", GET, Kind::Batch, ""),
        ("/batches/{id}/cancel", POST, Kind::Batch, "/cancel"),
    ];
    const PREFIXES: [(&str, Option<&str>); 5] = [
        ("", None),
        ("/v1", None),
        ("/openai/v1", Some("openai")),
        ("/azure/v1", Some("azure")),
        ("/hosted_vllm/v1", Some("hosted_vllm")),
    ];
    let mut routes = Router::new();
    for (prefix, provider) in PREFIXES {
        for (path, methods, kind, suffix) in THINGS {
            let one = about_one(methods, About { kind, suffix });
            routes = routes.route(&format!("{prefix}{path}"), one);
        }
        let (count, compact) = (unmade(Wanted::InputTokens), unmade(Wanted::Compaction));
        routes = routes
            .route(&format!("{prefix}/responses/input_tokens"), count)
            .route(&format!("{prefix}/responses/compact"), compact)
            .route(&format!("{prefix}/files"), upload(provider).merge(list(Kind::File, provider)))
            .route(
                &format!("{prefix}/batches"),
                post(make_batch).merge(list(Kind::Batch, provider)),
            );
    }
    routes
}

fn about_one(methods: MethodFilter, about: About) -> MethodRouter<Proxy> {
    on(
        methods,
        move |State(proxy): State<Proxy>, Path(id): Path<String>, request: Request| async move {
            stored::serve(&proxy, about, &id, request).await
        },
    )
}

fn unmade(wanted: Wanted) -> MethodRouter<Proxy> {
    post(move |State(proxy): State<Proxy>, request: Request| async move {
        stored::unmade::serve(&proxy, wanted, request).await
    })
}

fn upload(provider: Option<&'static str>) -> MethodRouter<Proxy> {
    post(move |State(proxy): State<Proxy>, request: Request| async move {
        stored::files::upload(&proxy, provider, request).await
    })
}

fn list(kind: Kind, provider: Option<&'static str>) -> MethodRouter<Proxy> {
    get(move |State(proxy): State<Proxy>, request: Request| async move {
        stored::lists::list(&proxy, kind, provider, request).await
    })
}

async fn make_batch(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    stored::batches::create(&proxy, request).await
}
