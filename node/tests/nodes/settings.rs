//! What a deployment says of how its provider is to be called, and of how clients reach the gateway.

use dunlin_cluster::{Cluster, Launcher};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, FORMED, Scripted, Setup};

const ANSWER: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,
    "message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

fn config(base: &str) -> String {
    format!(
        r#"
credential_list:
  - credential_name: shared
    credential_values: {{api_key: sk-of-the-credential, api_base: "{base}"}}
model_list:
  - model_name: full
    litellm_params:
      model: openai/up
      litellm_credential_name: shared
      organization: org-1
      extra_headers: {{x-team: blue}}
      extra_body: {{zone: 7}}
      temperature: 0.25
      additional_drop_params: [seed, "tools[*].function.strict"]
  - model_name: azure
    litellm_params: {{model: azure/gpt, api_base: "{}", api_key: sk-azure, api_version: 2025-01-01-preview}}
  - model_name: "wild/*"
    litellm_params: {{model: "openai/*", litellm_credential_name: shared}}
  - model_name: strict
    litellm_params: {{model: mistral/up, api_key: sk-m, api_base: "{base}"}}
  - model_name: lenient
    litellm_params: {{model: mistral/up, api_key: sk-m, api_base: "{base}", drop_params: true}}
  - model_name: forced
    litellm_params: {{model: mistral/up, api_key: sk-m, api_base: "{base}", allowed_openai_params: [logit_bias]}}
"#,
        base.trim_end_matches("/v1")
    )
}

async fn start() -> anyhow::Result<(Setup, Scripted)> {
    let upstream = Scripted::start("application/json", vec![ANSWER.to_owned()]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, config(&upstream.api_base())).await?;
    Ok((setup, upstream))
}

