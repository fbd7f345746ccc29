//! What a request asks beside its own model: by a tool, or as one of several that may answer. And what
//! is spoken with, and tuned.

use super::*;

const SDP: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n";

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// Requests whose tools ask `model`.
fn tools(model: &str) -> Vec<(&'static str, Value)> {
    let tools = json!([
        {"type": "function", "name": "model", "parameters": {}},
        {"type": "image_generation", "model": model},
    ]);
    vec![
        ("/v1/responses", with(input("talk"), "tools", tools.clone())),
        ("/v1/messages", with(chat("talk"), "tools", tools.clone())),
        ("/openai_passthrough/v1/responses", with(input("talk-up"), "tools", tools)),
    ]
}

/// Requests that `model` may answer instead.
fn others(model: &str) -> Vec<(&'static str, Value)> {
    let others = json!(["another", model]);
    vec![
        ("/v1/chat/completions", with(chat("routes"), "models", others.clone())),
        ("/v1/chat/completions", with(chat("routes"), "extra_body", json!({"models": others}))),
        ("/openrouter/v1/chat/completions", with(chat("routes-up"), "models", others)),
    ]
}

/// Makes sure that nothing of these goes upstream for who is barred from `ours`.
async fn are_bound(
    setup: &Setup,
    ours: &str,
    asks: &[(&'static str, Value)],
) -> anyhow::Result<()> {
    let mut open = Vec::new();
    for key in &barred(setup, ours).await? {
        let before = setup.mock.stats().requests;
        for (path, body) in asks {
            let reply = key.post(&setup.cluster.url(0, path), body).await?;
            if !is_barred(&reply) {
                open.push(format!("{path} {body}: {} {}", reply.status, reply.body));
            }
        }
        assert_eq!((setup.mock.stats().requests, &open), (before, &Vec::new()), "{ours}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_beside_a_requests_own_model_is_bound_too() -> anyhow::Result<()> {
    for rows in [Rows::Exact, Rows::Pattern] {
        let setup = rows.start().await?;
        are_bound(&setup, &rows.ours("openai"), &tools("up-openai")).await?;
        are_bound(&setup, &rows.ours("openrouter"), &others("up-openrouter")).await?;
        // One that is bound by nothing is asked, whatever its provider makes of it.
        let free = setup.make_key(0, json!({})).await?;
        for (path, body) in tools("up-openai").into_iter().chain(others("up-openrouter")) {
            let reply = free.post(&setup.cluster.url(0, path), &body).await?;
            assert!(!is_barred(&reply), "{path} {body}: {} {}", reply.status, reply.body);
        }
    }
    Ok(())
}

/// OpenAI's tool for pictures has a model if it names none.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_without_a_model_is_bound_as_the_one_it_has() -> anyhow::Result<()> {
    let setup = Rows::Exact.start().await?;
    let key = setup.make_key(0, json!({"model_max_budget": spent_on("gpt-image-1")})).await?;
    let body = json!({"model": "talk", "input": "hi", "tools": [{"type": "image_generation"}]});
    let reply = key.post(&setup.cluster.url(0, "/v1/responses"), &body).await?;
    assert_barred(&reply, "gpt-image-1");
    Ok(())
}

/// Each is looked up, so there is a bound on them.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_too_many_models_is_refused() -> anyhow::Result<()> {
    let setup = Rows::Exact.start().await?;
    let key = setup.make_key(0, json!({})).await?;
    let names = |count: usize| (0..count).map(|at| json!(format!("m{at}"))).collect::<Value>();
    let tool = json!({"type": "image_generation"});
    let fallbacks = json!(vec![json!({"model": "up-anthropic"}); 33]);
    for (path, body) in [
        ("/v1/chat/completions", with(chat("routes"), "models", names(33))),
        ("/openrouter/v1/chat/completions", with(chat("routes-up"), "models", names(33))),
        ("/v1/responses", with(input("talk"), "tools", vec![tool; 33].into())),
        ("/v1/messages", with(chat("a-other"), "fallbacks", fallbacks)),
    ] {
        let before = setup.mock.stats().requests;
        let reply = key.post(&setup.cluster.url(0, path), &body).await?;
        let is_told = reply.status == 400 && reply.body.contains("32 models");
        assert!(is_told, "{path}: {} {}", reply.status, reply.body);
        assert_eq!(setup.mock.stats().requests, before, "{path}");
    }
    let most = with(chat("routes"), "models", names(32));
    let reply = key.post(&setup.cluster.url(0, "/v1/chat/completions"), &most).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    Ok(())
}

/// A file of one line for a batch of responses whose tools draw.
fn line_that_draws(model: &str, painter: &str) -> String {
    let body = with(input(model), "tools", json!([{"type": "image_generation", "model": painter}]));
    json!({"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": body}).to_string()
}

/// Tools of the requests of a batch ask as those of any other do.
#[tokio::test(flavor = "multi_thread")]
async fn what_tools_of_a_batch_ask_is_bound_and_must_be_allowed() -> anyhow::Result<()> {
    for rows in [Rows::Exact, Rows::Pattern] {
        let setup = rows.start().await?;
        let (ours, claude) = (rows.ours("openai"), rows.ours("anthropic"));
        let file = [("purpose", "batch"), ("file", &*line_that_draws("talk", "up-openai"))];
        let advisor = json!({"type": "advisor_20260301", "name": "a", "model": "up-anthropic"});
        let params = with(chat("a-other"), "tools", json!([advisor]));
        let batch = json!({"requests": [
            {"custom_id": "1", "params": chat("a-other")}, {"custom_id": "2", "params": params}]});
        let messages = ["/v1/messages/batches", "/anthropic/v1/messages/batches"];

        let key = setup.make_key(0, json!({"models": ["talk", "a-other"]})).await?;
        let reply = send_form(&setup, &key, "/v1/files", &file).await?;
        assert_eq!(reply.status, 403, "{}", reply.body);
        assert!(reply.body.contains("line 1: "), "{}", reply.body);
        for path in messages {
            let reply = key.post(&setup.cluster.url(0, path), &batch).await?;
            assert_eq!(reply.status, 403, "{path}: {}", reply.body);
            assert!(reply.body.contains("request 2: "), "{path}: {}", reply.body);
        }
        for key in &barred(&setup, &ours).await? {
            let made = send_form(&setup, key, "/v1/files", &file).await?;
            assert!(made.ok(), "{}", made.body);
            let batch = json!({"input_file_id": made.json::<Value>()?["id"],
                "endpoint": "/v1/responses", "completion_window": "24h"});
            let reply = key.post(&setup.cluster.url(0, "/v1/batches"), &batch).await?;
            assert_barred(&reply, "a line's tool");
        }
        for key in &barred(&setup, &claude).await? {
            for path in messages {
                let reply = key.post(&setup.cluster.url(0, path), &batch).await?;
                assert_barred(&reply, path);
            }
        }
    }
    Ok(())
}

/// A call names what is spoken with in its session.
#[tokio::test(flavor = "multi_thread")]
async fn the_model_of_a_calls_session_is_bound() -> anyhow::Result<()> {
    for rows in [Rows::Exact, Rows::Pattern] {
        let setup = rows.start().await?;
        let ours = rows.ours("openai");
        for key in &barred(&setup, &ours).await? {
            let session = json!({"type": "realtime", "model": ours}).to_string();
            let form = [("sdp", SDP), ("session", &*session)];
            let reply = send_form(&setup, key, "/v1/realtime/calls", &form).await?;
            assert_barred(&reply, &session);
        }
    }
    Ok(())
}

/// What is tuned is asked for by its name, too.
#[tokio::test(flavor = "multi_thread")]
async fn tuning_a_model_is_bound_by_what_is_for_it() -> anyhow::Result<()> {
    for rows in [Rows::Exact, Rows::Pattern] {
        let setup = rows.start().await?;
        let ours = &*rows.ours("openai");
        for key in &barred(&setup, ours).await? {
            let form = [("purpose", "fine-tune"), ("model", "talk"), ("file", "{}")];
            let made = send_form(&setup, key, "/v1/files", &form).await?;
            assert!(made.ok(), "{}", made.body);
            let file = serde_json::from_str::<Value>(&made.body)?["id"].clone();
            let before = setup.mock.stats().requests;
            for model in [ours, "mine"] {
                let job = json!({"model": model, "training_file": file});
                let url = setup.cluster.url(0, "/v1/fine_tuning/jobs");
                assert_barred(&key.post(&url, &job).await?, model);
            }
            assert_eq!(setup.mock.stats().requests, before, "nothing goes upstream");
        }
    }
    Ok(())
}
