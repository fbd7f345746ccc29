//! Faults by order, in the dialects whose streams differ.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{ask, post};
use super::start;
use crate::Fault;

const CHAT: &str = "/v1/chat/completions";

fn chat(stream: bool) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream,
        "max_tokens": 100})
}

#[tokio::test]
async fn faults_come_in_the_order_they_were_given() {
    let mock = start().await;
    let status = |code| Fault::Status { code, retry_after: None };
    mock.set_faults(vec![status(429), Fault::None, status(500), Fault::Loading]).await;
    for expected in [429, 200, 500, 503, 200] {
        let answered = ask(&mock, &format!("POST {CHAT}"), &[], chat(false).to_string()).await;
        assert_eq!(answered.status, expected);
    }
}

#[tokio::test]
async fn each_dialect_breaks_off_in_its_own_words() {
    let mock = start().await;
    let headers = ["anthropic-version: 2023-06-01", "x-api-key: k", "authorization: Bearer k"];
    for (path, words) in [
        (CHAT, r#"data: {"error":{"#),
        ("/v1/messages", "event: error\ndata: {"),
        ("/api/chat", r#"{"error":"the mock broke"}"#),
        ("/v2/chat", "event: message-end\ndata: {"),
    ] {
        mock.set_faults(vec![Fault::ErrorMidStream(2)]).await;
        let broken = post(&mock, path, &headers, &chat(true)).await;
        let text = str::from_utf8(&broken.body).expect("text");
        assert_eq!(text.matches("tok ").count(), 2, "{path}: {text}");
        let last = text.trim_end().rsplit_once("tok ").expect("a token").1;
        assert!(last.contains(words), "{path}: {text}");
    }
    assert_eq!(mock.stats().cancelled, 0);
}

#[tokio::test]
async fn bytes_go_wrong_as_ordered() {
    let mock = start().await;
    mock.set_faults(vec![
        Fault::MalformedJson,
        Fault::BadUtf8,
        Fault::Html,
        Fault::Chopped(3),
        Fault::HugeFrame(100_000),
        Fault::TokensPerSecond(1_000_000),
        Fault::StallMidStream(1, Duration::from_millis(1)),
    ])
    .await;
    let streamed = async || post(&mock, CHAT, &[], &chat(true)).await;
    let malformed = streamed().await;
    let text = str::from_utf8(&malformed.body).expect("text");
    let frames = text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: {"));
    let bad = frames.filter(|rest| serde_json::from_str::<Value>(&format!("{{{rest}")).is_err());
    assert_eq!(bad.count(), 1, "{text}");
    assert!(str::from_utf8(&streamed().await.body).is_err());
    assert_eq!(streamed().await.header("content-type"), "text/html");
    let tokens = |events: Vec<(String, Value)>| {
        let text: Vec<String> = events
            .iter()
            .filter_map(|(_, event)| event["choices"][0]["delta"]["content"].as_str())
            .map(str::to_owned)
            .collect();
        text
    };
    assert_eq!(tokens(streamed().await.events()).concat(), "tok tok tok ");
    let huge = tokens(streamed().await.events());
    assert!(huge.iter().any(|token| token.len() > 100_000));
    for _ in 0..2 {
        assert_eq!(tokens(streamed().await.events()).concat(), "tok tok tok ");
    }
}

#[tokio::test]
async fn a_bounded_number_of_requests_is_kept() {
    let mock = start().await;
    for number in 0..70 {
        let path = format!("/v1/embeddings?n={number}");
        post(&mock, &path, &["x-one: 1"], &json!({"model": "m", "input": "i"})).await;
    }
    let kept = mock.requests();
    assert_eq!((kept.len(), kept[0].query.as_str()), (64, "n=6"));
    assert_eq!((kept[63].query.as_str(), kept[63].method.as_str()), ("n=69", "POST"));
    assert_eq!(kept[63].headers["x-one"], "1");
}
