//! Requests that have ended, for tests.

use dunlin_journal::{Attempt, Course, Fault, Origin, Outcome, Parts, SpendRecord, Whose};
use dunlin_types::{DeploymentId, KeyDigest, NanoUsd, RequestId, Tokens, UnixMillis};

use crate::detail::{Detail, Words};
use crate::event::{Event, Names};
use crate::probe::with;

const BODY: &str = r#"{"model":"chat","messages":[{"role":"user","content":"Hi"}],
    "temperature":0.5,"max_tokens":9,"user":"u"}"#;
const ANSWER: &str = r#"{"id":"chatcmpl-1","choices":[{"index":0,"finish_reason":"stop",
    "message":{"role":"assistant","content":"Hello"}}]}"#;

pub(crate) fn key() -> KeyDigest {
    KeyDigest::of("sk-a")
}

fn record() -> SpendRecord {
    let deployment = DeploymentId("d-1".into());
    SpendRecord {
        request: RequestId(0x0190_0000_0000_7000_8000_0000_0000_0001),
        key: Some(key()),
        model: "chat".to_owned(),
        deployment: Some(deployment.clone()),
        upstream_model: "gpt-4o-mini".to_owned(),
        started: UnixMillis(1_790_000_000_000),
        ended: UnixMillis(1_790_000_000_900),
        prompt: Tokens(10),
        completion: Tokens(20),
        cached: Tokens(4),
        cost: NanoUsd(450_000),
        outcome: Outcome::Success,
        call_id: "call-1".to_owned(),
        origin: Origin {
            end_user: Some("eve".to_owned()),
            tags: vec!["a".to_owned()],
            spend_metadata: Some(r#"{"run":7}"#.to_owned()),
            session: Some("a-session".to_owned()),
            ip: Some([10, 0, 0, 1].into()),
            user_agent: Some("curl".to_owned()),
        },
        course: Course {
            call_type: "acompletion".to_owned(),
            group: Some("chat".to_owned()),
            provider: Some("openai".to_owned()),
            attempts: vec![Attempt { deployment, status: 200, duration_ms: 200 }],
            first_token: Some(UnixMillis(1_790_000_000_250)),
            ..Course::default()
        },
        whose: Whose {
            user: Some("ann".to_owned()),
            team: Some("t-red".to_owned()),
            organization: None,
        },
        answer_id: Some("chatcmpl-1".to_owned()),
        parts: Parts { input: NanoUsd(150_000), output: NanoUsd(300_000), ..Parts::default() },
        ..SpendRecord::default()
    }
}

fn told(record: SpendRecord, answer: &str) -> Event {
    let words = Words { request: BODY.to_owned(), answer: answer.to_owned() };
    let metadata =
        r#"{"trace_id":"my-trace","generation_name":"greeting","trace_user_id":"ann@x"}"#;
    let detail =
        Detail { words: Some(words), metadata: Some(metadata.to_owned()), ..Detail::default() };
    let names = Names {
        key: Some("ci".to_owned()),
        team: Some("Red".to_owned()),
        email: Some("ann@example.com".to_owned()),
        api_base: Some("https://api.openai.com/v1".to_owned()),
        ..Names::default()
    };
    Event { names, ..with(record, detail) }
}

pub(crate) fn answered() -> Event {
    told(record(), ANSWER)
}

pub(crate) fn streamed() -> Event {
    told(SpendRecord { stream: true, ..record() }, "Hello in pieces")
}

pub(crate) fn failed() -> Event {
    let fault = Fault {
        status: 429,
        kind: Some("rate_limit_error".to_owned()),
        message: "slow down".to_owned(),
    };
    let record = SpendRecord {
        outcome: Outcome::Failure,
        fault: Some(Box::new(fault)),
        answer_id: None,
        ..record()
    };
    told(record, "")
}

/// One that is part of a span of its client's.
pub(crate) fn traced(parent: &str) -> Event {
    let detail = Detail { parent: Some(parent.to_owned()), ..Detail::default() };
    with(record(), detail)
}
