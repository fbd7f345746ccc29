//! The paths of the client API: the one list of what is served where.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{Method, Response, Uri};
use axum::routing::{MethodFilter, MethodRouter, any, get, on, post};
use dunlin_llm::Endpoint;
use dunlin_providers::relay::PREFIXES;

use crate::ids::Kind;
use crate::questions::{
    calculate, count, input_tokens, model_info, models, one_model, openapi, token_counter,
    transform,
};
use crate::relay::Way;
use crate::request::named_path;
use crate::request::said::Path;
use crate::stored::conversations::Of;
use crate::stored::{self, About};
use crate::{Proxy, Routes, chat, gemini, realtime, relay, socket};

/// The endpoints whose requests name a model, and their paths. Each is also served under `/v1`, and
/// under the two prefixes that name the model: those of OpenAI's first API and of Azure.
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

/// What comes before a model's name in a path.
const BEFORE_MODEL: [&str; 3] = ["/engines", "/v1/engines", "/openai/deployments"];

/// Routes, and a list of them.
struct Table {
    routes: Router<Proxy>,
    /// Paths as axum has them, each with one method; `None`: with all.
    listed: Vec<(String, Option<Method>)>,
}

impl Table {
    fn get<H: Handler<T, Proxy>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.with(path, Method::GET, get(handler))
    }

    fn post<H: Handler<T, Proxy>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.with(path, Method::POST, post(handler))
    }

    /// A path whose handler takes that method.
    fn with(self, path: &str, method: Method, handler: MethodRouter<Proxy>) -> Self {
        self.listing(path, Some(method), handler)
    }

    /// A path whose handler takes all methods.
    fn any(self, path: &str, handler: MethodRouter<Proxy>) -> Self {
        self.listing(path, None, handler)
    }

    fn listing(mut self, path: &str, method: Option<Method>, handler: MethodRouter<Proxy>) -> Self {
        self.listed.push((path.to_owned(), method));
        Self { routes: self.routes.route(path, handler), ..self }
    }
}

/// The routes of the client API, and what becomes of paths that none of ours takes; with `others`
/// beside them, whose paths are `paths`, and a description of all for clients that find them under
/// the path `root`.
pub fn router(proxy: Proxy, others: Router, paths: Vec<String>, root: &str) -> Routes {
    let Table { routes, listed } = table();
    let routes = routes.fallback(relay::configured::serve).with_state(proxy);
    openapi::described(routes.merge(others), listed, paths, root)
}

/// What a request asks of a model, if it asks for that alone and its path names no model.
pub(crate) fn model_call(method: &Method, path: &str) -> Option<Endpoint> {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let found = ENDPOINTS.iter().find(|(of, _)| *of == path).filter(|_| method == Method::POST);
    found.map(|(_, endpoint)| *endpoint)
}

