//! `langfuse`: a trace and a generation for each request, by Langfuse's public ingestion API. Ids of
//! events come from the request's, so that what is posted twice is there once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dunlin_config::Langfuse;
use dunlin_types::UnixMillis;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::asked::{REDACTED, Talk};
use crate::event::Event;
use crate::payload::metadata;
use crate::post::{Post, sensitive};

/// The request that tells `events`.
pub(crate) fn post(to: &Langfuse, events: &[&Event], messages: bool) -> Post {
    let batch: Vec<Value> = events.iter().flat_map(|event| both(to, event, messages)).collect();
    let body = json!({
        "batch": batch,
        "metadata": {
            "sdk_name": "dunlin",
            "sdk_version": env!("CARGO_PKG_VERSION"),
            "public_key": to.public_key,
            "batch_size": batch.len(),
        },
    });
    let login = STANDARD.encode(format!("{}:{}", to.public_key, to.secret_key.expose()));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, sensitive(&format!("Basic {login}")));
    let body = Bytes::from(body.to_string());
    Post { to: to.endpoint.clone(), headers, body, count: events.len() }
}

/// What a request's metadata says for Langfuse, in LiteLLM's words.
struct Wishes(Map<String, Value>);

impl Wishes {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str) -> bool {
        let value = self.0.get(name);
        value.is_some_and(|value| value == &Value::Bool(true) || value == "true" || value == "True")
    }
}

fn both(to: &Langfuse, event: &Event, messages: bool) -> [Value; 2] {
    let record = &*event.record;
    let wishes = Wishes(event.metadata());
    let talk = Talk::of(event, messages);
    let mask = |wish: &str, value: Value| {
        if wishes.flag(wish) && !value.is_null() { Value::from(REDACTED) } else { value }
    };
    let parameters = talk.parameters;
    let input = mask("mask_input", input(talk.messages, &parameters));
    let output = mask("mask_output", output(event, talk.response));
    let known = wishes.text("existing_trace_id");
    let trace = known.or(wishes.text("trace_id")).unwrap_or(&record.call_id).to_owned();
    let generation = generation(event, &wishes, (&trace, &input, &output), parameters, to);
    // A trace that is somebody else's is only named, not described.
    let described = if known.is_some() {
        json!({"id": trace})
    } else {
        let trace_metadata = wishes.0.get("trace_metadata").cloned();
        let user = wishes.text("trace_user_id").or(record.origin.end_user.as_deref());
        json!({
            "id": trace,
            "timestamp": iso(record.started),
            "name": wishes.text("trace_name").unwrap_or(&record.course.call_type),
            "userId": user.or(event.user().filter(|_| !event.hides_caller)),
            "sessionId": wishes.text("session_id").or(record.origin.session.as_deref()),
            "input": input,
            "output": output,
            "metadata": trace_metadata.unwrap_or_else(|| described(event, &wishes)),
            "tags": record.origin.tags,
            "version": wishes.text("trace_version"),
            "release": wishes.text("trace_release").or(to.release.as_deref()),
            "environment": to.environment,
        })
    };
    let told = |kind: &str, part: &str, body: Value| {
        json!({
            "id": format!("{}-{part}", record.request),
            "timestamp": iso(record.ended),
            "type": kind,
            "body": without_nulls(body),
        })
    };
    [told("trace-create", "trace", described), told("generation-create", "generation", generation)]
}

