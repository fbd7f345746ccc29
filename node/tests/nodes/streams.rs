//! Streams: frames pass as they are, a broken stream never looks whole, a leaving client is
//! noticed.

use std::time::Duration;

use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::{self, INPUT_COST, OUTPUT_COST, SOON, Scripted, Setup};

const FIRST: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1.0e9,\
    \"model\":\"upstream-name\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\u00e9\"},\
    \"x\":1.50}]}\n\n";
const LAST: &str = "data: { \"model\" : \"upstream-name\", \"id\":\"c1\",\"choices\":[{\"delta\":{},\
    \"index\":0,\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c1\",\"model\":\"upstream-name\",\"choices\":[],\
    \"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A stream that comes in awkward pieces: frames cut in the middle, two frames in one piece.
async fn scripted() -> anyhow::Result<(Setup, Scripted)> {
    let whole = format!("{FIRST}{LAST}{USAGE}{DONE}");
    let (head, tail) = whole.split_at(FIRST.len() / 2);
    let pieces = vec![head.to_owned(), tail.to_owned()];
    let upstream = Scripted::start("text/event-stream; charset=utf-8", pieces).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, harness::chat_config(&upstream.api_base())).await?;
    Ok((setup, upstream))
}

fn stream_body() -> Value {
    let mut body = harness::chat_body();
    body["stream"] = json!(true);
    body
}

