//! One turn: a request made of a message, and its answer made into messages.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use dunlin_llm::client::Peer;
use dunlin_llm::form::Reply;
use dunlin_llm::responses::socket::{Create, Loose, Told, error_event, tell, whole_events};
use dunlin_llm::sse::Splitter;
use dunlin_llm::{Endpoint, Extras, Stamp, Usage, parse};
use dunlin_router::candidates;
use futures::{Stream, StreamExt, stream};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};

use crate::Proxy;
use crate::chat;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::error::{Failed, Refused};
use crate::stale::Detour;

/// The longest answer that is not streamed: an error, or a response in one piece.
const MAX_WHOLE_BYTES: usize = 32 << 20;
/// What a client is told of an answer's headers beside an error.
const TOLD: [&str; 2] = ["retry-after", "retry-after-ms"];
const TOLD_PREFIX: &str = "x-ratelimit-";
/// What SDKs look for to send the whole conversation once more.
const NOT_FOUND: &str = "previous_response_not_found";

/// On whose behalf turns are asked for.
pub(super) struct Asker {
    pub(super) proxy: Proxy,
    pub(super) headers: HeaderMap,
    pub(super) uri: Uri,
    pub(super) peer: Option<Peer>,
    /// Taken when this node knows too little.
    pub(super) detour: Option<Detour>,
}

/// What becomes of a turn.
pub(super) enum Said {
    /// A message to the client.
    Event(String),
    /// The turn goes on.
    Nothing,
    /// What later turns may go on from.
    Kept(Loose),
    /// No more of this lane's turn.
    Over(Option<String>),
}

pub(super) type Turn = Pin<Box<dyn Stream<Item = Said> + Send>>;

/// Begins a turn: nothing is done before the stream is asked.
pub(super) fn begin(asker: Arc<Asker>, asked: Create) -> Turn {
    let lane = asked.lane.clone();
    let over = stream::once(std::future::ready(Said::Over(lane)));
    let answering = stream::once(async move {
        // The story of a request is a large future.
        let answered: Turn = if asked.generates {
            Box::pin(answer(&asker, asked)).await
        } else {
            warm(&asker, asked).await
        };
        answered
    });
    answering.flatten().chain(over).boxed()
}

/// A turn that is refused before it is one.
pub(super) fn refused(status: u16, (param, message): (&str, String), lane: Option<&str>) -> Said {
    let error = json!({"type": "invalid_request_error", "code": "invalid_value",
        "message": message, "param": param});
    Said::Event(error_event(status, error, Map::new(), lane))
}

/// Asks as any client asks, and tells what comes.
async fn answer(asker: &Asker, asked: Create) -> Turn {
    let has_previous = dunlin_llm::responses::socket::previous(&asked.body).is_some();
    let response = send(asker, asked.body.clone()).await;
    let (head, body) = response.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_vec());
    if head.status.is_success() && kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
        return events(body, asked);
    }
    let lane = asked.lane.as_deref();
    let body = http_body_util::Limited::new(body, MAX_WHOLE_BYTES).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if head.status.is_success() {
        let kept = Loose::of(&asked.body, &body, true).map(Said::Kept);
        let events = whole_events(&body, lane).into_iter().map(Said::Event);
        return stream::iter(kept.into_iter().chain(events).collect::<Vec<_>>()).boxed();
    }
    let event = failure(head.status, &head.headers, &body, has_previous, lane);
    stream::iter([Said::Event(event)]).boxed()
}

/// The answer to a turn's request: this node's, or that of one which knows more.
async fn send(asker: &Asker, body: Bytes) -> Response<Body> {
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = asker.uri.clone();
    *request.headers_mut() = asker.headers.clone();
    if let Some(peer) = asker.peer {
        request.extensions_mut().insert(peer);
    }
    if let Some(detour) = &asker.detour {
        request = match detour.around(request).await {
            Ok(request) => request,
            Err(elsewhere) => return elsewhere,
        };
    }
    chat::serve(&asker.proxy, Endpoint::Responses, None, request).await
}

