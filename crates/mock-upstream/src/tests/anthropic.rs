//! Anthropic's Messages.

use serde_json::{Value, json};

use super::client::{Answered, ask, post, strings};
use super::start;

const PATH: &str = "/v1/messages";
const LATEST: [&str; 2] = ["authorization: Bearer k", "anthropic-version: 2026-10-21"];
const HEADERS: [&str; 2] = ["x-api-key: k", "anthropic-version: 2023-06-01"];

fn says(text: &str) -> Value {
    json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
}

fn with(mut body: Value, key: &str, value: Value) -> Value {
    body[key] = value;
    body
}

/// The data of the events, each named for its type.
fn events(answered: &Answered) -> Vec<Value> {
    let events = answered.events().into_iter();
    let named = events.inspect(|(name, data)| assert_eq!(data["type"], **name));
    named.map(|(_, data)| data).collect()
}

#[tokio::test]
async fn a_stream_opens_and_closes_its_blocks() {
    let mock = start().await;
    let body = with(says("[[think]] [[cached:7]] [[cache-written:5]]"), "stream", json!(true));
    let events = events(&post(&mock, PATH, &HEADERS, &body).await);
    let mut kinds = strings(&events, "/type");
    kinds.dedup();
    let block = ["content_block_start", "content_block_delta", "content_block_stop"];
    let expected = [
        &["message_start", "content_block_start", "ping"],
        &block[1..],
        &block,
        &["message_delta", "message_stop"],
    ]
    .concat();
    assert_eq!(kinds, expected);
    assert_eq!(strings(&events, "/delta/thinking").concat(), "hm hm hm ");
    assert_eq!(strings(&events, "/delta/signature").len(), 1);
    assert_eq!(strings(&events, "/delta/text").concat(), "tok tok tok ");
    assert_eq!(strings(&events, "/delta/stop_reason"), ["end_turn"]);
    let usage = &events[0]["message"]["usage"];
    assert_eq!(usage["input_tokens"], body.to_string().len() / 4);
    assert_eq!(usage["cache_read_input_tokens"], 7);
    assert_eq!(usage["cache_creation_input_tokens"], 5);
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 6);
}

#[tokio::test]
async fn a_tool_is_called_and_heard() {
    let mock = start().await;
    let tools = json!([{"name": "get_weather", "input_schema": {"type": "object"}}]);
    let body = with(says(r#"[[tool:get_weather {"city":"Paris"}]]"#), "tools", tools);
    let whole = post(&mock, PATH, &HEADERS, &body).await.json();
    let call = &whole["content"][0];
    assert_eq!((&call["type"], &call["input"]), (&json!("tool_use"), &json!({"city": "Paris"})));
    assert_eq!(whole["stop_reason"], "tool_use");

    let streamed = with(body.clone(), "stream", json!(true));
    let events = events(&post(&mock, PATH, &HEADERS, &streamed).await);
    assert_eq!(strings(&events, "/content_block/name"), ["get_weather"]);
    assert_eq!(strings(&events, "/delta/partial_json").concat(), r#"{"city":"Paris"}"#);

    let result = json!({"type": "tool_result", "tool_use_id": call["id"], "content": "22"});
    let turns = json!([body["messages"][0], {"role": "assistant", "content": whole["content"]},
        {"role": "user", "content": [result]}]);
    let answer = post(&mock, PATH, &HEADERS, &with(body, "messages", turns)).await.json();
    assert_eq!(answer["content"][0]["text"], "the tool said: 22");
}

#[tokio::test]
async fn what_anthropic_would_refuse_is_refused() {
    let mock = start().await;
    let orphan = json!([{"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_none", "content": "22"}]}]);
    let bad = "invalid_request_error";
    for (headers, body, status, kind, words) in [
        (&HEADERS[1..], says("hi"), 401, "authentication_error", "x-api-key"),
        (&HEADERS[..1], says("hi"), 400, bad, "anthropic-version"),
        (&HEADERS, with(says("hi"), "max_tokens", json!(null)), 400, bad, "max_tokens"),
        (&HEADERS, with(says("hi"), "messages", json!([])), 400, bad, "at least one"),
        (
            &HEADERS,
            with(says("hi"), "messages", json!([{"role": "system", "content": "be"}])),
            400,
            bad,
            "messages.0.role",
        ),
        (&HEADERS, with(says("hi"), "messages", orphan), 400, bad, "toolu_none"),
        (
            &HEADERS,
            with(says("hi"), "thinking", json!({"type": "enabled", "budget_tokens": 1024})),
            400,
            bad,
            "max_tokens",
        ),
        (&LATEST, with(says("hi"), "temperature", json!(1.0)), 400, bad, "temperature"),
        (&HEADERS, says("[[status:529]]"), 529, "overloaded_error", "asked"),
        (&HEADERS, says("[[status:429]]"), 429, "rate_limit_error", "asked"),
    ] {
        let answered = ask(&mock, &format!("POST {PATH}"), headers, body.to_string()).await;
        let json = answered.json();
        assert_eq!((answered.status, &json["error"]["type"]), (status, &json!(kind)), "{json}");
        assert_eq!(json["type"], "error");
        assert!(json["error"]["message"].as_str().expect("text").contains(words), "{json}");
        assert!(!answered.header("request-id").is_empty());
    }
}

#[tokio::test]
async fn a_refusal_says_why_and_an_old_version_still_has_a_temperature() {
    let mock = start().await;
    let refused = post(&mock, PATH, &LATEST, &says("[[refuse:no]]")).await.json();
    assert_eq!(
        (&refused["stop_reason"], &refused["content"][0]["text"]),
        (&json!("refusal"), &json!("no"))
    );
    assert_eq!(refused["stop_details"]["explanation"], "no");
    let warm = with(says("hi"), "temperature", json!(1.0));
    assert_eq!(post(&mock, PATH, &HEADERS, &warm).await.json()["stop_details"], Value::Null);
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed_its_way() {
    let mock = start().await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let counted = post(&mock, "/v1/messages/count_tokens", &HEADERS, &body).await.json();
    assert_eq!(counted, json!({"input_tokens": body.to_string().len() / 4}));
    let models = ask(&mock, "GET /v1/models", &HEADERS, "").await.json();
    assert_eq!((&models["has_more"], &models["data"][0]["type"]), (&json!(false), &json!("model")));
}