fn to_client(frames: &str) -> String {
    frames.replace("upstream-name", "chat")
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_pass_byte_for_byte_but_for_the_model() -> anyhow::Result<()> {
    let (setup, upstream) = scripted().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let reply = setup.ask(0, &caller, &stream_body()).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(reply.body, to_client(&format!("{FIRST}{LAST}{DONE}")), "usage was not asked for");

    let sent: Value = serde_json::from_str(&upstream.last_body())?;
    assert_eq!(sent["stream_options"]["include_usage"], json!(true), "usage is always counted");
    let expected = 9.0 * INPUT_COST + 3.0 * OUTPUT_COST;
    dunlin_cluster::wait_until("the stream is booked", SOON, async || {
        let info = setup.key_info(0, &caller).await.unwrap_or(Value::Null);
        info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_was_asked_for_is_passed_on() -> anyhow::Result<()> {
    let (setup, _upstream) = scripted().await?;
    let mut body = stream_body();
    body["stream_options"] = json!({"include_usage": true});
    let reply = setup.ask(0, setup.cluster.client(), &body).await?;
    let usage = USAGE.replace("[]", r#"[{"index":0,"delta":{}}]"#);
    assert_eq!(reply.body, to_client(&format!("{FIRST}{LAST}{usage}{DONE}")), "as LiteLLM has it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_ends_in_an_error_event_and_never_looks_whole() -> anyhow::Result<()> {
    // A reset takes with it what was not read yet: the last token, but not those before it.
    let settings = Settings { tokens_per_second: Some(20.0), ..Settings::default() };
    let mock = MockUpstream::start(settings).await?;
    let config = harness::chat_config(&mock.api_base());
    let setup = harness::start_with(1, mock, config).await?;
    for fault in [Fault::CutMidStream(3), Fault::ResetMidStream(3), Fault::ErrorMidStream(3)] {
        setup.mock.set_fault_for(fault.clone(), 1).await;
        let (status, mut chunks) = open_stream(&setup).await?;
        assert_eq!(status, 200, "{fault:?}");
        let mut body = Vec::new();
        let mut cut = false;
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(bytes) => body.extend(bytes),
                Err(_) => cut = true,
            }
        }
        let body = String::from_utf8(body)?;
        assert!(cut, "{fault:?}: the connection ends like that of a whole stream: {body}");
        assert!(!body.contains("[DONE]"), "{fault:?}: {body}");
        let last = body.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let event: Value = serde_json::from_str(last.trim_start_matches("data: "))?;
        assert!(event["error"]["message"].is_string(), "{fault:?}: {body}");
        assert!(event["error"]["code"].is_string(), "{fault:?}: {body}");
        let least = if matches!(fault, Fault::ResetMidStream(_)) { 2 } else { 3 };
        let pieces = body.matches("tok ").count();
        assert!((least..=3).contains(&pieces), "{fault:?}: {body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_leave_as_they_arrive() -> anyhow::Result<()> {
    // One token every 400 ms: a gateway that collects would deliver none of them early.
    let settings = Settings { tokens_per_second: Some(2.5), tokens: 8, ..Settings::default() };
    let mock = MockUpstream::start(settings).await?;
    let config = harness::chat_config(&mock.api_base());
    let setup = harness::start_with(1, mock, config).await?;
    let (response, mut chunks) = open_stream(&setup).await?;
    assert_eq!(response, 200);
    for _ in 0..2 {
        let chunk = tokio::time::timeout(Duration::from_secs(2), chunks.next()).await?;
        assert!(chunk.is_some_and(|chunk| chunk.is_ok()));
        assert_eq!(setup.mock.stats().in_flight, 1, "the upstream is still writing");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_mid_stream_is_noticed_within_100_ms() -> anyhow::Result<()> {
    let settings =
        Settings { tokens_per_second: Some(100.0), tokens: 100_000, ..Settings::default() };
    let mock = MockUpstream::start(settings).await?;
    let config = harness::chat_config(&mock.api_base());
    let setup = harness::start_with(1, mock, config).await?;
    let (status, mut chunks) = open_stream(&setup).await?;
    assert_eq!(status, 200);
    assert!(chunks.next().await.is_some());
    drop(chunks);
    let gone = setup.mock.until(|stats| stats.cancelled == 1);
    tokio::time::timeout(Duration::from_millis(100), gone).await?;
    Ok(())
}

type Chunks = futures::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>;

/// Opens a stream and gives its status and its chunks as they arrive.
async fn open_stream(setup: &Setup) -> anyhow::Result<(u16, Chunks)> {
    let response = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, "/v1/chat/completions"))
        .bearer_auth(setup.cluster.master_key())
        .json(&stream_body())
        .send()
        .await?;
    let status = response.status().as_u16();
    let chunks = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec()));
    Ok((status, chunks.boxed()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_is_kept_alive_and_what_fails_later_is_told_in_it() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = harness::chat_config(&mock.api_base())
        .replace("      api_key", "      keepalive_seconds: 1\n      api_key");
    let setup = harness::start_with(1, mock, config).await?;
    let ask = async |path: &str, wish: &str, more: Value| {
        let mut body = json!({"model": "chat", "stream": true, "max_tokens": 9,
            "messages": [{"role": "user", "content": wish}]});
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().cloned().unwrap_or_default());
        setup.cluster.client().post(&setup.cluster.url(0, path), &body).await
    };
    let slow = "[[delay:2500]]";
    let reply = ask("/v1/chat/completions", slow, Value::Null).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.body.starts_with(": ping\n\n"), "{}", reply.body);
    assert!(reply.body.ends_with("data: [DONE]\n\n"), "{}", reply.body);
    assert!(reply.header("x-litellm-call-id").is_some());
    let reply = ask("/v1/messages", slow, Value::Null).await?;
    assert!(
        reply.body.starts_with("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
        "{}",
        reply.body
    );
    assert!(reply.body.contains("event: message_stop"), "{}", reply.body);
    // In time, there is nothing of it: status, headers and body are as ever.
    let reply = ask("/v1/chat/completions", "hi", Value::Null).await?;
    assert!(reply.header("x-litellm-model-id").is_some() && !reply.body.contains("ping"));
    let reply = ask("/v1/chat/completions", "[[status:400]]", Value::Null).await?;
    assert_eq!(reply.status, 400, "{}", reply.body);

    setup.mock.set_fault(Fault::Hang).await;
    let response = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, "/v1/chat/completions"))
        .bearer_auth(setup.cluster.master_key())
        .json(&json!({"model": "chat", "stream": true, "timeout": 2,
            "messages": [{"role": "user", "content": "hi"}]}))
        .send()
        .await?;
    assert_eq!(response.status().as_u16(), 200, "it is sent before anyone knows");
    let mut pieces = response.bytes_stream();
    let mut told = String::new();
    let broken = loop {
        match pieces.next().await {
            Some(Ok(piece)) => told.push_str(&String::from_utf8_lossy(&piece)),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(broken, "a clean end: {told}");
    assert!(told.starts_with(": ping\n\n") && told.contains("litellm.Timeout"), "{told}");
    assert!(told.contains(r#""code":"408""#) && !told.contains("[DONE]"), "{told}");
    Ok(())
}

/// A stream of Anthropic's: its first event counts one token of the answer, which is no count.
fn claude(end: &str) -> Vec<String> {
    let event = |data: Value| {
        format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
    };
    let mut events = vec![event(json!({"type": "message_start", "message": {"id": "m",
        "type": "message", "role": "assistant", "model": "claude-up", "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 100, "output_tokens": 1}}}))];
    events.push(event(json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "text", "text": ""}})));
    let text = json!({"type": "text_delta", "text": "word ".repeat(20)});
    events.extend(std::iter::repeat_n(
        event(json!({"type": "content_block_delta", "index": 0, "delta": text})),
        20,
    ));
    events.push(end.to_owned());
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claude_stream_that_ends_early_is_charged_for_what_it_said() -> anyhow::Result<()> {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
        \"message\":\"Overloaded\"}}\n\n";
    // 20 pieces of 100 bytes: 500 tokens.
    let expected = 100.0 * INPUT_COST + 500.0 * OUTPUT_COST;
    for end in [error, ": gone\n\n"] {
        let upstream = Scripted::start("text/event-stream", claude(end)).await?;
        let root = upstream.api_base().trim_end_matches("/v1").to_owned();
        let config = format!(
            "model_list:\n{}router_settings:\n  num_retries: 0\n",
            harness::deployment("claude", "anthropic/claude-up", &root)
        );
        let mock = MockUpstream::start(Settings::default()).await?;
        let setup = harness::start_with(1, mock, config).await?;
        let messages = json!([{"role": "user", "content": "hi"}]);
        let chat = json!({"model": "claude", "stream": true, "messages": messages});
        let mut native = chat.clone();
        native["max_tokens"] = json!(900);
        let mut theirs = native.clone();
        theirs["model"] = json!("claude-up");
        let response = json!({"model": "claude", "stream": true, "input": "hi"});
        let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
        for (path, body) in [
            ("/v1/chat/completions", chat),
            ("/v1/messages", native),
            ("/v1/responses", response),
            ("/v1beta/models/claude:streamGenerateContent?alt=sse", contents),
            ("/anthropic/v1/messages", theirs),
        ] {
            let caller = setup.make_key(0, json!({})).await?;
            // Whether the connection is cut behind the error is another's matter.
            let _answer = caller.post(&setup.cluster.url(0, path), &body).await;
            let rows = setup.cluster.url(0, "/spend/logs?summarize=false");
            dunlin_cluster::wait_until(&format!("{path} is on record"), SOON, async || {
                let logged =
                    caller.get(&rows).await.ok().and_then(|reply| reply.json::<Value>().ok());
                logged.is_some_and(|rows| {
                    let row = &rows[0];
                    row["metadata"]["dunlin"]["outcome"] == "partial"
                        && row["metadata"]["dunlin"]["estimated"] == true
                        && row["spend"].as_f64().is_some_and(|cost| (cost - expected).abs() < 1e-12)
                })
            })
            .await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_an_answer_leaves_a_row() -> anyhow::Result<()> {
    let settings = Settings { first_byte: Duration::from_secs(60), ..Settings::default() };
    let mock = MockUpstream::start(settings).await?;
    let config = harness::chat_config(&mock.api_base());
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let asked = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, "/v1/chat/completions"))
        .bearer_auth(caller.key())
        .json(&harness::chat_body())
        .timeout(Duration::from_millis(500))
        .send()
        .await;
    assert!(asked.is_err(), "nobody answers within a minute");
    let rows = setup.cluster.url(0, "/spend/logs?summarize=false");
    dunlin_cluster::wait_until("the request is on record", SOON, async || {
        let logged = caller.get(&rows).await.ok().and_then(|reply| reply.json::<Value>().ok());
        logged.is_some_and(|rows| rows[0]["status"] == "failure" && rows[0]["spend"] == 0.0)
    })
    .await
}

/// The word for the end alone is no answer: it is tried elsewhere, and told if there is nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_an_answer_is_tried_elsewhere() -> anyhow::Result<()> {
    let empty = Scripted::start("text/event-stream", vec![DONE.to_owned()]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n{}{}router_settings:\n  num_retries: 0\n",
        harness::deployment("chat", "openai/upstream-name", &empty.api_base()),
        harness::deployment("other", "openai/upstream-name", &mock.api_base()),
    );
    let setup = harness::start_with(1, mock, config).await?;
    let mut body = stream_body();
    let reply = setup.ask(0, setup.cluster.client(), &body).await?;
    assert!(reply.status >= 500 && reply.body.contains("ended before"), "{}", reply.body);
    body["fallbacks"] = json!(["other"]);
    let reply = setup.ask(0, setup.cluster.client(), &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("x-litellm-attempted-fallbacks"), Some("1"));
    assert!(reply.body.contains("tok ") && reply.body.ends_with(DONE), "{}", reply.body);
    Ok(())
}