fn generation(
    event: &Event,
    wishes: &Wishes,
    (trace, input, output): (&str, &Value, &Value),
    parameters: Map<String, Value>,
    to: &Langfuse,
) -> Value {
    let record = &*event.record;
    let fresh = record.prompt.0.saturating_sub(record.cached.0 + record.kinds.cache_write.0);
    json!({
        "id": wishes.text("generation_id").unwrap_or(&record.call_id),
        "traceId": trace,
        "parentObservationId": wishes.text("parent_observation_id"),
        "name": wishes.text("generation_name").unwrap_or(&format!("litellm-{}", record.course.call_type)),
        "startTime": iso(record.started),
        "endTime": iso(record.ended),
        "completionStartTime": record.course.first_token.map(iso),
        "model": event.model(),
        "modelParameters": plain(parameters),
        "input": input,
        "output": output,
        "usage": {
            "input": record.prompt.0,
            "output": record.completion.0,
            "total": (record.prompt + record.completion).0,
            "unit": "TOKENS",
            "totalCost": record.cost.as_usd(),
        },
        "usageDetails": {
            "input": fresh,
            "output": record.completion.0,
            "total": (record.prompt + record.completion).0,
            "cache_read_input_tokens": record.cached.0,
            "cache_creation_input_tokens": record.kinds.cache_write.0,
        },
        "costDetails": {"total": record.cost.as_usd()},
        "metadata": described(event, wishes),
        "level": if event.failed() { "ERROR" } else { "DEFAULT" },
        "statusMessage": record.fault.as_ref().map(|fault| &fault.message),
        "version": wishes.text("version"),
        "environment": to.environment,
    })
}

/// Tools belong to what is asked.
fn input(messages: Value, parameters: &Map<String, Value>) -> Value {
    let tools = parameters.get("tools").filter(|_| messages.is_array());
    match tools {
        Some(tools) => json!({"messages": messages, "tools": tools}),
        None if messages.is_array() => json!({ "messages": messages }),
        None => messages,
    }
}

/// The message of an answer that is a chat's with one choice.
fn output(event: &Event, response: Value) -> Value {
    if let (true, Some(fault)) = (event.failed(), &event.record.fault) {
        return Value::from(fault.message.as_str());
    }
    let choices = response.get("choices").and_then(Value::as_array);
    match choices.map(Vec::as_slice) {
        Some([one]) if one.get("message").is_some() => one["message"].clone(),
        Some([one]) if one.get("text").is_some() => one["text"].clone(),
        _ => response,
    }
}

fn described(event: &Event, wishes: &Wishes) -> Value {
    let record = &*event.record;
    let mut told = metadata(event, wishes.0.clone());
    told.insert("litellm_call_id".to_owned(), record.call_id.as_str().into());
    told.insert("model_group".to_owned(), record.course.group.as_deref().into());
    told.insert("api_base".to_owned(), event.names.api_base.as_deref().into());
    told.insert("cache_hit".to_owned(), false.into());
    told.insert("response_cost".to_owned(), record.cost.as_usd().into());
    Value::Object(told)
}

/// Langfuse takes texts, numbers and flags as parameters; tools stand with the input.
fn plain(parameters: Map<String, Value>) -> Value {
    let plain = parameters.into_iter().filter(|(name, _)| name != "tools");
    let plain = plain.map(|(name, value)| match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => (name, value),
        Value::Null | Value::Array(_) | Value::Object(_) => (name, value.to_string().into()),
    });
    Value::Object(plain.collect())
}

fn without_nulls(mut body: Value) -> Value {
    if let Value::Object(fields) = &mut body {
        fields.retain(|_, value| !value.is_null());
    }
    body
}

/// What an answer, a 207, says was not taken. A trace or a generation that is missing is a record that
/// is.
pub(crate) fn rejected(answer: &[u8]) -> Option<(usize, String)> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let errors = answer.get("errors")?.as_array().filter(|errors| !errors.is_empty())?;
    let request = |error: &Value| {
        let id = error.get("id").and_then(Value::as_str).unwrap_or_default();
        id.rsplit_once('-').map_or(id, |(request, _)| request).to_owned()
    };
    let mut requests: Vec<String> = errors.iter().map(request).collect();
    requests.sort_unstable();
    requests.dedup();
    let first = &errors[0];
    let why = ["message", "error"].iter().find_map(|name| first.get(*name)?.as_str());
    let status = first.get("status").map(Value::to_string).unwrap_or_default();
    Some((requests.len(), format!("{status} {}", why.unwrap_or("it gave no reason"))))
}