fn table() -> Table {
    let mut table = Table { routes: Router::new(), listed: Vec::new() }
        .get("/models", models::list)
        .get("/models/{*id}", models::one)
        .post("/models/{*id}", gemini::serve)
        .get("/model/info", model_info::list)
        .get("/v1/model/info", model_info::list)
        .get("/v2/model/info", model_info::page)
        .get("/model_group/info", model_info::groups)
        .get("/utils/model_info", one_model::info)
        .get("/utils/supported_openai_params", one_model::params)
        .post("/utils/token_counter", token_counter::serve)
        .post("/utils/transform_request", transform::serve)
        .post("/spend/calculate", calculate::serve)
        .get("/v1/models", models::list)
        .get("/v1/models/{*id}", models::one)
        .post("/v1/models/{*id}", gemini::serve)
        .post("/v1beta/models/{*id}", gemini::serve);
    for (path, endpoint) in ENDPOINTS {
        table = table.with(path, Method::POST, serve(*endpoint));
        table = table.with(&format!("/v1{path}"), Method::POST, serve(*endpoint));
        for before in BEFORE_MODEL {
            let path = format!("{before}/{{model}}{path}");
            table = table.with(&path, Method::POST, serve_named(*endpoint));
        }
    }
    for &(prefix, providers) in PREFIXES {
        let way = Way { prefix, providers, owned: false };
        table = table.any(&format!("/{prefix}/{{*rest}}"), pass(way));
    }
    for prefix in ["", "/v1", "/openai", "/openai/v1"] {
        table = table
            .get(&format!("{prefix}/realtime"), realtime::serve)
            .post(&format!("{prefix}/realtime/calls"), realtime::calls::create)
            .post(&format!("{prefix}/realtime/client_secrets"), realtime::secrets::create);
    }
    message_batches(azures_responses(kept(table)))
        .get("/responses", socket::serve)
        .get("/v1/responses", socket::serve)
        .get("/openai/v1/responses", socket::serve)
        .with("/v2/rerank", Method::POST, serve(Endpoint::Rerank))
        .with("/v1/messages", Method::POST, serve(Endpoint::Messages))
        .post("/v1/messages/count_tokens", count::serve)
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

/// The address as the routes have it, if its path names a model with slashes.
pub(crate) fn with_one_segment(uri: &Uri) -> Option<Uri> {
    named_path::with_one_segment(uri, &BEFORE_MODEL, ENDPOINTS.iter().map(|(path, _)| *path))
}

/// Where the path names the model.
fn serve_named(endpoint: Endpoint) -> MethodRouter<Proxy> {
    post(
        move |State(proxy): State<Proxy>, Path(model): Path<String>, request: Request| async move {
            chat::serve(&proxy, endpoint, Some(&model), request).await
        },
    )
}

/// What can be done with one thing that a provider keeps.
const ABOUT_ONE: [(Method, About); 16] = {
    use Kind::{Batch, Call, File, Job, Response};
    const fn about(kind: Kind, suffix: &'static str, call_type: &'static str) -> About {
        About { kind, suffix, call_type }
    }
    [
        (Method::GET, about(Response, "", "aget_responses")),
        (Method::DELETE, about(Response, "", "adelete_responses")),
        (Method::POST, about(Response, "/cancel", "acancel_responses")),
        (Method::GET, about(Response, "/input_items", "alist_input_items")),
        (Method::GET, about(File, "", "afile_retrieve")),
        (Method::DELETE, about(File, "", "afile_delete")),
        (Method::GET, about(File, "/content", "afile_content")),
        (Method::GET, about(Batch, "", "aretrieve_batch")),
        (Method::POST, about(Batch, "/cancel", "acancel_batch")),
        (Method::GET, about(Job, "", "aretrieve_fine_tuning_job")),
        (Method::POST, about(Job, "/cancel", "acancel_fine_tuning_job")),
        (Method::POST, about(Job, "/pause", "apause_fine_tuning_job")),
        (Method::POST, about(Job, "/resume", "aresume_fine_tuning_job")),
        (Method::GET, about(Job, "/events", "alist_fine_tuning_events")),
        (Method::GET, about(Job, "/checkpoints", "alist_fine_tuning_checkpoints")),
        (Method::POST, about(Call, "/hangup", "_arealtime")),
    ]
};

/// What can be done with things that a provider keeps, and under what prefixes: the last ones name the
/// provider of files and batches that are new.
fn kept(mut table: Table) -> Table {
    const PREFIXES: [(&str, Option<&str>); 5] = [
        ("", None),
        ("/v1", None),
        ("/openai/v1", Some("openai")),
        ("/azure/v1", Some("azure")),
        ("/hosted_vllm/v1", Some("hosted_vllm")),
    ];
    for (prefix, provider) in PREFIXES {
        for (method, about) in ABOUT_ONE {
            let path = format!("{prefix}/{}/{{id}}{}", about.kind.collection(), about.suffix);
            let one = about_one(&method, about);
            table = table.with(&path, method, one);
        }
        let (files, batches) = (format!("{prefix}/files"), format!("{prefix}/batches"));
        let jobs = format!("{prefix}/fine_tuning/jobs");
        if provider.is_some() {
            let responses = format!("{prefix}/responses");
            table = table.with(&responses, Method::POST, serve(Endpoint::Responses));
        }
        table = table
            .post(&format!("{prefix}/responses/input_tokens"), input_tokens::serve)
            .post(&format!("{prefix}/responses/compact"), compact)
            .with(&files, Method::POST, upload(provider))
            .with(&files, Method::GET, list(Kind::File, provider))
            .post(&batches, make_batch)
            .with(&batches, Method::GET, list(Kind::Batch, provider))
            .post(&jobs, make_job)
            .with(&jobs, Method::GET, list(Kind::Job, provider));
        table = conversations(table, &format!("{prefix}/conversations"), provider);
    }
    table
}

/// Responses where Azure's SDKs ask for them, beside its deployments. Their `api-version` means nothing
/// here.
fn azures_responses(table: Table) -> Table {
    const ALL: &str = "/openai/responses";
    let about = ABOUT_ONE.into_iter().filter(|(_, about)| about.kind == Kind::Response);
    let table = about.fold(table, |table, (method, about)| {
        let path = format!("{ALL}/{{id}}{}", about.suffix);
        let one = about_one(&method, about);
        table.with(&path, method, one)
    });
    table
        .get(ALL, socket::serve)
        .with(ALL, Method::POST, serve(Endpoint::Responses))
        .post(&format!("{ALL}/input_tokens"), input_tokens::serve)
        .post(&format!("{ALL}/compact"), compact)
}

/// What can be done with batches of messages.
fn message_batches(table: Table) -> Table {
    const ALL: &str = "/v1/messages/batches";
    const ONE: [(&str, Method, &str); 4] = [
        ("/{id}", Method::GET, ""),
        ("/{id}", Method::DELETE, ""),
        ("/{id}/cancel", Method::POST, "/cancel"),
        ("/{id}/results", Method::GET, "/results"),
    ];
    let (kind, call_type) = (Kind::MessageBatch, relay::PASSED);
    let make = move |State(proxy): State<Proxy>, request: Request| async move {
        relay::serve(&proxy, relay::MESSAGE_BATCHES, request).await
    };
    let mut table = table.post(ALL, make).with(ALL, Method::GET, list(kind, None));
    for (path, method, suffix) in ONE {
        let one = about_one(&method, About { kind, suffix, call_type });
        table = table.with(&format!("{ALL}{path}"), method, one);
    }
    table
}

/// What can be done with the conversations of responses.
fn conversations(table: Table, all: &str, provider: Option<&'static str>) -> Table {
    let make = move |State(proxy): State<Proxy>, request: Request| async move {
        stored::conversations::create(&proxy, provider, request).await
    };
    let mut table = table.post(all, make);
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let one = on(filter(&method), one_conversation);
        table = table.with(&format!("{all}/{{id}}"), method, one);
    }
    for method in [Method::GET, Method::POST] {
        let items = on(filter(&method), its_items);
        table = table.with(&format!("{all}/{{id}}/items"), method, items);
    }
    for method in [Method::GET, Method::DELETE] {
        let item = on(filter(&method), its_item);
        table = table.with(&format!("{all}/{{id}}/items/{{item}}"), method, item);
    }
    table
}