fn failure(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    has_previous: bool,
    lane: Option<&str>,
) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut error = body["error"].clone();
    if !error.is_object() {
        error = json!({"type": "api_error", "message": "the answer cannot be read"});
    }
    let mut status = status.as_u16();
    if has_previous && status == 404 {
        status = 400;
        error["code"] = NOT_FOUND.into();
        error["param"] = "previous_response_id".into();
    }
    let is_told = |name: &str| TOLD.contains(&name) || name.starts_with(TOLD_PREFIX);
    let told = headers.iter().filter(|(name, _)| is_told(name.as_str()));
    let told = told.filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?)))
    });
    error_event(status, error, told.collect(), lane)
}

/// The frames of a stream, one by one.
fn events(body: Body, asked: Create) -> Turn {
    let splitter = Splitter::with_frames_of(dunlin_providers::MAX_EVENT_BYTES);
    let pieces = body.into_data_stream();
    let reading = Reading { pieces, splitter, asked, failed: false };
    stream::unfold(reading, next).flat_map(stream::iter).boxed()
}

struct Reading {
    pieces: axum::body::BodyDataStream,
    splitter: Splitter,
    asked: Create,
    failed: bool,
}

/// What the next piece of a stream says.
async fn next(mut reading: Reading) -> Option<(Vec<Said>, Reading)> {
    if reading.failed {
        return None;
    }
    let piece = reading.pieces.next().await?;
    let mut said = Vec::new();
    // A stream that broke has ended in an event that says so.
    let Ok(piece) = piece else { return None };
    reading.splitter.push(piece);
    loop {
        match reading.splitter.next_frame() {
            Ok(Some(frame)) => said.extend(told(frame, &reading.asked)),
            Ok(None) => return Some((said, reading)),
            Err(too_long) => {
                let error = json!({"type": "server_error", "message": too_long.to_string()});
                let lane = reading.asked.lane.as_deref();
                said.push(Said::Event(error_event(502, error, Map::new(), lane)));
                reading.failed = true;
                return Some((said, reading));
            }
        }
    }
}

fn told(frame: Bytes, asked: &Create) -> Vec<Said> {
    match tell(frame, asked.lane.as_deref()) {
        Told::Event(event) => vec![Said::Event(event)],
        Told::End(event, response) => {
            // Kept before the client hears of it: its next turn may come at once.
            let kept = Loose::of(&asked.body, &response, true).map(Said::Kept);
            kept.into_iter().chain([Said::Event(event)]).collect()
        }
        Told::Nothing => vec![Said::Nothing],
    }
}

/// A turn that asks for no answer: it is checked, and its input is there for the next one.
async fn warm(asker: &Asker, asked: Create) -> Turn {
    let call = Call::of_headers(&asker.proxy, Endpoint::Responses, &asker.headers);
    let lane = asked.lane.as_deref();
    let said = match warmed(asker, &call, &asked.body).await {
        Ok(response) => {
            let kept = Loose::of(&asked.body, &response, false).map(Said::Kept);
            let events = whole_events(&response, lane).into_iter().map(Said::Event);
            kept.into_iter().chain(events).collect()
        }
        Err(refused) => {
            let response = Failed::from(refused).response(&call);
            let (head, body) = response.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes);
            let body = body.unwrap_or_default();
            vec![Said::Event(failure(head.status, &head.headers, &body, false, lane))]
        }
    };
    stream::iter(said).boxed()
}

async fn warmed(asker: &Asker, call: &Call, body: &Bytes) -> Result<Bytes, Refused> {
    let serving = asker.proxy.0.serving.load_full();
    let caller = Caller::identify(&asker.proxy, &serving, &asker.headers, &asker.uri).await?;
    let chat = parse(Endpoint::Responses, body.clone(), None).map_err(Refused::BadRequest)?;
    let wishes = Extras::default();
    let found = candidates(&serving.catalog, caller.access(), chat.model(), &wishes);
    found.map_err(|no_route| Refused::no_route(no_route, Endpoint::Responses, &caller))?;
    let nothing = Reply { usage: Some(Usage::default()), ..Reply::default() };
    let stamp: Stamp<'_> = call.stamp(chat.model(), &chat);
    Ok(Endpoint::Responses.write_reply(&nothing, stamp))
}
