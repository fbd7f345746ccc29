//! The mock over real sockets: what a client sees, byte by byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Fault, MockUpstream, Settings};

mod anthropic;
mod bedrock;
mod client;
mod cohere;
mod faults;
mod gemini;
mod jobs;
mod media;
mod ollama;
mod openai;
mod realtime;
mod responses;

const CHAT: &str = r#"{"model":"m","messages":[]}"#;
const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;
const STREAM_WITH_USAGE: &str =
    r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;

async fn start() -> MockUpstream {
    MockUpstream::start(Settings { tokens: 3, ..Settings::default() }).await.expect("a free port")
}

async fn send(mock: &MockUpstream, path: &str, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(mock.address()).await.expect("it listens");
    let method = if body.is_empty() { "GET" } else { "POST" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + body).as_bytes()).await.expect("it reads");
    socket
}

/// The whole answer, and whether the connection ended in order.
async fn ask(mock: &MockUpstream, path: &str, body: &str) -> (String, bool) {
    let mut answer = Vec::new();
    let read = send(mock, path, body).await.read_to_end(&mut answer).await;
    (String::from_utf8(answer).expect("text"), read.is_ok())
}

async fn chat(mock: &MockUpstream, body: &str) -> String {
    ask(mock, "/v1/chat/completions", body).await.0
}

async fn within_10_s<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it takes no time at all")
}

#[tokio::test]
async fn account_is_kept_of_the_first_requests() {
    let settings = Settings { tokens: 3, accounts: 2, ..Settings::default() };
    let mock = MockUpstream::start(settings).await.expect("a free port");
    let say = |text: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#)
    };
    chat(&mock, &say("one")).await;
    chat(&mock, &say("two [[fault:reset]]")).await;
    chat(&mock, &say("three")).await;
    let accounts = mock.accounts();
    let seen: Vec<_> = accounts.iter().map(|one| (&*one.said, one.whole)).collect();
    assert_eq!(seen, [("one", true), ("two [[fault:reset]]", false)]);
    assert_eq!(accounts[0].completion_tokens, 3);
    assert!(accounts[0].prompt_tokens > 0 && accounts[0].at <= accounts[1].at);
}