async fn one_conversation(
    State(proxy): State<Proxy>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    stored::conversations::serve(&proxy, &id, Of::Itself, request).await
}

async fn its_items(
    State(proxy): State<Proxy>,
    Path(id): Path<String>,
    request: Request,
) -> Response<Body> {
    stored::conversations::serve(&proxy, &id, Of::Items, request).await
}

async fn its_item(
    State(proxy): State<Proxy>,
    Path((id, item)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    stored::conversations::serve(&proxy, &id, Of::Item(item), request).await
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("routes are told apart by HTTP's own methods")
}

fn about_one(method: &Method, about: About) -> MethodRouter<Proxy> {
    on(
        filter(method),
        move |State(proxy): State<Proxy>, Path(id): Path<String>, request: Request| async move {
            stored::serve(&proxy, about, &id, request).await
        },
    )
}

async fn compact(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    stored::compaction::serve(&proxy, request).await
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

async fn make_job(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    stored::jobs::create(&proxy, request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_routes_is_what_they_would_take_for_a_call_of_a_model() {
        let cases = [
            ("/v1/chat/completions", Some(Endpoint::ChatCompletions)),
            ("/chat/completions", Some(Endpoint::ChatCompletions)),
            ("/v1/responses", Some(Endpoint::Responses)),
            ("/v1/v1/chat/completions", None),
            ("/v1/chat/completions/", None),
            ("/v1/responses/resp_1", None),
            ("/openai/deployments/m/chat/completions", None),
            ("/v1", None),
        ];
        for (path, endpoint) in cases {
            assert_eq!(model_call(&Method::POST, path), endpoint, "{path}");
            assert_eq!(model_call(&Method::GET, path), None, "{path}");
        }
    }
}
