//! `/v1/realtime/client_secrets` and `/v1/realtime/calls`: conversations that a browser begins. There
//! is no sound behind a call: its model says one thing for each line of the session's instructions.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::LOCATION;
use axum::response::Response;
use axum::routing::post as on_post;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{KEYS, refuse};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::dialects::post;
use crate::exchange::{self, Keys, Mock, Refusal, Reply, Route, json_response};
use crate::failure::Failure;
use crate::fault::Fault;
use crate::form;
use crate::record::Recorded;
use crate::shelf::Thing;
use crate::wish::Wishes;

/// How long a secret is good if nothing is said, in seconds.
const SECRET_SECONDS: u64 = 600;

pub(super) fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/realtime/client_secrets", post(Secrets))
        .route("/v1/realtime/calls", on_post(call))
        .route("/v1/realtime/calls/{id}/hangup", on_post(hang_up))
}

#[derive(Clone, Copy)]
struct Secrets;

impl Route for Secrets {
    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&self, _: &Mock, request: &Recorded) -> Result<Ask, Failure> {
        let ask = Ask::json(&request.body)?;
        for name in ask.body.as_object().into_iter().flatten().map(|(name, _)| name) {
            if name != "session" && name != "expires_after" {
                return Err(Failure::bad(format!("Unknown parameter: '{name}'.")));
            }
        }
        Ok(Ask { model: model_of(&ask.body["session"]), ..ask })
    }

    fn reply(&self, mock: &Mock, ask: &Ask, answer: &Answer) -> Reply {
        let value = format!("ek_{}", answer.id);
        let mut session = ask.body["session"].clone();
        session["object"] = json!("realtime.session");
        session["id"] = json!(format!("sess_{}", answer.id));
        let seconds = ask.body["expires_after"]["seconds"].as_u64().unwrap_or(SECRET_SECONDS);
        let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        let thing = Thing { id: value.clone(), value: session.clone(), content: Bytes::new() };
        mock.shelf.put(thing);
        session["client_secret"] = json!({"value": value, "expires_at": now + seconds});
        Reply::Json(json!({"value": value, "expires_at": now + seconds, "session": session}))
    }

    fn refuse(&self, mock: &Mock, failure: &Failure) -> Refusal {
        refuse(mock, failure)
    }
}

/// The model that a session names.
fn model_of(session: &Value) -> String {
    let written = session.pointer("/audio/input/transcription/model");
    let model = session["model"].as_str().or_else(|| written?.as_str());
    model.unwrap_or_default().to_owned()
}

/// The session of the secret that a request shows, if it is one of ours.
pub(super) fn session_of_secret(mock: &Mock, request: &Recorded) -> Option<Value> {
    let secret = request.header("authorization")?.strip_prefix("Bearer ")?;
    let secret = Some(secret).filter(|secret| secret.starts_with("ek_"))?;
    Some(mock.shelf.find(secret)?.value)
}

async fn call(State(mock): State<Arc<Mock>>, request: Recorded) -> Response {
    let mut in_flight = mock.record.begin(request.clone());
    let fault = mock.plan.take();
    if fault == Fault::Hang {
        return std::future::pending().await;
    }
    let accepted = accept(&mock, &request, &fault);
    in_flight.finish();
    match accepted {
        Ok(id) => {
            let answer = Body::from("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=mock\r\n");
            let mut accepted = exchange::response(201, "application/sdp", answer);
            let place = HeaderValue::from_str(&format!("/v1/realtime/calls/{id}"));
            accepted.headers_mut().insert(LOCATION, place.expect("letters and digits"));
            accepted
        }
        Err(failure) => {
            let refusal = refuse(&mock, &failure);
            json_response(refusal.status, &refusal.body)
        }
    }
}

fn accept(mock: &Mock, request: &Recorded, fault: &Fault) -> Result<String, Failure> {
    let of_secret = session_of_secret(mock, request);
    if of_secret.is_none() {
        mock.check_key(request, &KEYS)?;
    }
    let kind = request.header("content-type").unwrap_or_default();
    let (sdp, session) = if kind.starts_with("application/sdp") {
        let model = request.parameter("model").map(|model| json!({"model": model}));
        (request.body.clone(), model)
    } else {
        let asked = form::read(request, "sdp")?;
        let session = asked.body["session"].as_str();
        (asked.file, session.and_then(|text| serde_json::from_str(text).ok()))
    };
    if !sdp.starts_with(b"v=0") {
        return Err(Failure::bad("The offer is no session description.".to_owned()));
    }
    let session = of_secret.or(session).ok_or_else(|| Failure::missing("session"))?;
    let ask = Ask { model: model_of(&session), ..Ask::default() };
    let wishes = Wishes::read(&request.headers, &Value::Null, "").map_err(Failure::bad)?;
    if let Some(failure) = exchange::refusal(mock, fault, &ask, &wishes) {
        return Err(failure);
    }
    let id = format!("rtc_{}", mock.id());
    mock.shelf.put(Thing { id: id.clone(), value: session, content: Bytes::new() });
    Ok(id)
}

async fn hang_up(State(mock): State<Arc<Mock>>, request: Recorded) -> Response {
    let mut in_flight = mock.record.begin(request.clone());
    in_flight.finish();
    let id = request.segment(3);
    if mock.shelf.remove(&id) {
        return exchange::response(200, "application/json", Body::empty());
    }
    let refusal = refuse(&mock, &Failure::absent("call", &id));
    json_response(refusal.status, &refusal.body)
}
