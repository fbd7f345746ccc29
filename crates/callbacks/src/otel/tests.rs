//! Spans as a collector gets them.

use std::io::Read as _;

use dunlin_types::Secret;

use super::*;
use crate::samples;

fn collector() -> Otel {
    Otel {
        endpoint: "http://collector:4318/v1/traces".parse().expect("an address"),
        headers: vec![("authorization".parse().expect("a name"), Secret::new("Bearer x"))],
        service: "gateway".into(),
        environment: Some("staging".into()),
    }
}

fn told(event: &Event, messages: bool) -> Value {
    let post = post(&collector(), &[event], messages);
    assert_eq!(post.headers["authorization"], "Bearer x");
    let mut text = String::new();
    let is_small = post.headers.get(CONTENT_ENCODING).is_none();
    assert!(!is_small, "a span has more than a kilobyte");
    flate2::read::GzDecoder::new(&post.body[..]).read_to_string(&mut text).expect("gzip");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(body["resourceSpans"][0]["resource"]["attributes"][0]["key"], "service.name");
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][0].clone()
}

fn attribute(span: &Value, name: &str) -> Option<Value> {
    let all = span["attributes"].as_array().expect("a list");
    let found = all.iter().find(|one| one["key"] == name)?;
    let (_, value) = found["value"].as_object()?.iter().next()?;
    Some(value.clone())
}

#[test]
fn a_request_is_a_span_in_the_conventions_words() {
    let span = told(&samples::answered(), true);
    assert_eq!(span["traceId"], "01900000000070008000000000000001");
    assert_eq!(span["spanId"], "8000000000000001");
    assert_eq!(span["name"], "chat chat");
    assert_eq!(span["kind"], 3);
    assert_eq!(span["startTimeUnixNano"], "1790000000000000000");
    assert_eq!(span["endTimeUnixNano"], "1790000000900000000");
    assert_eq!((&span["status"], span.get("parentSpanId")), (&json!({}), None));
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("chat")),
        ("gen_ai.response.model", json!("gpt-4o-mini")),
        ("gen_ai.response.id", json!("chatcmpl-1")),
        ("gen_ai.conversation.id", json!("a-session")),
        ("gen_ai.request.temperature", json!(0.5)),
        ("gen_ai.request.max_tokens", json!("9")),
        ("gen_ai.usage.input_tokens", json!("10")),
        ("gen_ai.usage.cache_read.input_tokens", json!("4")),
        ("gen_ai.response.time_to_first_chunk", json!(0.25)),
        ("gen_ai.response.finish_reasons", json!({"values": [{"stringValue": "stop"}]})),
        ("gen_ai.cost.total_cost", json!(0.000_45)),
        ("server.address", json!("api.openai.com")),
        ("server.port", json!("443")),
        ("metadata.user_api_key_team_alias", json!("Red")),
        (
            "gen_ai.input.messages",
            json!(r#"[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]"#),
        ),
        (
            "gen_ai.output.messages",
            json!(
                r#"[{"role":"assistant","parts":[{"type":"text","content":"Hello"}],"finish_reason":"stop"}]"#
            ),
        ),
    ] {
        assert_eq!(attribute(&span, name), Some(value), "{name}");
    }
}

#[test]
fn the_clients_span_is_the_parent_if_it_is_one() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (parent, expected) in [
        (format!("00-{trace}-00f067aa0ba902b7-01"), Some("00f067aa0ba902b7")),
        (format!("cc-{trace}-00f067aa0ba902b7-01-more"), Some("00f067aa0ba902b7")),
        (format!("00-{trace}-0000000000000000-01"), None),
        (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
        (format!("ff-{trace}-00f067aa0ba902b7-01"), None),
        ("nonsense".to_owned(), None),
    ] {
        let span = told(&samples::traced(&parent), true);
        assert_eq!(span.get("parentSpanId").and_then(Value::as_str), expected, "{parent}");
        assert_eq!(span["traceId"] == trace, expected.is_some(), "{parent}");
    }
}

#[test]
fn a_failure_has_its_status_and_words_that_may_not_be_told_are_not() {
    let failed = told(&samples::failed(), true);
    assert_eq!(failed["status"], json!({"code": 2, "message": "slow down"}));
    assert_eq!(attribute(&failed, "error.type"), Some(json!("429")));
    assert_eq!(attribute(&failed, "gen_ai.usage.input_tokens"), None);
    let silent = told(&samples::answered(), false);
    assert_eq!(attribute(&silent, "gen_ai.input.messages"), None);
    assert!(!silent.to_string().contains("Hello"));
}

#[test]
fn a_collector_that_takes_a_part_says_so() {
    let partial = br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#;
    assert_eq!(rejected(partial), Some((3, "too old".to_owned())));
    for whole in [&b"{}"[..], b"", br#"{"partialSuccess":{}}"#] {
        assert_eq!(rejected(whole), None);
    }
}