#[tokio::test]
async fn every_route_answers() {
    let mock = start().await;
    let answers = [
        ("/v1/chat/completions", CHAT, r#""content":"tok tok tok ""#),
        ("/v1/completions", r#"{"model":"m","prompt":"p"}"#, r#""text":"tok tok tok ""#),
        ("/v1/embeddings", r#"{"model":"m","input":"i"}"#, r#""embedding":[0.0,"#),
        ("/v1/models", "", r#""id":"mock""#),
        ("/health", "", r#"{"status":"ok"}"#),
    ];
    for (path, body, expected) in answers {
        let (answer, _) = ask(&mock, path, body).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains(expected), "{path}: {answer}");
    }
    let last = mock.last_request().expect("three were recorded");
    assert_eq!(
        (last.path.as_str(), &last.body[..]),
        ("/v1/embeddings", &b"{\"model\":\"m\",\"input\":\"i\"}"[..])
    );
    assert_eq!(mock.stats().requests, 3);
}

#[tokio::test]
async fn a_stream_has_its_tokens_and_usage_only_when_asked() {
    let mock = start().await;
    let plain = chat(&mock, STREAM).await;
    assert_eq!(plain.matches(r#""content":"tok ""#).count(), 3);
    assert!(plain.contains("data: [DONE]") && !plain.contains("usage"), "{plain}");
    let asked = chat(&mock, STREAM_WITH_USAGE).await;
    assert!(asked.contains(r#""completion_tokens":3"#), "{asked}");
}

#[tokio::test]
async fn faults_are_seen_as_what_they_are() {
    let mock = start().await;
    let slow = Fault::SlowFirstToken(Duration::from_millis(1));
    let status = Fault::Status { code: 429, retry_after: Some(7) };
    for (fault, body, present, absent) in [
        (status, CHAT, "retry-after: 7", "choices"),
        (Fault::Loading, CHAT, "503 Service Unavailable", "choices"),
        (Fault::WrongName, CHAT, "404 Not Found", "choices"),
        (Fault::MissingUsage, CHAT, "choices", "usage"),
        (Fault::MissingUsage, STREAM_WITH_USAGE, "[DONE]", "usage"),
        (Fault::TruncatedJson, CHAT, "200 OK", "\"usage\""),
        (Fault::TruncatedJson, STREAM, "200 OK", "[DONE]"),
        (Fault::CutMidStream(2), STREAM, "tok ", "[DONE]"),
        (Fault::ErrorMidStream(2), STREAM, "the mock broke", "[DONE]"),
        (Fault::HugeReply(100_000), CHAT, "xxxxxxxx", "[DONE]"),
        (slow, STREAM, "[DONE]", "usage"),
    ] {
        mock.set_fault_for(fault.clone(), 1).await;
        let answer = chat(&mock, body).await;
        assert!(answer.contains(present) && !answer.contains(absent), "{fault:?}: {answer}");
        let healed = chat(&mock, body).await;
        assert!(healed.starts_with("HTTP/1.1 200"), "after {fault:?}: {healed}");
    }
    assert_eq!(mock.stats().cancelled, 0);
}

#[tokio::test]
async fn a_reset_is_no_end() {
    let mock = start().await;
    for body in [STREAM, CHAT] {
        mock.set_fault(Fault::ResetMidStream(1)).await;
        let (answer, in_order) = ask(&mock, "/v1/chat/completions", body).await;
        assert!(!in_order && !answer.contains("[DONE]"), "{answer}");
    }
    within_10_s(mock.until(|stats| stats.cancelled == 2)).await;
}

#[tokio::test]
async fn a_refusing_server_is_gone_and_comes_back_at_the_same_port() {
    let mock = start().await;
    mock.set_fault(Fault::Hang).await;
    let mut hanging = send(&mock, "/v1/chat/completions", CHAT).await;
    within_10_s(mock.until(|stats| stats.in_flight == 1)).await;

    mock.set_fault(Fault::Refuse).await;
    assert!(TcpStream::connect(mock.address()).await.is_err());
    let ended = within_10_s(hanging.read_u8()).await;
    assert!(ended.is_err(), "the open connection broke");
    within_10_s(mock.until(|stats| stats.in_flight == 0 && stats.cancelled == 1)).await;

    mock.set_fault(Fault::None).await;
    assert!(chat(&mock, CHAT).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let slow =
        Settings { tokens_per_second: Some(1000.0), tokens: 1_000_000, ..Settings::default() };
    let streaming = MockUpstream::start(slow).await.expect("a free port");
    let hanging = start().await;
    hanging.set_fault(Fault::Hang).await;
    for (mock, body) in [(&streaming, STREAM), (&hanging, CHAT)] {
        let client = send(mock, "/v1/chat/completions", body).await;
        within_10_s(mock.until(|stats| stats.in_flight == 1)).await;
        drop(client);
        within_10_s(mock.until(|stats| stats.in_flight == 0 && stats.cancelled == 1)).await;
    }
}

#[tokio::test]
async fn a_request_may_bring_its_own_wishes() {
    let mock = start().await;
    let fewer =
        chat(&mock, r#"{"model":"m","messages":[],"upstream_tokens":9,"max_tokens":2}"#).await;
    assert!(fewer.contains(r#""content":"tok tok ""#), "{fewer}");
    let failed = chat(&mock, r#"{"model":"m","messages":[],"upstream_status":418}"#).await;
    assert!(failed.starts_with("HTTP/1.1 418"), "{failed}");
    assert!(chat(&mock, "{").await.starts_with("HTTP/1.1 400"));
}
