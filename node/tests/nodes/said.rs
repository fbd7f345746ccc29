//! What a body says of whose it is and what it is for: heard on every way that reads a body.

use dunlin_cluster::Reply;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, deployment};
use crate::responses::{line, upload};

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let (base, root) = (mock.api_base(), format!("http://{}", mock.address()));
    let config = [
        "model_list:\n".to_owned(),
        deployment("own", "openai/upstream-name", &base),
        "    model_info: {mode: responses}\n".to_owned(),
        deployment("claude", "anthropic/claude-up", &root),
        deployment("google", "gemini/gemini-up", &root),
        "router_settings:\n  num_retries: 0\n".to_owned(),
        "general_settings:\n  pass_through_endpoints:\n".to_owned(),
        format!("    - {{path: /elsewhere, target: '{base}/chat/completions', auth: true}}\n"),
    ];
    harness::start_with(1, mock, config.concat()).await
}

/// A request on each way, without what the tests add.
fn ways(file: &Value) -> Vec<(&'static str, Value)> {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let chat = json!({"model": "own", "messages": messages});
    let claude = json!({"model": "claude", "max_tokens": 9, "messages": messages});
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    let batch = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h"});
    vec![
        ("/v1/chat/completions", chat.clone()),
        ("/v1/messages", claude.clone()),
        ("/v1beta/models/google:generateContent", google.clone()),
        ("/v1/responses", json!({"model": "own", "input": "hi"})),
        ("/v1/responses/compact", json!({"model": "own", "input": "hi"})),
        ("/openai/v1/chat/completions", chat.clone()),
        ("/anthropic/v1/messages", claude),
        ("/gemini/v1beta/models/google:generateContent", google),
        ("/v1/batches", batch),
        ("/v1/conversations", json!({"model": "own"})),
        ("/elsewhere", chat),
    ]
}

