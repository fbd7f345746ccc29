//! POST /v1/realtime/client_secrets: a secret for a browser. The provider makes one that knows the
//! session; what goes out is one of ours that holds it, so that nobody gets past the gateway.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use bytes::Bytes;
use dunlin_llm::realtime::Session;
use dunlin_llm::{BadRequest, Endpoint, check_object};
use dunlin_providers::ProviderError;
use dunlin_router::{Deployment, served};
use dunlin_types::{Tokens, UnixMillis};
use serde_json::{Map, Value, json};

use super::speakers;
use super::transcripts::writers;
use crate::Proxy;
use crate::attempts::hold;
use crate::realtime;
use crate::request::call::Call;
use crate::request::pass::Pass;
use crate::request::posted::Posted;
use crate::response::error::{Failed, Refused};
use crate::response::headers;
use crate::stored::answer::Whole;
use crate::stored::send;

const ROUTE: &str = "/realtime/client_secrets";
/// Where a session names the model that answers, and where one that only writes down what it hears.
const MODELS: [&str; 2] = ["/model", "/audio/input/transcription/model"];
/// How long a secret is good of which its provider does not say so: as long as OpenAI's.
const LIFETIME: Duration = Duration::from_secs(600);
/// No secret is good for longer.
const MAX_LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);
/// For the gateway.
const OURS: [&str; 3] = ["metadata", "litellm_metadata", "tags"];

/// Answers one request for a secret.
pub(crate) async fn create(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    let call = Call::begin(&proxy, Endpoint::ChatCompletions, &request).named(realtime::CALL_TYPE);
    let answered = conduct(&proxy, &call, request).await;
    call.answer(&proxy, answered)
}

async fn conduct(proxy: &Proxy, call: &Call, request: Request) -> Result<Response<Body>, Failed> {
    let posted = Posted::read(proxy, call, request).await?;
    let (asking, caller) = (posted.asking(proxy, call), &posted.caller);
    let Wanted { mut body, model, place } = Wanted::read(&posted.body)?;
    let group = speakers(&posted.serving, caller, None, &model)?;
    let transcription = Session::of(&body["session"]).transcription;
    let beside = transcription.as_ref().filter(|_| place == MODELS[0]);
    let group = writers(&posted.serving, caller, group, beside)?;

    // What is said with it will cost something.
    let costs = group.deployments.iter().map(|by| hold::unknown(&by.price));
    let cost = costs.reduce(hold::larger).unwrap_or_default();
    let (bill, told) =
        asking.admit(served(&posted.serving.catalog, &group), Tokens(0), cost).await?;
    let attempt = asking.first_attempt(&bill, &group, Tokens(0))?;
    let by = attempt.deployment().clone();
    if let Some(named) = body["session"].pointer_mut(place) {
        *named = json!(by.target.sent_model());
    }
    let writer = Session::of(&body["session"]).transcription;
    let asked = send(ROUTE, "application/json", Bytes::from(body.to_string()))?;
    let answer = asking.send(attempt, asked, (bill, told)).await?;
    let Whole { told, bill, body } = answer.whole().await?;
    let Some(Granted { mut answer, secret, ends }) = Granted::read(&body, call.started) else {
        return Err(bill.fail(Refused::Answered(Box::new(no_secret(&by)))));
    };
    bill.delivered_free();
    let pass = Pass::new(caller, (&by.id, &model), &secret, ends).written_by(writer);
    let (secret, ends) = (json!(pass.seal(&proxy.0.ids)), json!(ends.0 / 1000));
    // The provider's may stand in its session too.
    if let Some(inner) = answer.pointer_mut("/session/client_secret") {
        *inner = json!({"value": secret, "expires_at": ends});
    }
    answer["value"] = secret;
    answer["expires_at"] = ends;
    if let Some(named) = answer["session"].pointer_mut(place) {
        *named = json!(model);
    }
    Ok(headers::json(told, Bytes::from(answer.to_string())))
}

/// A request for a secret.
struct Wanted {
    body: Value,
    /// The model, by our name, and where the session names it.
    model: String,
    place: &'static str,
}

