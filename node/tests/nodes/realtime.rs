//! Conversations over a WebSocket, with a real client: the key in, the provider's out, each answer
//! admitted and charged, every end told.

use std::time::Duration;

use anyhow::Context;
use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use futures::SinkExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::sockets::{Socket, connect, next};
use crate::harness::{self, INPUT_COST, OUTPUT_COST, SOON, Setup, deployment};

/// Asks for an answer.
pub(crate) const CREATE: &str = r#"{"type":"response.create"}"#;

async fn start() -> anyhow::Result<Setup> {
    start_beside("http://127.0.0.1:9/v1").await
}

/// With another provider, of the model `broken`.
pub(crate) async fn start_beside(other: &str) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n{}{}{}",
        deployment("talk", "openai/talk-up", &mock.api_base()),
        deployment("other", "openai/other-up", &mock.api_base()),
        deployment("broken", "openai/broken-up", other),
    );
    harness::start_with(1, mock, config).await
}

/// A provider that accepts conversations and breaks each off at once.
async fn breaking() -> anyhow::Result<(String, tokio::task::JoinSet<()>)> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let base = format!("http://{}/v1", listener.local_addr()?);
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(tokio_tungstenite::accept_async(stream).await);
        }
    });
    Ok((base, server))
}

pub(crate) async fn connect_as(setup: &Setup, caller: &Client) -> Result<Socket, Error> {
    let bearer = format!("Bearer {}", caller.key());
    connect(setup, "/v1/realtime?model=talk", &[("authorization", &bearer)]).await
}

