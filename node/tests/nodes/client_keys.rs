//! A provider's key that a request brings: it takes the place of the deployment's for that request
//! alone, and is nowhere else.

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, deployment};

const MINE: &str = "sk-mine-and-nobody-elses";

async fn start(general: &str) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let (base, root) = (mock.api_base(), format!("http://{}", mock.address()));
    let takes = |of: &str| format!("      configurable_clientside_auth_params: [{of}]\n");
    let pattern =
        format!(r#"api_key, api_base: "http://127\\.0\\.0\\.1:{}/v1""#, mock.address().port());
    let models = [
        deployment("open", "openai/up", &base) + &takes("api_key"),
        deployment("open", "mistral/up", &base) + &takes("api_key"),
        deployment("claude", "anthropic/claude-up", &root) + &takes("api_key"),
        deployment("placed", "openai/up", &base) + &takes(&pattern),
        deployment("closed", "openai/up", &base),
    ];
    let config = format!(
        "model_list:\n{}general_settings:\n  api_model_networks: [public, loopback]\n{general}\
         router_settings:\n  num_retries: 0\n  fallbacks: [{{open: [closed]}}]\n",
        models.concat()
    );
    harness::start_with(1, mock, config).await
}

async fn ask(
    setup: &Setup,
    caller: &Client,
    path: &str,
    model: &str,
    more: Value,
) -> anyhow::Result<Reply> {
    let mut body = json!({"model": model, "api_key": MINE});
    match path {
        "/v1/embeddings" | "/v1/responses" => body["input"] = json!("hi"),
        "/v1/completions" => body["prompt"] = json!("hi"),
        "/v1/images/generations" => body["prompt"] = json!("a bird"),
        _ => body["messages"] = json!([{"role": "user", "content": "hi"}]),
    }
    if path == "/v1/messages" {
        body["max_tokens"] = json!(9);
    }
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    Ok(caller.post(&setup.cluster.url(0, path), &body).await?)
}

/// The key that the last request came with upstream.
fn shown(setup: &Setup) -> String {
    let sent = setup.mock.last_request().expect("a request");
    let body = String::from_utf8_lossy(&sent.body);
    assert!(!body.contains("api_key") && !body.contains(MINE), "{body}");
    let header = |name: &str| sent.headers.get(name)?.to_str().ok().map(str::to_owned);
    let key = header("authorization").or(header("x-api-key")).unwrap_or_default();
    key.trim_start_matches("Bearer ").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_request_brings_is_used_for_it_alone() -> anyhow::Result<()> {
    let setup = start("").await?;
    let caller = setup.make_key(0, json!({})).await?;
    for (path, model) in [
        ("/v1/chat/completions", "open"),
        ("/v1/completions", "open"),
        ("/v1/embeddings", "open"),
        ("/v1/responses", "open"),
        ("/v1/messages", "open"),
        ("/v1/messages", "claude"),
        ("/v1/chat/completions", "claude"),
    ] {
        let reply = ask(&setup, &caller, path, model, json!({})).await?;
        assert_eq!(reply.status, 200, "{path} {model}: {}", reply.body);
        assert_eq!(shown(&setup), MINE, "{path} {model}");
    }
    wait_until("it counts", 2 * SOON, async || {
        let info = setup.key_info(0, &caller).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spent| spent > 0.0)
    })
    .await?;
    let chat = "/v1/chat/completions";
    let reply = ask(&setup, &caller, chat, "open", json!({"api_key": null})).await?;
    assert_eq!((reply.status, &*shown(&setup)), (200, "sk-upstream"));

    let said = json!({"messages": [{"role": "user", "content": "[[status:401]]"}]});
    for _ in 0..4 {
        let refused = ask(&setup, &caller, chat, "open", said.clone()).await?;
        assert_eq!(refused.status, 401, "nobody answers in its place: {}", refused.body);
        assert!(!refused.body.contains(MINE), "{}", refused.body);
        assert_eq!(shown(&setup), MINE);
    }
    let reply = ask(&setup, &caller, chat, "open", json!({"api_key": null})).await?;
    assert_eq!(reply.status, 200, "its deployments are not left alone: {}", reply.body);
    let groups = setup.cluster.url(0, "/model_group/info");
    let groups: Value = caller.get(&groups).await?.json()?;
    let open = groups["data"].as_array().into_iter().flatten();
    let open = open.filter(|group| group["model_group"] == "open");
    let told: Vec<_> = open.map(|one| &one["configurable_clientside_auth_params"]).collect();
    assert_eq!(told, [&json!(["api_key"])]);
    let rows = setup.cluster.url(0, "/spend/logs?summarize=false");
    assert!(!setup.cluster.client().get(&rows).await?.body.contains(MINE));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_an_address_are_taken_only_where_they_may_be_brought() -> anyhow::Result<()> {
    let setup = start("").await?;
    let caller = setup.make_key(0, json!({})).await?;
    let base = setup.mock.api_base();
    let chat = "/v1/chat/completions";
    let before = setup.mock.stats().requests;
    for (path, model, more, told) in [
        (chat, "closed", json!({}), "'api_key' is not allowed"),
        (chat, "open", json!({"api_base": base}), "'api_base' is not allowed"),
        (chat, "open", json!({"base_url": base}), "'base_url' is not allowed"),
        (chat, "placed", json!({"api_base": "http://127.0.0.1:1/v1"}), "'api_base' is not allowed"),
        (chat, "placed", json!({"api_base": base, "api_key": null}), "'api_base' is not allowed"),
        (chat, "open", json!({"api_key": 7}), "'api_key': expected"),
        (chat, "open,claude", json!({}), "one model"),
        ("/v1/responses", "open", json!({"background": true}), "background"),
        ("/v1/images/generations", "open", json!({}), "'api_key' is not allowed"),
    ] {
        let refused = ask(&setup, &caller, path, model, more.clone()).await?;
        assert_eq!(refused.status, 400, "{path} {model} {more}: {}", refused.body);
        assert!(refused.body.contains(told), "{told}: {}", refused.body);
        assert!(!refused.body.contains(MINE), "{}", refused.body);
    }
    assert_eq!(setup.mock.stats().requests, before);
    let reply = ask(&setup, &caller, chat, "placed", json!({"api_base": base})).await?;
    assert_eq!((reply.status, &*shown(&setup)), (200, MINE), "{}", reply.body);

    let setup = start("  allow_client_side_credentials: true\n").await?;
    let caller = setup.make_key(0, json!({})).await?;
    let reply = ask(&setup, &caller, chat, "closed", json!({})).await?;
    assert_eq!((reply.status, &*shown(&setup)), (200, MINE), "{}", reply.body);
    let base = json!({"api_base": setup.mock.api_base()});
    let refused = ask(&setup, &caller, chat, "closed", base).await?;
    assert_eq!(refused.status, 400, "{}", refused.body);
    Ok(())
}
