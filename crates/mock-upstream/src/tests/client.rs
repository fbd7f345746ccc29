//! A client that knows HTTP and the framings, and no dialect.

use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::MockUpstream;

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Asks with a method and a path as `"POST /v1/messages"`, and headers as `"name: value"`.
pub(super) async fn ask(
    mock: &MockUpstream,
    line: &str,
    headers: &[&str],
    body: impl Into<Bytes>,
) -> Answered {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let mut request = Request::builder().method(method).uri(path).header("host", "mock");
    for header in headers {
        let (name, value) = header.split_once(": ").expect("a name and a value");
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body.into())).expect("a request");
    let socket = TcpStream::connect(mock.address()).await.expect("it listens");
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
    let (mut sender, connection) = handshake.expect("it speaks HTTP");
    TaskTracker::new().spawn(connection);
    let response = sender.send_request(request).await.expect("it answers");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Answered { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// Posts JSON, which must succeed.
pub(super) async fn post(
    mock: &MockUpstream,
    path: &str,
    headers: &[&str],
    body: &Value,
) -> Answered {
    let answered = ask(mock, &format!("POST {path}"), headers, body.to_string()).await;
    assert_eq!(answered.status, 200, "{path}: {answered:?}");
    answered
}

impl Answered {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The names and data of server-sent events, `[DONE]` left out.
    pub(super) fn events(&self) -> Vec<(String, Value)> {
        assert!(self.header("content-type").starts_with("text/event-stream"), "{self:?}");
        let text = str::from_utf8(&self.body).expect("text");
        assert!(text.ends_with("\n\n"), "the last event ends: {text}");
        let mut events = Vec::new();
        for block in text.trim_end().split("\n\n") {
            let (mut name, mut data) = (String::new(), String::new());
            for line in block.lines() {
                match line.split_once(": ").expect("a field") {
                    ("event", value) => name = value.to_owned(),
                    ("data", value) => data += value,
                    other => panic!("no such field: {other:?}"),
                }
            }
            if data != "[DONE]" {
                events.push((name, serde_json::from_str(&data).expect("JSON")));
            }
        }
        events
    }

    /// One value for each line.
    pub(super) fn lines(&self) -> Vec<Value> {
        let text = str::from_utf8(&self.body).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// The strings at `pointer` of those values that have one.
pub(super) fn strings<'a>(
    values: impl IntoIterator<Item = &'a Value>,
    pointer: &str,
) -> Vec<&'a str> {
    values.into_iter().filter_map(|value| value.pointer(pointer)?.as_str()).collect()
}
