//! Whole answers: what is edited, what is left alone, how errors look, when another backend is
//! asked.

use std::time::Duration;

use dunlin_cluster::Client;
use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Scripted, Setup, assert_error, deployment};

/// An answer full of what a parser would lose: order, spaces, number formats, unknown fields.
const ODD_ANSWER: &str = r#"{"usage" : {"prompt_tokens":9,"completion_tokens":3,"total_tokens":12},
  "z_unknown": {"b":1.50,"a":[1e3, -0.0]}, "model":"upstream-name", "id":"chatcmpl-odd",
  "choices":[{"index":0,"message":{"role":"assistant","content":"\u00e9\/\"model\":\"x\""},"finish_reason":"stop"}],"created":1700000000,"object":"chat.completion"}"#;

const ODD_REQUEST: &str = r#"{"messages":[{"content":"\u00e9","role":"user","x":1.0}],  "top_k":5,
  "model" : "chat","temperature":1e-1,"chat_template_kwargs":{"b":2,"a":1}}"#;

async fn scripted() -> anyhow::Result<(Setup, Scripted)> {
    let upstream = Scripted::start("application/json", vec![ODD_ANSWER.to_owned()]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, harness::chat_config(&upstream.api_base())).await?;
    Ok((setup, upstream))
}

/// A POST of these very bytes.
async fn post_raw(setup: &Setup, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
    let response = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, path))
        .bearer_auth(setup.cluster.master_key())
        .header("content-type", "application/json")
        .body(body.to_owned())
        .send()
        .await?;
    Ok((response.status().as_u16(), response.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_model_changes_on_the_way_there_and_back() -> anyhow::Result<()> {
    let (setup, upstream) = scripted().await?;
    let (status, answer) = post_raw(&setup, "/v1/chat/completions", ODD_REQUEST).await?;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer, ODD_ANSWER.replace("upstream-name", "chat"));
    assert_eq!(upstream.last_body(), ODD_REQUEST.replace("\"chat\",", "\"upstream-name\","));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_sees_its_own_key_and_none_of_the_gateways_fields() -> anyhow::Result<()> {
    let (setup, upstream) = scripted().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut body = harness::chat_body();
    for (name, value) in [
        ("num_retries", json!(1)),
        ("timeout", json!(30)),
        ("fallbacks", json!(["chat"])),
        ("metadata", json!({"tags": ["a"]})),
        ("foo_bar", json!(1)),
    ] {
        body[name] = value;
    }
    let reply = setup.ask(0, &caller, &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let sent: Value = serde_json::from_str(&upstream.last_body())?;
    let expected = json!({
        "model": "upstream-name", "messages": body["messages"], "foo_bar": 1,
    });
    assert_eq!(sent, expected);
    let head = upstream.last().to_lowercase();
    assert!(head.contains("authorization: bearer sk-upstream\r\n"), "{head}");
    assert!(head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{head}");
    assert!(!upstream.last().contains(caller.key()), "the client's key went upstream");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_tells_where_it_came_from_and_what_it_cost() -> anyhow::Result<()> {
    let (setup, _upstream) = scripted().await?;
    let reply = setup.chat(0, setup.cluster.client()).await?;
    assert_eq!(reply.header("x-litellm-model-group"), Some("chat"));
    assert_eq!(reply.header("x-litellm-response-cost"), Some("1.5e-05"));
    assert_eq!(reply.header("x-litellm-attempted-retries"), Some("0"));
    assert_eq!(reply.header("x-litellm-attempted-fallbacks"), Some("0"));
    for name in ["x-litellm-call-id", "x-litellm-model-id", "x-litellm-version", "x-request-id"] {
        assert!(reply.header(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_with_and_without_v1() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let bodies = [
        ("/chat/completions", harness::chat_body(), "chat.completion"),
        ("/completions", json!({"model": "chat", "prompt": "hi"}), "text_completion"),
        ("/embeddings", json!({"model": "chat", "input": "hi"}), "list"),
    ];
    for (path, body, object) in bodies {
        for path in [path.to_owned(), format!("/v1{path}")] {
            let reply = caller.post(&setup.cluster.url(0, &path), &body).await?;
            assert_eq!(reply.status, 200, "{path}: {}", reply.body);
            let answer: Value = reply.json()?;
            assert_eq!(answer["object"], json!(object), "{path}");
            assert_eq!(answer["model"], json!("chat"), "{path}");
        }
    }
    for path in ["/models", "/v1/models"] {
        let reply = caller.get(&setup.cluster.url(0, path)).await?;
        let expected = json!({"object": "list", "data": [
            {"id": "chat", "object": "model", "created": 1_677_610_602, "owned_by": "openai"},
        ]});
        assert_eq!(reply.json::<Value>()?, expected);
    }
    let one = caller.get(&setup.cluster.url(0, "/v1/models/chat")).await?;
    assert_eq!(one.json::<Value>()?["id"], json!("chat"));
    assert_eq!(caller.get(&setup.cluster.url(0, "/v1/models/none")).await?.status, 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_public_and_nothing_else_is() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let nobody = Client::new("")?;
    for path in ["/health/liveliness", "/health/liveness", "/health/readiness"] {
        let response =
            dunlin_cluster::http_client()?.get(setup.cluster.url(0, path)).send().await?;
        assert_eq!(response.status().as_u16(), 200, "{path}");
    }
    for path in ["/v1/models", "/key/list", "/cluster/status"] {
        let reply = nobody.get(&setup.cluster.url(0, path)).await?;
        assert_eq!(reply.status, 401, "{path}: {}", reply.body);
    }
    let unknown = setup.cluster.client().with_key("sk-nobody-knows-this-one");
    let reply = setup.chat(0, &unknown).await?;
    let message = "Authentication Error, Invalid proxy server token passed.";
    assert_error(&reply, 401, json!("token_not_found_in_db"), message);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_answered_before_any_upstream() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let cases = [
        (r#"{"model":"chat""#, "Invalid JSON payload: "),
        (r#"{"model":"chat"}"#, "/chat/completions: Missing required parameter: 'messages'."),
        (
            r#"{"model":"none","messages":[]}"#,
            "/chat/completions: Invalid model name passed in model=none. Call `/v1/models`",
        ),
        (r#"{"model":"chat","messages":[],"model":"other"}"#, ""),
    ];
    for (body, message) in cases {
        let (status, answer) = post_raw(&setup, "/v1/chat/completions", body).await?;
        assert_eq!(status, 400, "{body}: {answer}");
        let error: Value = serde_json::from_str(&answer)?;
        assert_eq!(error["error"]["code"], json!("400"), "{body}");
        assert_eq!(error["error"]["type"], json!("invalid_request_error"), "{body}");
        let text = error["error"]["message"].as_str().unwrap_or_default();
        assert!(text.starts_with(message), "{body}: {text}");
    }
    let sound = r#"{"model":"chat","file":"x"}"#;
    let (status, answer) = post_raw(&setup, "/v1/audio/transcriptions", sound).await?;
    assert!(status == 400 && answer.contains("Invalid multipart payload"), "{answer}");
    assert_eq!(setup.mock.stats().requests, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_error_keeps_its_status_and_names_its_class() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    // A 401 or 404 would put the only deployment aside for five seconds.
    let config = harness::chat_config(&mock.api_base()) + "  disable_cooldowns: true\n";
    let setup = harness::start_with(1, mock, config).await?;
    let cases = [
        (400, json!("mock_error"), "litellm.BadRequestError: OpenAIException - "),
        (401, json!("authentication_error"), "litellm.AuthenticationError: "),
        (404, json!("invalid_request_error"), "litellm.NotFoundError: "),
        (429, json!("throttling_error"), "litellm.RateLimitError: "),
        (500, json!("internal_server_error"), "litellm.InternalServerError: "),
        (503, json!("internal_server_error"), "litellm.ServiceUnavailableError: "),
    ];
    for (status, kind, message) in cases {
        let mut body = harness::chat_body();
        body["upstream_status"] = json!(status);
        for stream in [false, true] {
            body["stream"] = json!(stream);
            let reply = setup.ask(0, setup.cluster.client(), &body).await?;
            assert_error(&reply, status, kind.clone(), message);
            assert!(reply.header("x-litellm-call-id").is_some());
            assert_eq!(reply.header("x-request-id"), reply.header("x-litellm-call-id"));
        }
    }
    Ok(())
}

/// Two groups, `bad` with a fallback to `good`, each a mock of its own.
async fn two_groups(retries: u32) -> anyhow::Result<(Setup, MockUpstream)> {
    let bad = MockUpstream::start(Settings::default()).await?;
    let good = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n{}{}router_settings:\n  num_retries: {retries}\n  fallbacks:\n    \
         - bad: [good]\n",
        deployment("bad", "openai/bad-up", &bad.api_base()),
        deployment("good", "openai/good-up", &good.api_base()),
    );
    Ok((harness::start_with(1, good, config).await?, bad))
}

fn ask_bad() -> Value {
    json!({"model": "bad", "messages": [{"role": "user", "content": "hi"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_group_falls_back_before_the_first_byte() -> anyhow::Result<()> {
    let (setup, bad) = two_groups(0).await?;
    bad.set_fault(Fault::Status { code: 500, retry_after: None }).await;
    for stream in [false, true] {
        let mut body = ask_bad();
        body["stream"] = json!(stream);
        let reply = setup.ask(0, setup.cluster.client(), &body).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.header("x-litellm-model-group"), Some("good"));
        assert_eq!(reply.header("x-litellm-attempted-fallbacks"), Some("1"));
    }
    let mut body = ask_bad();
    body["disable_fallbacks"] = json!(true);
    assert_eq!(setup.ask(0, setup.cluster.client(), &body).await?.status, 500);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_refuses_is_left_alone_and_comes_back() -> anyhow::Result<()> {
    let (setup, bad) = two_groups(0).await?;
    bad.set_fault(Fault::Refuse).await;
    let reply = setup.ask(0, setup.cluster.client(), &ask_bad()).await?;
    assert_eq!(reply.header("x-litellm-model-group"), Some("good"), "{}", reply.body);
    bad.set_fault(Fault::None).await;
    dunlin_cluster::wait_until("the backend is used again", harness::SOON, async || {
        let reply = setup.ask(0, setup.cluster.client(), &ask_bad()).await;
        reply.is_ok_and(|reply| reply.header("x-litellm-model-group") == Some("bad"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_is_retried() -> anyhow::Result<()> {
    let (setup, bad) = two_groups(2).await?;
    bad.set_fault_for(Fault::Status { code: 503, retry_after: None }, 1).await;
    let reply = setup.ask(0, setup.cluster.client(), &ask_bad()).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("x-litellm-model-group"), Some("bad"));
    assert_eq!(reply.header("x-litellm-attempted-retries"), Some("1"));
    assert_eq!(bad.stats().requests, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_hangs_is_given_up_in_time() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    setup.mock.set_fault(Fault::Hang).await;
    let mut body = harness::chat_body();
    body["timeout"] = json!(0.3);
    let asked = setup.ask(0, setup.cluster.client(), &body);
    let reply = tokio::time::timeout(Duration::from_secs(3), asked).await??;
    assert_error(&reply, 408, json!("invalid_request_error"), "litellm.Timeout: ");
    assert_eq!(reply.header("x-litellm-timeout"), Some("0.3"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_upstream_request_with_it() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    setup.mock.set_fault(Fault::Hang).await;
    let body = harness::chat_body();
    tokio::select! {
        reply = setup.ask(0, setup.cluster.client(), &body) => panic!("answered: {reply:?}"),
        _ = setup.mock.until(|stats| stats.in_flight == 1) => {}
    }
    // The request was dropped with the select; the promise counts from here.
    let gone = setup.mock.until(|stats| stats.cancelled == 1);
    tokio::time::timeout(Duration::from_millis(100), gone).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn least_busy_spreads_over_backends_by_what_all_nodes_have_under_way() -> anyhow::Result<()> {
    let mocks = [
        MockUpstream::start(Settings::default()).await?,
        MockUpstream::start(Settings::default()).await?,
    ];
    let config = format!(
        "model_list:\n{}{}router_settings:\n  routing_strategy: least-busy\n  num_retries: 0\n",
        deployment("chat", "openai/a", &mocks[0].api_base()),
        deployment("chat", "openai/b", &mocks[1].api_base()),
    );
    let [first, second] = mocks;
    let setup = harness::start_with(3, first, config).await?;
    let mut held = harness::chat_body();
    held["upstream_delay_ms"] = json!(60_000);
    let caller = setup.cluster.client();
    // Ten requests stay open; they must not pile up on one backend.
    let holding = futures::future::join_all((0..10).map(|n| setup.ask(n % 3, caller, &held)));
    let settled = async {
        dunlin_cluster::wait_until("ten requests are under way", harness::SOON, async || {
            setup.mock.stats().in_flight + second.stats().in_flight == 10
        })
        .await
    };
    tokio::select! {
        _ = holding => panic!("the held requests ended by themselves"),
        outcome = settled => {
            outcome?;
            let (a, b) = (setup.mock.stats().in_flight, second.stats().in_flight);
            assert!(a >= 2 && b >= 2, "10 requests went {a} to {b}");
        }
    }
    Ok(())
}
