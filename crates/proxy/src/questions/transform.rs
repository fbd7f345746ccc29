//! `/utils/transform_request`: what a request would be upstream, in LiteLLM's words. Nobody is asked,
//! nothing is charged, and credentials are not shown.

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;
use bytes::Bytes;
use dunlin_llm::{Endpoint, parse};
use dunlin_router::Deployment;
use dunlin_types::{Credential, Secret, Source};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::Proxy;
use crate::questions::question::{Question, answer, refusal};
use crate::response::error::{Failed, Refused};

/// LiteLLM's names for what is asked; each also with an `a` before it.
const CALLS: &[(&str, Endpoint)] = &[
    ("anthropic_messages", Endpoint::Messages),
    ("completion", Endpoint::ChatCompletions),
    ("embedding", Endpoint::Embeddings),
    ("image_generation", Endpoint::ImageGenerations),
    ("moderation", Endpoint::Moderations),
    ("rerank", Endpoint::Rerank),
    ("responses", Endpoint::Responses),
    ("speech", Endpoint::Speech),
    ("text_completion", Endpoint::Completions),
];
const HIDDEN: &str = "****";

#[derive(Deserialize)]
#[serde(expecting = "an object with `call_type` and `request_body`")]
struct TransformBody<'a> {
    call_type: String,
    #[serde(borrow)]
    request_body: &'a RawValue,
}

/// POST /utils/transform_request
pub(crate) async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    answer(proxy, request, conduct).await
}

async fn conduct(proxy: Proxy, asked: Question) -> Result<Response<Body>, Failed> {
    let Question { serving, caller, body } = asked;
    let asked: TransformBody<'_> = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return Ok(refusal(&format!("the body is not a request to show: {error}"))),
    };
    let Some(endpoint) = endpoint(&asked.call_type) else {
        let known: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
        let (asked, known) = (&asked.call_type, known.join(", "));
        return Ok(refusal(&format!("`call_type` '{asked}' is none of {known}")));
    };
    let inner = Bytes::copy_from_slice(asked.request_body.get().as_bytes());
    let chat = parse(endpoint, inner, None).map_err(Refused::BadRequest)?;
    let group = dunlin_router::group(&serving.catalog, caller.access(), chat.model())
        .map_err(|no_route| Refused::no_route(no_route, endpoint, &caller))?;
    let shown = match group.deployments.first() {
        Some(first) => show(first, &chat, proxy.0.clock.unix()),
        None => Err(format!("the model '{}' has no deployment", group.name)),
    };
    let none = |error| {
        let (url, body, headers) = (Value::Null, Value::Null, Value::Null);
        json!({"raw_request_api_base": url, "raw_request_body": body,
            "raw_request_headers": headers, "error": error})
    };
    Ok(Json(shown.unwrap_or_else(none)).into_response())
}

fn endpoint(name: &str) -> Option<Endpoint> {
    let of = |name: &str| CALLS.iter().find(|(known, _)| *known == name).map(|(_, is)| *is);
    of(name).or_else(|| of(name.strip_prefix('a')?))
}

/// What would be sent to `to`, or why nothing could be.
fn show(
    to: &Deployment,
    chat: &dunlin_llm::ChatRequest,
    now: dunlin_types::UnixMillis,
) -> Result<Value, String> {
    let provider = dunlin_providers::find(&to.provider)
        .ok_or_else(|| format!("the provider '{}' is not served", to.provider))?;
    let call = provider.encode(chat, &to.target, &hidden(to), now);
    let call = call.map_err(|error| error.at(chat.endpoint()).to_string())?;
    let body = serde_json::from_slice(call.body()).unwrap_or(Value::Null);
    let url = call.uri().to_string();
    Ok(json!({"raw_request_api_base": url, "raw_request_body": body,
        "raw_request_headers": headers(call.headers()), "error": null}))
}

/// A credential of the deployment's kind that says nothing.
fn hidden(to: &Deployment) -> Credential {
    let nothing = || Secret::new(HIDDEN);
    match (&to.target.api_key, &to.target.identity) {
        (Some(_), _) => Credential::Key(nothing()),
        (None, Some(Source::Aws(_))) => Credential::Aws {
            access_key_id: HIDDEN.to_owned(),
            secret_access_key: nothing(),
            session_token: None,
        },
        (None, Some(Source::Azure(_) | Source::Google(_))) => Credential::Token(nothing()),
        (None, None) => Credential::None,
    }
}

fn headers(sent: &HeaderMap) -> Value {
    let shown = sent.iter().map(|(name, value)| {
        let text = if value.is_sensitive() { HIDDEN } else { value.to_str().unwrap_or(HIDDEN) };
        (name.to_string(), json!(text))
    });
    Value::Object(shown.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litellms_names_are_known_in_both_their_forms() {
        for (name, expected) in [
            ("completion", Some(Endpoint::ChatCompletions)),
            ("acompletion", Some(Endpoint::ChatCompletions)),
            ("anthropic_messages", Some(Endpoint::Messages)),
            ("atext_completion", Some(Endpoint::Completions)),
            ("nthropic_messages", None),
            ("aacompletion", None),
            ("", None),
        ] {
            assert_eq!(endpoint(name), expected, "{name}");
        }
    }
}