async fn ask(
    setup: &Setup,
    upstream: &Scripted,
    model: &str,
    more: Value,
) -> anyhow::Result<(u16, String, Value)> {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in more.as_object().expect("members") {
        body[name] = value.clone();
    }
    let reply = setup.ask(0, setup.cluster.client(), &body).await?;
    let head = upstream.last().to_lowercase();
    let head = head.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    let sent = serde_json::from_str(&upstream.last_body()).unwrap_or_default();
    Ok((reply.status, if reply.ok() { head } else { reply.body }, sent))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_called_as_it_says() -> anyhow::Result<()> {
    let (setup, upstream) = start().await?;
    let tools =
        json!([{"type": "function", "function": {"name": "f", "parameters": {}, "strict": true}}]);
    let (status, head, sent) =
        ask(&setup, &upstream, "full", json!({"seed": 3, "tools": tools, "vllm_extra": [1.50]}))
            .await?;
    assert_eq!(status, 200, "{head}");
    for line in
        ["authorization: bearer sk-of-the-credential", "openai-organization: org-1", "x-team: blue"]
    {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    assert!(head.starts_with("post /v1/chat/completions "), "{head}");
    assert_eq!((&sent["model"], &sent["zone"]), (&json!("up"), &json!(7)));
    assert_eq!((&sent["temperature"], &sent["vllm_extra"]), (&json!(0.25), &json!([1.5])));
    assert_eq!((&sent["seed"], &sent["tools"][0]["function"].get("strict")), (&Value::Null, &None));
    let (_, _, sent) = ask(&setup, &upstream, "full", json!({"temperature": 1})).await?;
    assert_eq!(sent["temperature"], 1, "the client's own word holds");

    let (status, head, _) = ask(&setup, &upstream, "azure", json!({})).await?;
    assert_eq!(status, 200, "{head}");
    let path = "post /openai/deployments/gpt/chat/completions?api-version=2025-01-01-preview ";
    assert!(head.starts_with(path) && head.contains("api-key: sk-azure"), "{head}");

    let (status, _, sent) = ask(&setup, &upstream, "wild/some/model", json!({})).await?;
    assert_eq!((status, &sent["model"]), (200, &json!("some/model")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_does_not_take_is_refused_dropped_or_forced() -> anyhow::Result<()> {
    let (setup, upstream) = start().await?;
    let odd = json!({"logit_bias": {"1": 2}});
    let (status, body, _) = ask(&setup, &upstream, "strict", odd.clone()).await?;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("litellm.UnsupportedParamsError"), "{body}");
    for (model, expected) in [("lenient", &Value::Null), ("forced", &odd["logit_bias"])] {
        let (status, head, sent) = ask(&setup, &upstream, model, odd.clone()).await?;
        assert_eq!(status, 200, "{model}: {head}");
        assert_eq!(&sent["logit_bias"], expected, "{model}");
    }
    Ok(())
}

/// Where they are is told to clients that go there from the host, and to SDKs, which put it behind
/// their base URL.
async fn answers_of_a_batch_are_below_the_root(cluster: &Cluster) -> anyhow::Result<()> {
    let caller = cluster.client();
    let params = json!({"model": "claude", "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}]});
    let batch = json!({"requests": [{"custom_id": "a", "params": params}]});
    for prefix in ["", "/anthropic"] {
        let at = format!("/llm{prefix}/v1/messages/batches");
        let made: Value = caller.post(&cluster.url(0, &at), &batch).await?.json()?;
        let one = format!("{at}/{}", made["id"].as_str().expect("an id"));
        let shown: Value = caller.get(&cluster.url(0, &one)).await?.json()?;
        let place = shown["results_url"].as_str().expect("a place").to_owned();
        assert_eq!(place, format!("{one}/results"));
        for place in [format!("/llm{prefix}{place}"), place] {
            let answers = caller.get(&cluster.url(0, &place)).await?;
            let told = (answers.status, answers.body.lines().count());
            assert_eq!(told, (200, 1), "{place}: {}", answers.body);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_browsers_and_below_a_path_are_served() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let dir = tempfile::Builder::new().prefix("dunlin-test-").tempdir()?;
    let root = mock.api_base().trim_end_matches("/v1").to_owned();
    let claude = harness::deployment("claude", "anthropic/up", &root);
    let chat = harness::deployment("chat", "openai/up", &mock.api_base());
    let config = format!("model_list:\n{chat}{claude}");
    let environment = vec![("SERVER_ROOT_PATH".to_owned(), "/llm".to_owned())];
    let plain = Launcher::new(harness::binary(), dir.path().to_owned(), config);
    let mut cluster = Launcher { nodes: 1, environment, ..plain }.start().await?;
    cluster.wait_ready(FORMED).await?;
    for path in ["/llm/v1/chat/completions", "/v1/chat/completions"] {
        let reply = cluster.client().post(&cluster.url(0, path), &harness::chat_body()).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    for (path, place, told) in [
        ("/llm", "/name", json!("dunlin")),
        ("/llm", "/openapi", json!("/llm/openapi.json")),
        ("/llm/openapi.json", "/servers", json!([{"url": "/llm"}])),
    ] {
        let reply = cluster.client().get(&cluster.url(0, path)).await?;
        let body: Value = reply.json()?;
        assert_eq!(body.pointer(place), Some(&told), "{path}: {}", reply.body);
    }
    answers_of_a_batch_are_below_the_root(&cluster).await?;
    let asked = dunlin_cluster::http_client()?
        .request("OPTIONS".parse()?, cluster.url(0, "/llm/v1/chat/completions"))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-own")
        .send()
        .await?;
    assert_eq!(asked.status().as_u16(), 200);
    let told = |name: &str| asked.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!(told("access-control-allow-headers"), Some("authorization,x-own"));
    assert!(told("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert_eq!(told("access-control-max-age"), Some("600"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_a_413_that_its_client_can_read() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let long = "x".repeat(33 << 20);
    let body = json!({"model": "chat", "messages": [{"role": "user", "content": long}]});
    let reply = setup.ask(0, setup.cluster.client(), &body).await?;
    harness::assert_error(
        &reply,
        413,
        json!("invalid_request_error"),
        "the request body is longer",
    );
    Ok(())
}
