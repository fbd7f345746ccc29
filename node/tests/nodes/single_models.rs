//! Limits and budgets of single models hold on every path on which the model can be asked, for one
//! that has a row of its own and for one that a pattern serves.

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::sockets::connect;
use crate::harness::{self, Setup, deployment};

mod beside;
mod fallbacks;
mod names;

const PROVIDERS: [&str; 5] = ["anthropic", "azure", "gemini", "openai", "openrouter"];
const BOUNDARY: &str = "multipart/form-data; boundary=B";

/// A model of each provider's, by our name and by the provider's.
#[derive(Clone, Copy)]
enum Rows {
    Exact,
    Pattern,
}

impl Rows {
    fn ours(self, provider: &str) -> String {
        match self {
            Self::Exact => format!("own-{provider}"),
            Self::Pattern => format!("w-{provider}/up-{provider}"),
        }
    }

    async fn start(self) -> anyhow::Result<Setup> {
        self.start_with("router_settings:\n  num_retries: 0\n").await
    }

    /// With more rows, and what follows them.
    async fn start_with(self, more: &str) -> anyhow::Result<Setup> {
        let mock = MockUpstream::start(Settings::default()).await?;
        let root = format!("http://{}", mock.address());
        let mut config = "model_list:\n".to_owned();
        for provider in PROVIDERS {
            let is_chat = matches!(provider, "openai" | "openrouter");
            let base = if is_chat { mock.api_base() } else { root.clone() };
            config += &match self {
                Self::Exact => {
                    let upstream = format!("{provider}/up-{provider}");
                    deployment(&self.ours(provider), &upstream, &base)
                }
                Self::Pattern => {
                    deployment(&format!("w-{provider}/*"), &format!("{provider}/*"), &base)
                }
            };
        }
        // One whose name comes before all others, and two that ask others.
        config += &deployment("a-other", "anthropic/a-other", &root);
        config += &deployment("talk", "openai/talk-up", &mock.api_base());
        config += &deployment("routes", "openrouter/routes-up", &mock.api_base());
        config += more;
        if matches!(self, Self::Exact) {
            config += "  model_group_alias: {nick: own-openai}\n";
        }
        harness::start_with(1, mock, config).await
    }
}

/// What can be asked of a model of a provider's: the path, and the body.
fn calls(rows: Rows) -> Vec<(&'static str, String, Value)> {
    let mut calls = of_openai(&rows.ours("openai"));
    if matches!(rows, Rows::Exact) {
        calls.push(("openai", "/v1/chat/completions".into(), chat("nick")));
        calls.push(("openai", "/v1/responses/compact".into(), input("nick")));
    }
    calls.extend(of_others(rows));
    calls
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9})
}

fn input(model: &str) -> Value {
    json!({"model": model, "input": "hi"})
}

fn of_openai(ours: &str) -> Vec<(&'static str, String, Value)> {
    let in_path = ours.replace('/', "%2F");
    let no_model = json!({"messages": [{"role": "user", "content": "hi"}]});
    let pictures = json!({"model": "up-openai", "prompt": "a cat"});
    let session = json!({"session": {"type": "realtime", "model": ours}});
    let by_file = json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions"});
    let mut bogus = by_file.clone();
    bogus["model"] = json!("no-row-has-this-one-of-azure");
    let all = [
        ("/v1/chat/completions", chat(ours)),
        ("/v1/chat/completions", chat("mine")),
        (&format!("/engines/{in_path}/chat/completions"), no_model.clone()),
        (&format!("/openai/deployments/{in_path}/chat/completions"), no_model.clone()),
        ("/v1/completions", json!({"model": ours, "prompt": "hi"})),
        ("/v1/embeddings", input(ours)),
        ("/v1/responses", input(ours)),
        ("/openai/v1/responses", input(ours)),
        ("/v1/messages", chat(ours)),
        (
            &format!("/v1beta/models/{in_path}:generateContent"),
            json!({"contents": [{"parts": [{"text": "hi"}]}]}),
        ),
        ("/v1/images/generations", json!({"model": ours, "prompt": "a cat"})),
        ("/v1/audio/speech", json!({"model": ours, "input": "hi", "voice": "alloy"})),
        ("/v1/moderations", input(ours)),
        ("/v1/responses/compact", input(ours)),
        ("/v1/responses/compact", input("mine")),
        ("/openai/v1/responses/compact", input("mine")),
        ("/v1/realtime/client_secrets", session.clone()),
        ("/openai/v1/realtime/client_secrets", session),
        ("/openai/v1/chat/completions", chat("up-openai")),
        ("/openai/v1/chat/completions", chat(ours)),
        ("/openai/v1/chat/completions", chat("mine")),
        ("/openai/v1/chat/completions", chat("UP-openai")),
        ("/openai/v1/embeddings", input("up-openai")),
        ("/openai_passthrough/v1/responses", input("up-openai")),
        ("/openai/v1/images/generations", pictures),
        ("/openai/v1/engines/up-openai/completions", json!({"prompt": "hi"})),
        ("/openai_passthrough/v1/batches", by_file),
        ("/openai/v1/threads/runs", json!({"assistant_id": "asst_1"})),
        ("/openai_passthrough/v1/responses", json!({"prompt": {"id": "pmpt_1"}, "input": "hi"})),
    ];
    let named = |(path, body): (&str, Value)| ("openai", path.to_owned(), body);
    all.into_iter().map(named).collect()
}

