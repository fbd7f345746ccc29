//! Providers' own APIs through the gateway: the bytes pass, the credential is the deployment's, the
//! key's rights and its spend are as everywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_cluster::{Client, wait_until};
use dunlin_mock_upstream::{MockUpstream, Recorded, Settings};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{self, SOON, Setup, assert_error, deployment};

/// A call of each provider's own API: the path behind the gateway, the path that the provider
/// sees, and the header in which it finds its key.
const CALLS: &[(&str, &str, (&str, &str), Body)] = &[
    ("/anthropic/v1/messages", "/v1/messages", ("x-api-key", "sk-upstream"), Body::Messages),
    ("/cohere/v2/chat", "/v2/chat", BEARER, Body::Chat("command-up")),
    (
        "/gemini/v1beta/models/gemini-up:generateContent",
        "/v1beta/models/gemini-up:generateContent",
        ("x-goog-api-key", "sk-upstream"),
        Body::Contents,
    ),
    (
        "/gemini/v1beta/models/google:generateContent",
        "/v1beta/models/gemini-up:generateContent",
        ("x-goog-api-key", "sk-upstream"),
        Body::Contents,
    ),
    ("/ollama/api/chat", "/api/chat", BEARER, Body::Chat("llama-up")),
    ("/openai/v1/chat/completions", "/v1/chat/completions", BEARER, Body::Chat("upstream-name")),
    ("/openai_passthrough/chat/completions", "/v1/chat/completions", BEARER, Body::Chat("chat")),
    ("/vllm/v1/completions", "/v1/completions", BEARER, Body::Prompt),
];
/// Where the answers count what a model wrote.
const COUNTED: &[&str] = &[
    "/usage/output_tokens",
    "/usage/tokens/output_tokens",
    "/usageMetadata/candidatesTokenCount",
    "/eval_count",
    "/usage/completion_tokens",
];
const BEARER: (&str, &str) = ("authorization", "Bearer sk-upstream");

#[derive(Clone, Copy)]
enum Body {
    Chat(&'static str),
    Contents,
    Messages,
    Prompt,
}

impl Body {
    fn json(self) -> Value {
        let messages = json!([{"role": "user", "content": "hi"}]);
        match self {
            Self::Chat(model) => json!({"model": model, "messages": messages}),
            Self::Contents => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            Self::Messages => json!({"model": "claude-up", "max_tokens": 9, "messages": messages}),
            Self::Prompt => json!({"model": "qwen-up", "prompt": "hi"}),
        }
    }
}

async fn start(settings: Settings) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(settings).await?;
    let (base, root) = (mock.api_base(), format!("http://{}", mock.address()));
    let config = [
        "model_list:\n".to_owned(),
        deployment("chat", "openai/upstream-name", &base),
        deployment("claude", "anthropic/claude-up", &root),
        deployment("command", "cohere/command-up", &root),
        deployment("google", "gemini/gemini-up", &root),
        deployment("llama", "ollama/llama-up", &root),
        deployment("other", "openai/other-name", &base),
        deployment("qwen", "hosted_vllm/qwen-up", &base),
        "router_settings:\n  num_retries: 0\n".to_owned(),
    ];
    harness::start_with(1, mock, config.concat()).await
}

/// Whether the gateway's key shows anywhere in what the provider got.
fn shows(request: &Recorded, key: &str) -> bool {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let values = request.headers.values().map(|value| format!("{value:?}"));
    values.chain([body, request.query.clone()]).any(|text| text.contains(key))
}

