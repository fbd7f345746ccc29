//! The routes, and what they answer in health and in sickness.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::record::{InFlight, Record, Recorded};
use crate::server::Plan;
use crate::settings::{Fault, Settings};
use crate::stream;
use crate::text::{Kind, Writer};

/// As much as a gateway accepts from its clients.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// What all connections share.
pub(crate) struct Mock {
    pub(crate) settings: Settings,
    /// Tells the answers of several mocks apart.
    port: u16,
    pub(crate) plan: Plan,
    pub(crate) record: Arc<Record>,
    served: AtomicU64,
}

impl Mock {
    pub(crate) fn new(settings: Settings, port: u16) -> Self {
        let (plan, record) = (Plan::default(), Arc::default());
        Self { settings, port, plan, record, served: AtomicU64::new(0) }
    }

    /// The wait before the first byte of an answer.
    fn wait(&self, number: u64) -> Duration {
        let varied = 1.0 + self.settings.jitter * (2.0 * share(self.settings.seed, number) - 1.0);
        self.settings.first_byte.mul_f64(varied.max(0.0))
    }

    /// The wait between two tokens.
    fn gap(&self) -> Option<Duration> {
        self.settings.tokens_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate))
    }

    fn has(&self, model: &str) -> bool {
        self.settings.models.as_ref().is_none_or(|models| models.iter().any(|m| m == model))
    }
}

pub(crate) fn router(mock: Arc<Mock>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completion))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/models", get(models))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(mock)
}

/// The parts of a request that change the answer.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    #[serde(default)]
    upstream_delay_ms: u64,
    upstream_tokens: Option<u32>,
    upstream_status: Option<u16>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

async fn chat(
    State(mock): State<Arc<Mock>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&mock, Kind::Chat, Recorded { path: uri.path().to_owned(), headers, body }).await
}

async fn completion(
    State(mock): State<Arc<Mock>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&mock, Kind::Completion, Recorded { path: uri.path().to_owned(), headers, body }).await
}

async fn embeddings(
    State(mock): State<Arc<Mock>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&mock, Kind::Embedding, Recorded { path: uri.path().to_owned(), headers, body }).await
}

async fn answer(mock: &Mock, kind: Kind, request: Recorded) -> Response {
    let body = request.body.clone();
    let mut in_flight = mock.record.begin(request);
    let fault = mock.plan.take();
    let asked: Asked<'_> = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            in_flight.finish();
            return refusal(400, "invalid_request_error", &error.to_string());
        }
    };
    if fault == Fault::Hang {
        return std::future::pending().await;
    }
    let slow = if let Fault::SlowFirstToken(more) = fault { more } else { Duration::ZERO };
    let number = mock.served.fetch_add(1, Ordering::Relaxed);
    let wait = mock.wait(number) + slow + Duration::from_millis(asked.upstream_delay_ms);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if let Some(refusal) = refused(mock, &fault, &asked) {
        in_flight.finish();
        return refusal;
    }
    let tokens = asked.upstream_tokens.unwrap_or(mock.settings.tokens);
    let writer = Writer {
        kind,
        id: format!("mock-{}-{number}", mock.port),
        model: &asked.model,
        prompt_tokens: body.len() as u64 / 4,
        tokens: asked.max_tokens.map_or(tokens, |max| tokens.min(max)),
        filler: if let Fault::HugeReply(bytes) = fault { bytes } else { 0 },
    };
    if asked.stream && kind != Kind::Embedding {
        let wanted = asked.stream_options.and_then(|options| options.include_usage);
        let usage = wanted == Some(true) && fault != Fault::MissingUsage;
        let body = stream::body(mock.gap(), &fault, &writer, usage, in_flight);
        response(200, "text/event-stream; charset=utf-8", body)
    } else {
        if let Some(gap) = mock.gap().filter(|_| kind != Kind::Embedding) {
            tokio::time::sleep(gap * writer.tokens).await;
        }
        whole(&fault, &writer, in_flight)
    }
}

fn refused(mock: &Mock, fault: &Fault, asked: &Asked<'_>) -> Option<Response> {
    if let Some(code) = asked.upstream_status {
        return Some(refusal(code, "mock_error", "the request asked for this status"));
    }
    if let Fault::Status { code, retry_after } = *fault {
        let mut response = refusal(code, "mock_error", "the mock was told to fail");
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        return Some(response);
    }
    if *fault == Fault::Loading {
        return Some(loading());
    }
    (*fault == Fault::WrongName || !mock.has(&asked.model)).then(|| {
        let message = format!("The model `{}` does not exist.", asked.model);
        refusal(404, "NotFoundError", &message)
    })
}

fn whole(fault: &Fault, writer: &Writer<'_>, mut in_flight: InFlight) -> Response {
    let mut body = Bytes::from(writer.whole(*fault != Fault::MissingUsage));
    if let Fault::ResetMidStream(_) = fault {
        let broken = futures::stream::iter([
            Ok(body.split_to(body.len() / 2)),
            Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        ]);
        return response(200, "application/json", Body::from_stream(broken));
    }
    if *fault == Fault::TruncatedJson {
        body.truncate(body.len() / 2);
    }
    in_flight.finish();
    response(200, "application/json", body.into())
}

async fn models(State(mock): State<Arc<Mock>>) -> Response {
    if let Some(sick) = ill(&mock.plan.current()).await {
        return sick;
    }
    let names = mock.settings.models.clone().unwrap_or_else(|| vec!["mock".to_owned()]);
    let data: Vec<_> = names
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 0, "owned_by": "mock"}))
        .collect();
    json_response(200, &json!({"object": "list", "data": data}))
}

async fn health(State(mock): State<Arc<Mock>>) -> Response {
    match ill(&mock.plan.current()).await {
        Some(sick) => sick,
        None => json_response(200, &json!({"status": "ok"})),
    }
}

/// What a fault does to the routes that only look.
async fn ill(fault: &Fault) -> Option<Response> {
    if *fault == Fault::Hang {
        return std::future::pending().await;
    }
    (*fault == Fault::Loading).then(loading)
}

fn loading() -> Response {
    refusal(503, "unavailable_error", "Loading model")
}

fn refusal(code: u16, kind: &str, message: &str) -> Response {
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    json_response(code, &json!({ "error": error }))
}

fn json_response(code: u16, body: &serde_json::Value) -> Response {
    response(code, "application/json", body.to_string().into())
}

fn response(code: u16, content_type: &'static str, body: Body) -> Response {
    let status = StatusCode::from_u16(code).expect("faults name real statuses");
    let built = Response::builder().status(status).header(CONTENT_TYPE, content_type).body(body);
    built.expect("a status and a constant header make a response")
}

/// A share from 0 to 1 that depends on nothing else.
#[expect(clippy::cast_precision_loss, reason = "a wait need not be exact to 53 bits")]
fn share(seed: u64, number: u64) -> f64 {
    // splitmix64
    let mut x = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as f64 / u64::MAX as f64
}