impl Wanted {
    fn read(body: &Bytes) -> Result<Self, Refused> {
        check_object(body).map_err(Refused::BadRequest)?;
        let mut body: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        OURS.iter().for_each(|name| drop(body.remove(*name)));
        // LiteLLM's clients may name it beside the session.
        let beside = body.remove("model");
        let session = body.entry("session").or_insert_with(|| json!({"type": "realtime"}));
        if !session.is_object() {
            let name = "session".to_owned();
            let wrong = BadRequest::Invalid { route: ROUTE, name, expected: "an object" };
            return Err(Refused::BadRequest(wrong));
        }
        let is_named = |place: &&str| session.pointer(place).is_some_and(|named| !named.is_null());
        let place = if session["type"] == "transcription" { MODELS[1] } else { MODELS[0] };
        let place = Some(place).filter(is_named).unwrap_or(MODELS[0]);
        if let (false, Some(model)) = (is_named(&place), beside) {
            session["model"] = model;
        }
        let model = session.pointer(place).and_then(Value::as_str).map(str::to_owned);
        let name = "session.model";
        let model = model.ok_or(Refused::BadRequest(BadRequest::Missing { route: ROUTE, name }))?;
        Ok(Self { body: Value::Object(body), model, place })
    }
}

/// A provider's answer, the secret in it, and when that ends.
struct Granted {
    answer: Value,
    secret: String,
    ends: UnixMillis,
}

impl Granted {
    fn read(body: &Bytes, now: UnixMillis) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let secret = answer["value"].as_str().filter(|secret| !secret.is_empty())?.to_owned();
        let after = |wait: Duration| now.0.saturating_add(wait.as_millis().try_into().unwrap_or(0));
        let ends = answer["expires_at"].as_u64().map(|ends| ends.saturating_mul(1000));
        let ends = ends.unwrap_or(after(LIFETIME)).min(after(MAX_LIFETIME));
        Some(Self { answer, secret, ends: UnixMillis(ends) })
    }
}

fn no_secret(by: &Deployment) -> ProviderError {
    let speaker = dunlin_providers::find(&by.provider).map_or("", |known| known.speaker());
    ProviderError::lacking(speaker, "the provider's answer has no client secret in `value`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_names_its_model_in_its_own_way() {
        let cases = [
            (r#"{"session":{"type":"realtime","model":"talk"}}"#, Some(("talk", "/model"))),
            (r#"{"model":"talk"}"#, Some(("talk", "/model"))),
            (r#"{"model":"talk","session":{"voice":"x"}}"#, Some(("talk", "/model"))),
            (
                r#"{"session":{"type":"transcription","audio":{"input":{"transcription":{"model":"w"}}}}}"#,
                Some(("w", "/audio/input/transcription/model")),
            ),
            (
                r#"{"session":{"model":"talk","audio":{"input":{"transcription":{"model":"w"}}}}}"#,
                Some(("talk", "/model")),
            ),
            (r#"{"session":{"type":"realtime"}}"#, None),
            (r#"{"session":{"model":7}}"#, None),
            (r#"{"session":"talk","model":"talk"}"#, None),
            ("[]", None),
            ("{", None),
        ];
        for (body, expected) in cases {
            let wanted = Wanted::read(&Bytes::from(body)).ok();
            let read = wanted.as_ref().map(|wanted| (&*wanted.model, wanted.place));
            assert_eq!(read, expected, "{body}");
        }
        let wanted =
            Wanted::read(&Bytes::from(r#"{"model":"talk","tags":["a"],"expires_after":{}}"#));
        let Ok(wanted) = wanted else { panic!("it is one") };
        assert_eq!(
            wanted.body,
            json!({"expires_after": {}, "session": {"type": "realtime", "model": "talk"}})
        );
    }

    #[test]
    fn a_secret_ends_when_its_provider_says_so_and_within_two_hours() {
        let now = UnixMillis(1_000_000);
        let ends = |body: &str| Some(Granted::read(&Bytes::from(body.to_owned()), now)?.ends.0);
        assert_eq!(ends(r#"{"value":"ek_1","expires_at":1300}"#), Some(1_300_000));
        assert_eq!(ends(r#"{"value":"ek_1"}"#), Some(1_600_000));
        assert_eq!(ends(r#"{"value":"ek_1","expires_at":99999999999999999}"#), Some(8_200_000));
        assert_eq!((ends(r#"{"value":""}"#), ends(r#"{"client_secret":{}}"#)), (None, None));
    }
}