fn with(body: &Value, more: &Value) -> Value {
    let mut body = body.clone();
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_blocked_and_what_is_spent_is_refused_on_every_way() -> anyhow::Result<()> {
    let setup = start().await?;
    setup.admin(0, "/customer/block", json!({"user_ids": ["cu3"]})).await?;
    setup.admin(0, "/tag/new", json!({"name": "dear", "max_budget": 0})).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let (status, file) = upload(&setup, &caller, line("own")).await?;
    assert_eq!(status, 200, "{file}");
    for (path, body) in ways(&file) {
        let url = setup.cluster.url(0, path);
        for (more, status) in [
            (json!({"litellm_metadata": {"user": "cu3"}}), 401),
            (json!({"metadata": {"user_id": "cu3"}}), 401),
            (json!({"user": "cu3"}), 401),
            (json!({"safety_identifier": "cu3"}), 401),
            (json!({"litellm_metadata": {"tags": ["dear"]}}), 422),
            (json!({"metadata": {"tags": ["dear"]}}), 422),
            (json!({"litellm_metadata": {"user": "ann", "tags": ["cheap"]}}), 200),
        ] {
            // A conversation costs nothing: no budget is in its way.
            let is_free = path == "/v1/conversations" && status == 422;
            let status = if is_free { 200 } else { status };
            let reply = caller.post(&url, &with(&body, &more)).await?;
            assert_eq!(reply.status, status, "{path} {more}: {}", reply.body);
            let tells_spend = reply.header("x-litellm-key-spend").is_some();
            assert!(status != 200 || tells_spend, "{path} {more}");
            if status == 422 {
                let named = r#""entity_type":"tag","entity_id":"dear""#;
                assert!(reply.body.contains(named), "{path}: {}", reply.body);
            }
        }
        let sent = setup.mock.last_request().expect("the last one was allowed");
        let agent = sent.headers.get("user-agent").map(|agent| agent.as_bytes());
        assert!(agent.is_some_and(|agent| agent.starts_with(b"dunlin/")), "{path}: {agent:?}");
        let sent = String::from_utf8_lossy(&sent.body).into_owned();
        assert!(!sent.contains("litellm_metadata"), "{path}: {sent}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_keys_requests_must_have_is_asked_for_on_every_way() -> anyhow::Result<()> {
    let setup = start().await?;
    let (status, file) = {
        let caller = setup.cluster.client();
        upload(&setup, caller, line("own")).await?
    };
    assert_eq!(status, 200, "{file}");
    let caller = setup.make_key(0, json!({"enforced_params": ["litellm_metadata.run"]})).await?;
    for (path, body) in ways(&file) {
        let url = setup.cluster.url(0, path);
        let refused = caller.post(&url, &body).await?;
        let is_named = refused.body.contains("param=litellm_metadata.run");
        assert!(refused.status == 400 && is_named, "{path}: {} {}", refused.status, refused.body);
        if path != "/v1/batches" {
            let reply =
                caller.post(&url, &with(&body, &json!({"litellm_metadata": {"run": 1}}))).await?;
            assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        }
    }
    // A form may have it; a file that would only pass is read for it.
    for path in ["/v1/files", "/openai/v1/files"] {
        let form = |more: &str| {
            format!(
                "--B\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n{more}\
                 --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n\
                 --B--\r\n"
            )
        };
        let run = "--B\r\nContent-Disposition: form-data; name=\"litellm_metadata\"\r\n\r\n\
            {\"run\":1}\r\n";
        for (more, status) in [("", 400), (run, 200)] {
            let request = dunlin_cluster::http_client()?.post(setup.cluster.url(0, path));
            let request = request.bearer_auth(caller.key());
            let request = request.header("content-type", "multipart/form-data; boundary=B");
            let answer = request.body(form(more)).send().await?;
            assert_eq!(answer.status().as_u16(), status, "{path}: {}", answer.text().await?);
        }
    }
    let count = json!({"model": "claude", "messages": [{"role": "user", "content": "hi"}]});
    let url = setup.cluster.url(0, "/v1/messages/count_tokens");
    assert_eq!(caller.post(&url, &count).await?.status, 200, "a count asks nobody for anything");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_takes_nothing_of_a_limit() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let own = harness::deployment("own", "openai/up", &mock.api_base());
    let chat = harness::deployment("chat", "openai/up", &mock.api_base());
    let root = mock.api_base().trim_end_matches("/v1").to_owned();
    let claude = harness::deployment("claude", "anthropic/up", &root);
    let google = harness::deployment("google", "gemini/up", &root);
    let config =
        format!("model_list:\n{own}    model_info: {{mode: responses}}\n{chat}{claude}{google}");
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.make_key(0, json!({"rpm_limit": 1, "tpm_limit": 10_000})).await?;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    for _ in 0..2 {
        for (path, body) in [
            ("/v1/messages/count_tokens", json!({"model": "chat", "messages": messages})),
            ("/v1/responses/input_tokens", json!({"model": "chat", "input": "hi"})),
            ("/v1/responses/input_tokens", json!({"model": "own", "input": "hi"})),
            ("/v1beta/models/chat:countTokens", json!({"contents": contents})),
            ("/utils/token_counter", json!({"model": "chat", "messages": messages})),
            (
                "/anthropic/v1/messages/count_tokens",
                json!({"model": "claude", "messages": messages}),
            ),
            ("/gemini/v1beta/models/google:countTokens", json!({"contents": contents})),
            ("/gemini/v1beta/models/google%3AcountTokens", json!({"contents": contents})),
            ("/openai/v1/responses/input_tokens", json!({"model": "chat", "input": "hi"})),
        ] {
            let counted = caller.post(&setup.cluster.url(0, path), &body).await?;
            assert_eq!(counted.status, 200, "{path}: {}", counted.body);
        }
    }
    let odd = json!({"model": "claude", "messages": 7});
    let path = setup.cluster.url(0, "/anthropic/v1/messages/count_tokens");
    assert_eq!(caller.post(&path, &odd).await?.status, 400, "its provider refuses it");
    assert_eq!(setup.records(0)?.len(), 0, "nothing of it is on record");
    assert_eq!(setup.chat(0, &caller).await?.status, 200, "its one request is left");
    assert_eq!(setup.chat(0, &caller).await?.status, 429);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_whose_budget_or_limit_it_is() -> anyhow::Result<()> {
    let setup = harness::start(1).await?;
    let refused = async |fields: Value| -> anyhow::Result<Reply> {
        let caller = setup.make_key(0, fields).await?;
        Ok(setup.chat(0, &caller).await?)
    };
    let spent = refused(json!({"max_budget": 0})).await?;
    assert_eq!(spent.status, 422, "{}", spent.body);
    assert_eq!(spent.header("x-litellm-key-max-budget"), Some("0.0"));
    let limited = refused(json!({"rpm_limit": 0})).await?;
    assert_eq!(limited.status, 429, "{}", limited.body);
    for reply in [spent, limited] {
        let error = harness::error_of(&reply)?;
        assert_eq!(error["entity_type"], "key", "{error}");
        assert_eq!(error["entity_id"].as_str().map(str::len), Some(64), "the key's hash: {error}");
    }
    for probe in ["/health/liveliness", "/health/liveness", "/health/readiness"] {
        let (status, body) =
            harness::send(&setup, 0, setup.cluster.client(), "OPTIONS", probe).await?;
        assert_eq!(status, 200, "{probe}: {body}");
    }
    Ok(())
}