fn iso(at: UnixMillis) -> String {
    let at = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", at.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use dunlin_types::Secret;

    use super::*;
    use crate::samples;

    fn project() -> Langfuse {
        Langfuse {
            endpoint: "https://l.example/api/public/ingestion".parse().expect("an address"),
            public_key: "pk-lf-1".into(),
            secret_key: Secret::new("sk-lf-1"),
            environment: Some("staging".into()),
            release: None,
        }
    }

    fn batch(event: &Event, messages: bool) -> Value {
        let post = post(&project(), &[event], messages);
        // `pk-lf-1:sk-lf-1`, as RFC 7617 has it.
        assert_eq!(post.headers[AUTHORIZATION], "Basic cGstbGYtMTpzay1sZi0x");
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        body["batch"].clone()
    }

    #[test]
    fn a_request_is_a_trace_and_a_generation_in_it() {
        let told = batch(&samples::answered(), true);
        for (at, value) in [
            ("/0/type", json!("trace-create")),
            ("/0/timestamp", json!("2026-09-21T14:13:20.900Z")),
            ("/0/body/id", json!("my-trace")),
            ("/0/body/userId", json!("ann@x")),
            ("/0/body/sessionId", json!("a-session")),
            ("/0/body/tags", json!(["a"])),
            ("/0/body/environment", json!("staging")),
            ("/0/body/input/messages/0/content", json!("Hi")),
            ("/0/body/output/content", json!("Hello")),
            ("/1/type", json!("generation-create")),
            ("/1/body/traceId", json!("my-trace")),
            ("/1/body/id", json!("call-1")),
            ("/1/body/name", json!("greeting")),
            ("/1/body/model", json!("gpt-4o-mini")),
            ("/1/body/modelParameters", json!({"temperature": 0.5, "max_tokens": 9})),
            ("/1/body/startTime", json!("2026-09-21T14:13:20.000Z")),
            ("/1/body/completionStartTime", json!("2026-09-21T14:13:20.250Z")),
            ("/1/body/usage/total", json!(30)),
            ("/1/body/usageDetails/input", json!(6)),
            ("/1/body/costDetails/total", json!(0.000_45)),
            ("/1/body/level", json!("DEFAULT")),
            ("/1/body/metadata/user_api_key_alias", json!("ci")),
        ] {
            assert_eq!(told.pointer(at), Some(&value), "{at}: {told:#}");
        }
        let again = batch(&samples::answered(), true);
        assert_eq!(told[0]["id"], again[0]["id"], "what is posted twice is there once");
        assert_ne!(told[0]["id"], told[1]["id"]);
    }

    #[test]
    fn a_failure_is_an_error_and_words_that_may_not_be_told_are_not() {
        let failed = batch(&samples::failed(), true);
        assert_eq!(failed[1]["body"]["level"], "ERROR");
        assert_eq!(failed[1]["body"]["statusMessage"], "slow down");
        let redacted = batch(&samples::answered(), false).to_string();
        assert!(redacted.contains(REDACTED) && !redacted.contains("Hello"), "{redacted}");
        let hidden = Event { hides_caller: true, ..samples::answered() };
        assert!(!batch(&hidden, true).to_string().contains("user_api_key"));
    }

    #[test]
    fn what_langfuse_does_not_take_is_counted_by_requests() {
        let answer = br#"{"successes":[{"id":"a-trace","status":201}],"errors":[
            {"id":"b-trace","status":400,"message":"Invalid request data"},
            {"id":"b-generation","status":400,"message":"Invalid request data"},
            {"id":"c-generation","status":400}]}"#;
        assert_eq!(rejected(answer), Some((2, "400 Invalid request data".to_owned())));
        assert_eq!(rejected(br#"{"successes":[],"errors":[]}"#), None);
        assert_eq!(rejected(b""), None);
    }
}