fn refusal(refused: Result<Socket, Error>) -> (u16, String) {
    match refused {
        Err(Error::Http(answer)) => {
            let body = answer.body().clone().unwrap_or_default();
            (answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned())
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it is open"),
    }
}

/// Says something and hears the answer: its words, and what it used.
pub(crate) async fn ask(socket: &mut Socket, text: &str) -> anyhow::Result<(String, Value)> {
    let content = json!([{"type": "input_text", "text": text}]);
    let item = json!({"type": "message", "role": "user", "content": content});
    let said = json!({"type": "conversation.item.create", "item": item});
    for event in [&*said.to_string(), CREATE] {
        socket.send(Message::text(event)).await?;
    }
    let mut words = String::new();
    loop {
        let event = next(socket).await?.map_err(|code| anyhow::anyhow!("ended with {code}"))?;
        words += event["delta"].as_str().unwrap_or_default();
        if event["type"] == "response.done" {
            return Ok((words, event["response"]["usage"].clone()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_passes_both_ways_and_each_answer_is_charged() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let protocols = format!("realtime, openai-insecure-api-key.{}", caller.key());
    let path = "/v1/realtime?model=talk&intent=x";
    let mut socket = connect(&setup, path, &[("sec-websocket-protocol", &protocols)]).await?;
    let first = next(&mut socket).await?.expect("an event");
    assert_eq!(
        (&first["type"], &first["session"]["model"]),
        (&json!("session.created"), &json!("talk-up"))
    );
    let request = setup.mock.last_request().expect("it came through");
    assert_eq!((&*request.path, &*request.query), ("/v1/realtime", "model=talk-up&intent=x"));
    assert_eq!(request.headers["authorization"], "Bearer sk-upstream");
    assert_eq!(request.headers["sec-websocket-protocol"], "realtime");
    let shown = format!("{:?}", request.headers);
    assert!(!shown.contains(caller.key()), "the client's key went upstream");

    let mut expected = 0.0;
    for text in ["[[say:good day]]", "[[say:and good night]]"] {
        let (words, usage) = ask(&mut socket, text).await?;
        assert!(text.contains(&words) && !words.is_empty(), "{words}");
        let count = |name: &str| usage[name].as_f64().expect("a count");
        expected += count("input_tokens") * INPUT_COST + count("output_tokens") * OUTPUT_COST;
        wait_until("the answer is on the bill", SOON, async || {
            let info = setup.key_info(0, &caller).await.unwrap_or(Value::Null);
            info["spend"].as_f64().is_some_and(|spend| (spend - expected).abs() < 1e-12)
        })
        .await?;
    }
    let status = setup.cluster.status(0).await?;
    let open: u32 = status.backends.iter().map(|backend| backend.in_flight).sum();
    assert_eq!(open, 1, "it is in flight while it is open");
    socket.close(None).await?;
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.in_flight == 0)).await?;
    assert_eq!(setup.mock.stats().cancelled, 0, "it ended well");
    let records = setup.records(0)?;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["course"]["call_type"], "_arealtime");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_rights_and_limits_hold() -> anyhow::Result<()> {
    let setup = start().await?;
    let unknown = setup.cluster.client().with_key("sk-nobody-knows-this-one");
    assert_eq!(refusal(connect_as(&setup, &unknown).await).0, 401);
    let elsewhere = setup.make_key(0, json!({"models": ["other"]})).await?;
    assert_eq!(refusal(connect_as(&setup, &elsewhere).await).0, 403);
    let master = format!("Bearer {}", setup.cluster.master_key());
    let nobodys = connect(&setup, "/v1/realtime?model=none", &[("authorization", &master)]).await;
    let (status, body) = refusal(nobodys);
    assert!(status == 400 && body.contains("Invalid model name"), "{status} {body}");
    let plain =
        setup.cluster.client().get(&setup.cluster.url(0, "/v1/realtime?model=talk")).await?;
    assert!(plain.status == 400 && plain.body.contains("WebSocket"), "{}", plain.body);

    let limited = setup.make_key(0, json!({"rpm_limit": 2})).await?;
    let mut socket = connect_as(&setup, &limited).await?;
    next(&mut socket).await?.expect("it is open");
    ask(&mut socket, "hi").await?;
    ask(&mut socket, "hi").await?;
    socket.send(Message::text(CREATE)).await?;
    let told = next(&mut socket).await?.expect("why it is over");
    assert_eq!(
        (&told["type"], &told["error"]["type"]),
        (&json!("error"), &json!("throttling_error"))
    );
    assert_eq!(next(&mut socket).await?, Err(1008));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_told() -> anyhow::Result<()> {
    let (other, _server) = breaking().await?;
    let mut setup = start_beside(&other).await?;
    setup.mock.set_fault(Fault::Status { code: 429, retry_after: None }).await;
    let caller = setup.make_key(0, json!({})).await?;
    let (status, body) = refusal(connect_as(&setup, &caller).await);
    assert!(status == 429 && body.contains("litellm.RateLimitError"), "{status} {body}");
    setup.mock.set_fault_for(Fault::CutMidStream(1), 1).await;
    let mut socket = connect_as(&setup, &caller).await?;
    next(&mut socket).await?.expect("it is open");
    let cut = ask(&mut socket, "hi").await.expect_err("it is cut").to_string();
    assert_eq!(cut, "ended with 1005", "the provider's own end passes");
    wait_until("what was said is on the bill", SOON, async || {
        let info = setup.key_info(0, &caller).await.unwrap_or(Value::Null);
        info["spend"].as_f64().is_some_and(|spend| spend > 0.0)
    })
    .await?;

    let bearer = format!("Bearer {}", caller.key());
    let broken = "/v1/realtime?model=broken";
    let mut socket = connect(&setup, broken, &[("authorization", &bearer)]).await?;
    assert_eq!(next(&mut socket).await?, Err(1011));

    let mut socket = connect_as(&setup, &caller).await?;
    next(&mut socket).await?.expect("it is open");
    ask(&mut socket, "hi").await?;
    let (stopped, ended) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(20), setup.cluster.stop(0)),
        next(&mut socket),
    );
    stopped.context("an idle conversation keeps the node")??;
    assert_eq!(ended?, Err(1001), "a leaving node says so");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_begins_where_it_can_and_keeps_its_place() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let alive = deployment("talk", "openai/talk-up", &mock.api_base());
    let dead = deployment("talk", "openai/dead-up", "http://127.0.0.1:9/v1");
    let narrow = deployment("narrow", "openai/narrow-up", &mock.api_base());
    let checks = "router_settings: {optional_pre_call_checks: [enforce_model_rate_limits]}\n";
    let limits = "      max_parallel_requests: 1\n      rpm: 3\n";
    let config = format!("model_list:\n{dead}{alive}{narrow}{limits}{checks}");
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.make_key(0, json!({})).await?;
    for _ in 0..4 {
        let mut socket = connect_as(&setup, &caller).await?;
        let first = next(&mut socket).await?.expect("it is open");
        assert_eq!(first["session"]["model"], "talk-up", "the other one refuses connections");
        socket.close(None).await?;
    }
    setup.mock.set_fault_for(Fault::Status { code: 500, retry_after: None }, 1).await;
    connect_as(&setup, &caller).await?;

    let bearer = format!("Bearer {}", caller.key());
    let narrow = async || {
        connect(&setup, "/v1/realtime?model=narrow", &[("authorization", bearer.as_str())]).await
    };
    let mut socket = narrow().await?;
    next(&mut socket).await?.expect("it is open");
    let (status, body) = refusal(narrow().await);
    assert!(status == 429 && body.contains("max_parallel_requests slots in use"), "{body}");
    socket.close(None).await?;
    let mut again = None;
    wait_until("its place is free", SOON, async || {
        again = narrow().await.ok();
        again.is_some()
    })
    .await?;
    drop(again);
    wait_until("a minute's conversations are over", SOON, async || match narrow().await {
        Err(Error::Http(answer)) => {
            let body = answer.into_body().unwrap_or_default();
            String::from_utf8_lossy(&body).contains("rpm limit=3")
        }
        Ok(_) | Err(_) => false,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_of_its_deployment_ends_a_conversation_and_lets_none_begin()
-> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let talk = deployment("talk", "openai/talk-up", &mock.api_base());
    let budget = "      max_budget: 0.000001\n      budget_duration: 1d\n";
    let setup = harness::start_with(1, mock, format!("model_list:\n{talk}{budget}")).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut socket = connect_as(&setup, &caller).await?;
    next(&mut socket).await?.expect("it is open");
    // The last money lets one answer in, and whatever follows before it is known to be spent.
    let told = loop {
        socket.send(Message::text(CREATE)).await?;
        let event = loop {
            let event = next(&mut socket).await?.expect("it ends with an event");
            if ["response.done", "error"].iter().any(|kind| event["type"] == *kind) {
                break event;
            }
        };
        if event["type"] == "error" {
            break event;
        }
        let settled = "what was said is settled";
        wait_until(settled, SOON, async || {
            let url = setup.cluster.url(0, "/provider/budgets");
            let told = setup.cluster.client().get(&url).await.expect("told");
            let told: Value = told.json().expect("JSON");
            let all = told["deployments"].as_object().expect("by id");
            all.values().any(|one| one["spend"].as_f64() > Some(0.0))
        })
        .await?;
    };
    let message = told["error"]["message"].as_str().expect("why it is over");
    assert!(message.contains("crossed budget"), "{told}");
    assert_eq!(next(&mut socket).await?, Err(1008));
    let (status, body) = refusal(connect_as(&setup, &caller).await);
    assert!(status == 429 && body.contains("crossed budget"), "{status} {body}");
    Ok(())
}
