//! One chat with a real node: sent, read to its end, and put on record as its client sees it.

use std::sync::Arc;

use dunlin_cluster::{CallError, Cluster, http_client};
use dunlin_types::NanoUsd;
use reqwest::Response;
use serde::Deserialize;
use serde_json::json;

use super::clients::{clear, unanswered};
use super::recorder::Recorder;
use super::stage::{INPUT_NANO, OUTPUT_NANO};
use crate::history::{CallId, Outcome, Refusal, StreamEnd};
use crate::workload::Operation;

const CALL_ID: &str = "x-litellm-call-id";

#[derive(Clone)]
pub(crate) struct Chats {
    http: reqwest::Client,
    nodes: Arc<[String]>,
    recorder: Recorder,
    seed: u64,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

#[derive(Deserialize)]
struct Whole {
    usage: Usage,
}

/// A frame of a stream.
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: String,
}

impl Chats {
    pub(crate) fn new(cluster: &Cluster, recorder: Recorder, seed: u64) -> anyhow::Result<Self> {
        let url = |node: &dunlin_cluster::Node| node.url("/v1/chat/completions");
        let nodes = cluster.nodes().iter().map(url).collect();
        Ok(Self { http: http_client()?, nodes, recorder, seed })
    }

    /// Chats with a node.
    pub(crate) async fn chat(&self, node: usize, operation: Operation) -> Outcome {
        let Operation::Chat { key, stream, tokens } = operation else { panic!("a chat") };
        let mut body = json!({
            "model": "chat",
            "messages": [{"role": "user", "content": "how are you?"}],
            "max_tokens": tokens,
            "stream": stream,
        });
        if stream {
            body["stream_options"] = json!({"include_usage": true});
        }
        let body = body.to_string();
        // No token is shorter than a byte, and the node adds little of its own.
        let most = NanoUsd(2 * body.len() as u64 * INPUT_NANO + tokens * OUTPUT_NANO);
        let request = self
            .http
            .post(&self.nodes[node])
            .bearer_auth(clear(self.seed, key))
            .header("content-type", "application/json")
            .body(body);
        let call = self.recorder.sent(node, operation, most);
        let (outcome, end) = match request.send().await {
            Err(error) => (unanswered(&CallError::from(error)), None),
            Ok(response) if response.status() != 200 => (refused(response).await, None),
            Ok(response) => {
                self.recorder.admitted(call, id_of(&response, call));
                if stream { read_stream(response, tokens).await } else { read(response).await }
            }
        };
        self.recorder.ended(call, outcome.clone(), end);
        outcome
    }
}

fn id_of(response: &Response, call: CallId) -> String {
    let id = response.headers().get(CALL_ID).and_then(|id| id.to_str().ok());
    id.map_or_else(|| call.to_string(), str::to_owned)
}

fn cost(usage: &Usage) -> NanoUsd {
    NanoUsd(usage.prompt_tokens * INPUT_NANO + usage.completion_tokens * OUTPUT_NANO)
}

fn broken(error: reqwest::Error) -> Outcome {
    Outcome::Broken { why: format!("{:#}", anyhow::Error::new(error)) }
}

async fn refused(response: Response) -> Outcome {
    let status = response.status().as_u16();
    let body = match response.text().await {
        Ok(body) => body,
        Err(error) => return broken(error),
    };
    let reason = serde_json::from_str::<Refused>(&body).map(|refused| refused.error);
    let kind = reason.as_ref().ok().and_then(|reason| reason.kind.as_deref());
    match (status, kind) {
        (429, Some("throttling_error")) => Outcome::Refused(Refusal::Limited),
        (401, Some("token_not_found_in_db")) => Outcome::Refused(Refusal::Unknown),
        (401, Some("auth_error")) => Outcome::Refused(Refusal::Blocked),
        _ => {
            let why = reason.map_or(body, |reason| reason.message);
            Outcome::Failed { status, why }
        }
    }
}

async fn read(response: Response) -> (Outcome, Option<StreamEnd>) {
    let outcome = match response.bytes().await {
        Err(error) => broken(error),
        Ok(body) => match serde_json::from_slice::<Whole>(&body) {
            Ok(whole) => Outcome::Done { cost: cost(&whole.usage) },
            Err(error) => Outcome::Broken { why: format!("a 200 that is no answer: {error}") },
        },
    };
    (outcome, None)
}

async fn read_stream(mut response: Response, expected: u64) -> (Outcome, Option<StreamEnd>) {
    let mut bytes = Vec::new();
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break Ok(()),
            Err(error) => break Err(broken(error)),
        }
    };
    let (end, usage) = look_through(&bytes, ended.is_ok(), expected);
    let outcome = match (ended, usage) {
        (Ok(()), Some(usage)) if end.done && !end.error => Outcome::Done { cost: cost(&usage) },
        (Ok(()), _) => Outcome::Broken { why: "the stream did not end in [DONE]".to_owned() },
        (Err(broken), _) => broken,
    };
    (outcome, Some(end))
}

/// What a stream brought, whole or not.
fn look_through(bytes: &[u8], complete: bool, expected: u64) -> (StreamEnd, Option<Usage>) {
    let mut end = StreamEnd { done: false, error: false, complete, tokens: 0, expected };
    let mut usage = None;
    let text = String::from_utf8_lossy(bytes);
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        end.done = data == "[DONE]";
        // What the end cut in two is no frame.
        let Ok(frame) = serde_json::from_str::<Frame>(data) else { continue };
        end.error |= frame.error.is_some();
        usage = frame.usage.or(usage);
        let said = frame.choices.iter().filter_map(|choice| choice.delta.content.as_deref());
        end.tokens += said.filter(|content| !content.is_empty()).count() as u64;
    }
    (end, usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"tok \"}}]}\n\n";
    const USAGE: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";
    const ERROR: &str = "data: {\"error\":{\"message\":\"oh\"}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    #[test]
    fn a_stream_is_seen_as_it_ended() {
        let check =
            |parts: &[&str], (done, error, tokens): (bool, bool, u64), cost: Option<u64>| {
                let (end, usage) = look_through(parts.concat().as_bytes(), true, 2);
                assert_eq!((end.done, end.error, end.tokens), (done, error, tokens), "{parts:?}");
                assert_eq!(usage.map(|usage| super::cost(&usage).0), cost, "{parts:?}");
            };
        check(&[TOKEN, TOKEN, USAGE, DONE], (true, false, 2), Some(13_000));
        check(&[TOKEN, ERROR], (false, true, 1), None);
        check(&[TOKEN, &TOKEN[..20]], (false, false, 1), None);
        check(&[TOKEN, DONE, TOKEN], (false, false, 2), None);
    }
}