async fn spend(setup: &Setup, caller: &Client) -> Option<f64> {
    setup.key_info(0, caller).await.ok()?["spend"].as_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_prefix_leads_to_its_provider_with_the_deployments_credential() -> anyhow::Result<()> {
    let setup = start(Settings::default()).await?;
    for (path, seen, (header, credential), body) in CALLS {
        let caller = setup.make_key(0, json!({})).await?;
        let url = setup.cluster.url(0, &format!("{path}?beta=true"));
        let reply = caller.post(&url, &body.json()).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        assert!(reply.header("x-litellm-call-id").is_some(), "{path}");
        let request = setup.mock.last_request().expect("it came through");
        assert_eq!((&*request.path, &*request.query), (*seen, "beta=true"));
        assert_eq!(request.headers[*header], *credential, "{path}");
        assert!(!shows(&request, caller.key()), "{path}: the client's key went upstream");
        // Ollama answers in lines, the last of which counts.
        let last = reply.body.trim_end().lines().last().unwrap_or_default();
        let answer: Value = serde_json::from_str(last)?;
        let said = COUNTED.iter().find_map(|at| answer.pointer(at)).expect("it counts");
        let rows = setup.cluster.url(0, "/spend/logs?summarize=false");
        wait_until(&format!("{path} is on the bill with what it counts"), SOON, async || {
            let logged = caller.get(&rows).await.ok().and_then(|reply| reply.json::<Value>().ok());
            logged.is_some_and(|rows| {
                rows[0]["completion_tokens"] == *said && rows[0]["status"] == "success"
            }) && spend(&setup, &caller).await.is_some_and(|spend| spend > 0.0)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_as_they_are_and_only_our_names_change() -> anyhow::Result<()> {
    let setup = start(Settings::default()).await?;
    let post = async |body: &str| -> anyhow::Result<String> {
        let response = dunlin_cluster::http_client()?
            .post(setup.cluster.url(0, "/openai/v1/chat/completions"))
            .bearer_auth(setup.cluster.master_key())
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await?;
        assert_eq!(response.status().as_u16(), 200);
        let request = setup.mock.last_request().expect("it came through");
        Ok(String::from_utf8(request.body.to_vec())?)
    };
    let theirs = r#"{"messages":[{"role":"user","content":"\u00e9"}],  "model" : "upstream-name",
        "temperature":1e-1, "metadata": {"tags":["a"]}, "timeout": 3}"#;
    assert_eq!(post(theirs).await?, theirs);
    let ours = theirs.replace("upstream-name", "other");
    assert_eq!(post(&ours).await?, theirs.replace("upstream-name", "other-name"));
    // What the provider says is passed on too, whatever it is.
    let unknown = setup.cluster.url(0, "/openai/v1/no/such/thing");
    let reply = setup.cluster.client().get(&unknown).await?;
    assert_eq!(reply.status, 404);
    assert!(!reply.body.contains("LiteLLM"), "{}", reply.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_whole_and_is_charged() -> anyhow::Result<()> {
    let setup = start(Settings::default()).await?;
    let body = |options: Value| {
        json!({"model": "upstream-name", "stream": true, "stream_options": options,
            "messages": [{"role": "user", "content": "hi"}]})
    };
    let url = setup.cluster.url(0, "/openai/v1/chat/completions");
    let mut costs = Vec::new();
    for options in [json!({"include_usage": true}), Value::Null] {
        let caller = setup.make_key(0, json!({})).await?;
        let reply = caller.post(&url, &body(options.clone())).await?;
        let kind = reply.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        assert!(reply.body.ends_with("data: [DONE]\n\n"), "{}", reply.body);
        assert_eq!(reply.body.contains("\"usage\":{"), options.is_object(), "{}", reply.body);
        let charged = async || spend(&setup, &caller).await.is_some_and(|spend| spend > 0.0);
        wait_until("the stream is on the bill", SOON, charged).await?;
        costs.push(spend(&setup, &caller).await);
    }
    // What is not counted is estimated, which gives another sum.
    assert_ne!(costs[0], costs[1]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_rights_hold_behind_every_prefix() -> anyhow::Result<()> {
    let setup = start(Settings::default()).await?;
    let url = setup.cluster.url(0, "/openai/v1/chat/completions");
    let ask = |model: &str| json!({"model": model, "messages": []});
    let restricted = setup.make_key(0, json!({"models": ["chat"]})).await?;
    for (model, allowed) in
        [("chat", true), ("upstream-name", true), ("other", false), ("other-name", false)]
    {
        let before = setup.mock.stats().requests;
        let reply = restricted.post(&url, &ask(model)).await?;
        if allowed {
            assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        } else {
            let kind = json!("key_model_access_denied");
            assert_error(&reply, 403, kind, &format!("The requested model '{model}'"));
            assert_eq!(setup.mock.stats().requests, before, "{model} went upstream");
        }
    }
    let batches = setup.cluster.url(0, "/openai_passthrough/v1/batches");
    let reply = restricted.post(&batches, &json!({"input_file_id": "file-1"})).await?;
    assert_error(
        &reply,
        403,
        json!("key_model_access_denied"),
        "This API key is restricted to certain",
    );
    let twice = r#"{"model":"chat","model":"other-name","messages":[]}"#;
    let twice = serde_json::value::RawValue::from_string(twice.to_owned())?;
    assert_eq!(restricted.post(&url, &twice).await?.status, 400);

    let blocked = setup.make_key(0, json!({})).await?;
    setup.admin(0, "/key/block", json!({"key": blocked.key()})).await?;
    assert_error(&blocked.post(&url, &ask("chat")).await?, 401, json!("auth_error"), "");
    let unknown = setup.cluster.client().with_key("sk-nobody-knows-this-one");
    let anthropic = setup.cluster.url(0, "/anthropic/v1/messages");
    assert_eq!(unknown.post(&anthropic, &ask("claude-up")).await?.status, 401);
    let limited = setup.make_key(0, json!({"rpm_limit": 1})).await?;
    assert_eq!(limited.post(&url, &ask("chat")).await?.status, 200);
    assert_eq!(limited.post(&url, &ask("chat")).await?.status, 429);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_without_a_deployment_says_what_is_missing() -> anyhow::Result<()> {
    let setup = start(Settings::default()).await?;
    let url = setup.cluster.url(0, "/groq/openai/v1/models");
    let reply = setup.cluster.client().get(&url).await?;
    assert_error(&reply, 404, json!("not_found_error"), "no deployment provides a credential");
    setup.mock.set_fault(dunlin_mock_upstream::Fault::Refuse).await;
    let url = setup.cluster.url(0, "/openai/v1/models");
    let reply = setup.cluster.client().get(&url).await?;
    assert_eq!(reply.status, 500, "{}", reply.body);
    assert!(reply.body.contains("OpenAIException - Connection error"), "{}", reply.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_call_upstream() -> anyhow::Result<()> {
    let settings =
        Settings { tokens_per_second: Some(100.0), tokens: 100_000, ..Settings::default() };
    let setup = start(settings).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut body = harness::chat_body();
    body["stream"] = json!(true);
    let response = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, "/openai/v1/chat/completions"))
        .bearer_auth(caller.key())
        .json(&body)
        .send()
        .await?;
    let mut chunks = response.bytes_stream();
    assert!(chunks.next().await.is_some());
    drop(chunks);
    let gone = setup.mock.until(|stats| stats.cancelled == 1);
    tokio::time::timeout(Duration::from_secs(1), gone).await?;
    wait_until("what was streamed is on the bill", SOON, async || {
        spend(&setup, &caller).await.is_some_and(|spend| spend > 0.0)
    })
    .await
}

/// What comes next on a connection until it holds `end`.
async fn heard(from: &mut TcpStream, end: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    while !text.contains(end) {
        let mut piece = [0; 4096];
        let length = tokio::time::timeout(SOON, from.read(&mut piece)).await??;
        anyhow::ensure!(length > 0, "it ended after {text:?}, before {end:?}");
        text.push_str(str::from_utf8(&piece[..length])?);
    }
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_as_it_comes() -> anyhow::Result<()> {
    let provider = TcpListener::bind("127.0.0.1:0").await?;
    let root = format!("http://{}", provider.local_addr()?);
    let config = [
        "model_list:\n".to_owned(),
        deployment("slow", "openai/slow", &format!("{root}/v1")),
        "general_settings:\n  pass_through_endpoints:\n".to_owned(),
        format!("    - {{path: /store, target: '{root}/store', include_subpath: true}}\n"),
    ];
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, config.concat()).await?;
    let node = setup.cluster.url(0, "").replace("http://", "");
    let key = setup.cluster.master_key();
    let begin = async |path: &str| -> anyhow::Result<(TcpStream, TcpStream)> {
        let mut client = TcpStream::connect(node.trim_end_matches('/')).await?;
        let head = format!(
            "PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"
        );
        client.write_all(head.as_bytes()).await?;
        let (mut server, _) = tokio::time::timeout(SOON, provider.accept()).await??;
        let so_far = heard(&mut server, "first").await?;
        assert!(so_far.contains("PUT ") && !so_far.contains(key), "{so_far}");
        Ok((client, server))
    };
    for path in ["/openai/v1/uploads/x", "/store/x"] {
        let (mut client, mut server) = begin(path).await?;
        client.write_all(b"4\r\nlast\r\n0\r\n\r\n").await?;
        heard(&mut server, "last").await?;
        server
            .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ndone")
            .await?;
        let answer = heard(&mut client, "done").await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // One that its client gives up ends at the provider too, which is not blamed for it.
        let (client, mut server) = begin(path).await?;
        drop(client);
        let over = tokio::time::timeout(SOON, server.read_to_end(&mut Vec::new())).await;
        assert!(over.is_ok(), "{path}: the provider still waits");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_paths_lead_where_the_operator_says() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let root = format!("http://{}", mock.address());
    let config = [
        "model_list:\n".to_owned(),
        deployment("chat", "openai/upstream-name", &mock.api_base()),
        "general_settings:\n  pass_through_endpoints:\n".to_owned(),
        format!("    - {{path: /mine, target: {root}/v1, include_subpath: true, "),
        "cost_per_request: 0.25, headers: {authorization: Bearer sk-theirs}, ".to_owned(),
        "default_query_params: {page: 1}}\n".to_owned(),
        format!("    - {{path: /mine/version, target: {root}/api/version}}\n"),
        format!("    - {{path: /open, target: {root}/v1/models, auth: false, methods: [GET]}}\n"),
    ];
    let setup = harness::start_with(1, mock, config.concat()).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let body = json!({"model": "any", "messages": [{"role": "user", "content": "hi"}]});
    let url = setup.cluster.url(0, "/mine/chat/completions?q=2");
    let reply = caller.post(&url, &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let request = setup.mock.last_request().expect("it came through");
    assert_eq!((&*request.path, &*request.query), ("/v1/chat/completions", "q=2&page=1"));
    assert_eq!(request.headers["authorization"], "Bearer sk-theirs");
    assert!(!shows(&request, caller.key()));
    wait_until("its price is on the bill", SOON, async || {
        spend(&setup, &caller).await.is_some_and(|spend| (spend - 0.25).abs() < 1e-9)
    })
    .await?;

    let nobody = Client::new("")?;
    assert_eq!(nobody.post(&url, &body).await?.status, 401);
    let version = caller.get(&setup.cluster.url(0, "/mine/version")).await?;
    assert!(version.body.contains("version"), "the longest path wins: {}", version.body);
    for (path, post, status) in [
        ("/open", false, 200),
        ("/open", true, 405),
        ("/open/below", false, 404),
        ("/nowhere", false, 404),
    ] {
        let url = setup.cluster.url(0, path);
        let reply = if post { nobody.post(&url, &body).await? } else { nobody.get(&url).await? };
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
    }
    setup.mock.set_fault(dunlin_mock_upstream::Fault::Refuse).await;
    let reply = caller.post(&url, &body).await?;
    assert_eq!(reply.status, 500, "{}", reply.body);
    assert!(reply.body.contains("Connection error"), "{}", reply.body);
    Ok(())
}

#[test]
fn no_configured_path_may_hide_a_providers() {
    for (prefix, _) in dunlin_providers::relay::PREFIXES {
        let text = format!(
            "general_settings:\n  pass_through_endpoints:\n    - {{path: /{prefix}/x, target: 'http://t'}}\n"
        );
        let (document, _) = dunlin_config::gather("config.yaml", &mut |_| Ok(text.clone()));
        let environment = dunlin_config::Environment::new(BTreeMap::new());
        let outcome =
            dunlin_config::load(&document, &environment, &dunlin_config::Options::default());
        let mut said = outcome.diagnostics.iter().map(dunlin_config::Diagnostic::headline);
        assert!(said.any(|line| line.contains("is one of dunlin's own")), "{prefix}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passed_call_is_refused_where_a_budget_is_spent_or_a_limit_reached() -> anyhow::Result<()>
{
    let setup = start(Settings::default()).await?;
    let url = setup.cluster.url(0, "/openai/v1/chat/completions");
    let spent = (422, json!("budget_exceeded"), "Budget has been exceeded! ");
    let full = (429, json!("throttling_error"), "Rate limit exceeded for api_key: ");
    let model_full = (429, json!("throttling_error"), "Rate limit exceeded for model_per_key: ");
    let model_spent = json!({"chat": {"max_budget": 0, "budget_duration": "1d"}});
    for (fields, (status, kind, message)) in [
        (json!({"max_budget": 0}), spent.clone()),
        (json!({"rpm_limit": 0}), full),
        // Of the model by our name, whichever it is called by.
        (json!({"model_rpm_limit": {"chat": 0}}), model_full),
        (json!({"model_max_budget": model_spent}), spent),
    ] {
        let caller = setup.make_key(0, fields).await?;
        for name in ["upstream-name", "chat"] {
            let reply = caller.post(&url, &Body::Chat(name).json()).await?;
            assert_error(&reply, status, kind.clone(), message);
        }
    }
    assert_eq!(setup.mock.stats().requests, 0, "the provider hears of neither");
    let caller = setup.make_key(0, json!({"max_budget": 1.0, "rpm_limit": 5})).await?;
    assert_eq!(caller.post(&url, &Body::Chat("upstream-name").json()).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_of_passed_calls_takes_no_more_tokens_than_the_limit_has() -> anyhow::Result<()> {
    let wait = std::time::Duration::from_millis(300);
    let setup = start(Settings { first_byte: wait, ..Settings::default() }).await?;
    let caller = setup.make_key(0, json!({"tpm_limit": 500})).await?;
    let mut body = Body::Chat("upstream-name").json();
    body["max_tokens"] = json!(100);
    let url = setup.cluster.url(0, "/openai/v1/chat/completions");
    let rush = futures::future::join_all((0..40).map(|_| caller.post(&url, &body))).await;
    let (mut answered, mut refused) = (0, 0);
    for reply in rush {
        let reply = reply?;
        answered += u64::from(reply.status == 200);
        refused += u64::from(reply.status == 429);
    }
    // Each may write a hundred, and its prompt counts too.
    assert!((1..=4).contains(&answered), "{answered} were answered");
    assert_eq!(answered + refused, 40);
    // What was not used comes back.
    assert_eq!(caller.post(&url, &body).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_budget_goes_by_the_bound_that_each_api_has() -> anyhow::Result<()> {
    let setup = start(Settings::default()).await?;
    // An answer of 131,072 tokens costs more.
    let caller = setup.make_key(0, json!({"max_budget": 0.01, "strict_budget": true})).await?;
    for (path, body, field, bounded) in [
        (
            "/openai/v1/chat/completions",
            Body::Chat("upstream-name"),
            "max_completion_tokens",
            json!({"max_tokens": 9}),
        ),
        (
            "/gemini/v1beta/models/gemini-up:generateContent",
            Body::Contents,
            "generationConfig.maxOutputTokens",
            json!({"generationConfig": {"maxOutputTokens": 9}}),
        ),
        (
            "/ollama/api/chat",
            Body::Chat("llama-up"),
            "options.num_predict",
            json!({"options": {"num_predict": 9}}),
        ),
    ] {
        let url = setup.cluster.url(0, path);
        let mut body = body.json();
        let before = setup.mock.stats().requests;
        let refused = caller.post(&url, &body).await?;
        assert_error(&refused, 422, json!("budget_exceeded"), "Budget has been exceeded! ");
        assert!(refused.body.contains(&format!("send {field}, or")), "{path}: {}", refused.body);
        assert_eq!(setup.mock.stats().requests, before, "{path}");
        let all = body.as_object_mut().expect("an object");
        all.extend(bounded.as_object().expect("an object").clone());
        let reply = caller.post(&url, &body).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }
    Ok(())
}
