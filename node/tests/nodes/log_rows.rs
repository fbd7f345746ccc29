//! What a row of the request log says of calls that are no chats, and of those that are refused before
//! a model is asked: the kind of call, the model, on whose behalf, and the id that its client was told.

use anyhow::{Context, ensure};
use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup};

const FORM: &str = "multipart/form-data; boundary=B";

fn form(fields: &[(&str, &str)], file: &str) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "{fields}--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\
         {file}\r\n--B--\r\n"
    )
}

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let chat = harness::deployment("chat", "openai/up", &mock.api_base());
    let own = harness::deployment("own", "openai/up", &mock.api_base());
    let config = format!("model_list:\n{chat}{own}    model_info: {{mode: responses}}\n");
    harness::start_with(1, mock, config).await
}

/// What is answered to a call by a key of its own, and that key's rows in the log.
async fn called(
    setup: &Setup,
    caller: &Client,
    (path, kind, body): (&str, &str, String),
    rows: usize,
) -> anyhow::Result<(Value, Vec<Value>)> {
    let request = dunlin_cluster::http_client()?.post(setup.cluster.url(0, path));
    let request = request.bearer_auth(caller.key()).header("content-type", kind);
    let request = request.header("x-litellm-tags", "red").header("x-litellm-end-user-id", "ann");
    let answer: Value = serde_json::from_str(&request.body(body).send().await?.text().await?)?;
    let log = setup.cluster.url(0, "/spend/logs?summarize=false");
    let read = async || -> anyhow::Result<Vec<Value>> {
        let reply = caller.get(&log).await?;
        ensure!(reply.ok(), "{}", reply.body);
        reply.json()
    };
    let all = async || read().await.is_ok_and(|found| found.len() >= rows);
    wait_until("rows in the log", SOON, all).await?;
    Ok((answer, read().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_on_record_as_what_it_was_and_whose() -> anyhow::Result<()> {
    let setup = start().await?;
    let json = "application/json";
    let line = |model: &str| {
        let body = json!({"model": model, "messages": []});
        json!({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body})
            .to_string()
    };
    let chat = |model: &str| json!({"model": model, "messages": [], "max_tokens": 1}).to_string();
    let batch = json!({"input_file_id": "file-none", "endpoint": "/v1/chat/completions"});
    let cases = [
        ("/v1/audio/transcriptions", FORM, form(&[], "x"), "atranscription", ""),
        ("/v1/audio/transcriptions", FORM, form(&[("model", "no")], "x"), "atranscription", "no"),
        ("/v1/files", FORM, form(&[("purpose", "batch")], &line("no")), "acreate_file", "no"),
        ("/v1/batches", json, batch.to_string(), "acreate_batch", ""),
        ("/v1/chat/completions", json, "{}".to_owned(), "acompletion", ""),
        ("/anthropic/v1/messages", json, chat("claude"), "pass_through_endpoint", "claude"),
        ("/cohere/v2/chat", json, chat("command"), "pass_through_endpoint", "command"),
        (
            "/vertex_ai/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
            json,
            json!({"contents": []}).to_string(),
            "pass_through_endpoint",
            "g",
        ),
    ];
    for (path, kind, body, call_type, model) in cases {
        let caller = setup.make_key(0, json!({})).await?;
        let (answer, rows) = called(&setup, &caller, (path, kind, body), 1).await?;
        let row = rows.first().context("a row")?;
        let told = json!([row["call_type"], row["model"], row["end_user"], row["request_tags"]]);
        assert_eq!(told, json!([call_type, model, "ann", ["red"]]), "{path}: {answer}");
        assert_eq!(row["status"], "failure", "{path}: {answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_on_record_by_the_id_that_its_client_got() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let body = json!({"model": "chat", "messages": [{"role": "user", "content": "hi"}]});
    let line =
        json!({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body});
    let body = form(&[("purpose", "batch")], &line.to_string());
    let (file, rows) = called(&setup, &caller, ("/v1/files", FORM, body), 1).await?;
    assert!(file["id"].is_string(), "{file}");
    let told = |rows: &[Value]| {
        let row = |row: &Value| json!([row["request_id"], row["call_type"], row["model_group"]]);
        rows.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(told(&rows), [json!([file["id"], "acreate_file", "chat"])]);
    assert_eq!(rows[0]["custom_llm_provider"], "openai");

    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h"});
    let sent = ("/v1/batches", "application/json", body.to_string());
    let (batch, rows) = called(&setup, &caller, sent, 2).await?;
    let made = json!([batch["id"], "acreate_batch", "chat"]);
    assert!(batch["id"].is_string() && told(&rows).contains(&made), "{batch}: {rows:?}");

    for stream in [false, true] {
        let caller = setup.make_key(0, json!({})).await?;
        let body = json!({"model": "up", "stream": stream,
            "messages": [{"role": "user", "content": "hi"}]});
        let url = setup.cluster.url(0, "/openai_passthrough/chat/completions");
        let passed = caller.post(&url, &body).await?;
        let (_, id) = passed.body.split_once(r#""id":""#).context("an id")?;
        let (id, _) = id.split_once('"').context("its end")?;
        let path = format!("/spend/logs?request_id={id}");
        wait_until("the row", SOON, async || {
            let found = caller.get(&setup.cluster.url(0, &path)).await;
            let rows: Vec<Value> =
                found.ok().and_then(|reply| reply.json().ok()).unwrap_or_default();
            rows.first().is_some_and(|row| row["call_type"] == "pass_through_endpoint")
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_count_is_on_record_whoever_counts() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let messages = json!([{"role": "user", "content": "hi"}]);
    for (path, model) in [
        ("/v1/responses/input_tokens", "chat"),
        ("/v1/responses/input_tokens", "own"),
        ("/v1/responses/input_tokens", "none"),
        ("/v1/messages/count_tokens", "chat"),
        ("/v1/messages/count_tokens", "none"),
    ] {
        let body = json!({"model": model, "input": "hi", "messages": messages}).to_string();
        let (answer, _) = called(&setup, &caller, (path, "application/json", body), 0).await?;
        assert_eq!(answer["input_tokens"].is_u64(), model != "none", "{path} {model}: {answer}");
    }
    // What comes behind them is on record, so that they would be.
    let chat = json!({"model": "chat", "messages": messages}).to_string();
    let sent = ("/v1/chat/completions", "application/json", chat);
    let (_, rows) = called(&setup, &caller, sent, 1).await?;
    assert_eq!(rows.len(), 1, "{rows:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_provider_could_not_be_reached_is_told_and_where_it_was_sought() -> anyhow::Result<()>
{
    const NOWHERE: &str = "http://no-such-host.invalid/v1";
    let mock = MockUpstream::start(Settings::default()).await?;
    let lost = harness::deployment("lost", "openai/up", NOWHERE);
    let config = format!("model_list:\n{lost}router_settings: {{num_retries: 0}}\n");
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let body = json!({"model": "lost", "messages": [{"role": "user", "content": "hi"}]});
    let call = ("/v1/chat/completions", "application/json", body.to_string());
    let (answer, rows) = called(&setup, &caller, call, 1).await?;
    let why = "Connection error: the host name cannot be resolved.";
    let told = answer["error"]["message"].as_str().context("an error")?;
    ensure!(told.contains(why) && !told.contains("no-such-host"), "{answer}");
    let row = rows.first().context("a row")?;
    assert_eq!(
        (&row["api_base"], &row["custom_llm_provider"]),
        (&json!(NOWHERE), &json!("openai"))
    );
    let status = setup.cluster.status(0).await?;
    let state = status.backends.first().map(|backend| backend.state.as_str());
    let expected = "unreachable: the host name cannot be resolved";
    assert_eq!(state, Some(expected));
    let log = std::fs::read_to_string(setup.cluster.nodes()[0].log())?;
    ensure!(
        log.contains("a backend is left alone: no connection could be made: the host"),
        "{log}"
    );
    Ok(())
}