fn of_others(rows: Rows) -> Vec<(&'static str, String, Value)> {
    let of = |model: &str| json!({"custom_id": model, "params": chat(model)});
    let batch = |model: &str| json!({"requests": [of("a-other"), of(model)]});
    let contents = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let claude = rows.ours("anthropic");
    let all = [
        ("anthropic", "/v1/messages", chat(&claude)),
        ("anthropic", "/anthropic/v1/messages", chat("up-anthropic")),
        ("anthropic", "/v1/messages/batches", batch(&claude)),
        ("anthropic", "/v1/messages/batches", batch("up-anthropic")),
        ("anthropic", "/anthropic/v1/messages/batches", batch("up-anthropic")),
        ("azure", "/azure/openai/deployments/up-azure/chat/completions", chat("x")),
        ("azure", "/azure/openai/deployments/UP-Azure/chat/completions", chat("x")),
        ("azure", "/azure/openai/deployments/up%2Dazure/chat/completions", chat("x")),
        ("azure", "/azure/openai/v1/chat/completions", chat("up-azure")),
        ("azure", "/azure/openai/batches", json!({"input_file_id": "file-1"})),
        ("gemini", "/gemini/v1beta/models/up-gemini:generateContent", contents.clone()),
        ("gemini", "/gemini/v1beta/models/up-gemini%3AgenerateContent", contents),
    ];
    let named =
        |(provider, path, body): (&'static str, &str, Value)| (provider, path.to_owned(), body);
    all.into_iter().map(named).collect()
}

/// What says that the budget for a model is spent.
fn spent_on(model: &str) -> Value {
    json!({model: {"max_budget": 0.0, "budget_duration": "1d"}})
}

/// A key whose limit for the model is used up, and one whose budget for it is spent.
async fn barred(setup: &Setup, ours: &str) -> anyhow::Result<[Client; 2]> {
    let aliases = json!({"mine": ours});
    let limited = json!({"model_rpm_limit": {ours: 1}, "aliases": aliases});
    let limited = setup.make_key(0, limited).await?;
    let first = setup.ask(0, &limited, &chat(ours)).await?;
    assert_eq!(first.status, 200, "{ours}: {}", first.body);
    let spent = json!({"model_max_budget": spent_on(ours), "aliases": aliases});
    Ok([limited, setup.make_key(0, spent).await?])
}

fn is_barred(reply: &Reply) -> bool {
    !reply.ok() && (reply.status == 429 || reply.body.contains("udget"))
}

fn assert_barred(reply: &Reply, told: &str) {
    assert!(is_barred(reply), "{told}: {} {}", reply.status, reply.body);
}

async fn every_path_is_barred(rows: Rows) -> anyhow::Result<()> {
    let (setup, mut open) = (rows.start().await?, Vec::new());
    for provider in PROVIDERS {
        let ours = rows.ours(provider);
        let keys = barred(&setup, &ours).await?;
        let before = setup.mock.stats().requests;
        for (_, path, body) in calls(rows).iter().filter(|(of, ..)| *of == provider) {
            for key in &keys {
                let reply = key.post(&setup.cluster.url(0, path), body).await?;
                if !is_barred(&reply) {
                    open.push(format!("{path} {body}: {} {}", reply.status, reply.body));
                }
            }
        }
        let after = setup.mock.stats().requests;
        assert_eq!((after, &open), (before, &Vec::new()), "of {ours} nothing goes upstream");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_to_a_model_with_a_row_is_bound_by_what_is_for_it_alone() -> anyhow::Result<()> {
    every_path_is_barred(Rows::Exact).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_to_a_model_behind_a_pattern_is_too() -> anyhow::Result<()> {
    every_path_is_barred(Rows::Pattern).await
}

/// A form between lines `--B`.
async fn send_form(
    setup: &Setup,
    key: &Client,
    path: &str,
    fields: &[(&str, &str)],
) -> anyhow::Result<Reply> {
    let part = |(name, value): &(&str, &str)| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = fields.iter().map(part).collect::<String>() + "--B--\r\n";
    let body = body.replace("name=\"file\"", "name=\"file\"; filename=\"f\"");
    let request = dunlin_cluster::http_client()?.post(setup.cluster.url(0, path));
    let request = request.bearer_auth(key.key()).header("content-type", BOUNDARY);
    let answer = request.body(body).send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Ok(Reply { status, headers, body: answer.text().await? })
}

/// What is no body of JSON: forms, files of batches, conversations.
#[tokio::test(flavor = "multi_thread")]
async fn forms_files_and_conversations_are_bound_too() -> anyhow::Result<()> {
    for rows in [Rows::Exact, Rows::Pattern] {
        let setup = rows.start().await?;
        let ours = &*rows.ours("openai");
        for key in &barred(&setup, ours).await? {
            for (path, model) in [
                ("/v1/audio/transcriptions", ours),
                ("/openai/v1/audio/transcriptions", "up-openai"),
            ] {
                let form = [("model", model), ("file", "RIFF")];
                assert_barred(&send_form(&setup, key, path, &form).await?, path);
            }
            let bearer = format!("Bearer {}", key.key());
            for model in [ours, "mine"] {
                let path = format!("/v1/realtime?model={}", model.replace('/', "%2F"));
                let refused = connect(&setup, &path, &[("authorization", &bearer)]).await;
                assert!(refused.is_err(), "{path}");
            }
        }
    }
    Ok(())
}

/// A batch is for what the lines of its file name.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_bound_by_what_is_for_the_model_of_its_lines() -> anyhow::Result<()> {
    for rows in [Rows::Exact, Rows::Pattern] {
        let setup = rows.start().await?;
        let ours = &*rows.ours("openai");
        for model in [ours, "mine"] {
            let line = json!({
                "custom_id": "1", "method": "POST", "url": "/v1/chat/completions",
                "body": chat(model),
            });
            let aliases = json!({"mine": ours});
            let spent = json!({"model_max_budget": spent_on(ours), "aliases": aliases});
            let key = setup.make_key(0, spent).await?;
            let form = [("purpose", "batch"), ("file", &*line.to_string())];
            let made = send_form(&setup, &key, "/v1/files", &form).await?;
            assert!(made.ok(), "{}", made.body);
            let file: Value = serde_json::from_str(&made.body)?;
            let batch = json!({
                "input_file_id": file["id"], "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            });
            let reply = key.post(&setup.cluster.url(0, "/v1/batches"), &batch).await?;
            assert_barred(&reply, &format!("{line}"));
        }
    }
    Ok(())
}

/// What is for one name binds no other, and what is for the pattern binds all together.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_name_behind_a_pattern_binds_no_other() -> anyhow::Result<()> {
    let setup = Rows::Pattern.start().await?;
    let limits = json!({"w-openai/x": 1, "w-openai/*": 4});
    let key = setup.make_key(0, json!({"model_rpm_limit": limits})).await?;
    let below = setup.cluster.url(0, "/openai/v1/chat/completions");
    assert_eq!(key.post(&below, &chat("x")).await?.status, 200);
    assert_barred(&setup.ask(0, &key, &chat("w-openai/x")).await?, "x");
    assert_eq!(setup.ask(0, &key, &chat("w-openai/y")).await?.status, 200);
    assert_eq!(key.post(&below, &chat("z")).await?.status, 200);
    assert_eq!(setup.ask(0, &key, &chat("w-openai/z")).await?.status, 200);
    let last = setup.ask(0, &key, &chat("w-openai/z")).await?;
    assert!(last.status == 429 && last.body.contains("w-openai/*"), "{}", last.body);
    Ok(())
}
