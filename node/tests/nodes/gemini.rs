//! Google's dialect from outside: its clients reach every model, and every client its models.

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Scripted, Setup};

/// One mock that is Google, Vertex AI, Anthropic and OpenAI.
async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let root = format!("http://{}", mock.address());
    let vertex = |model: &str, upstream: &str| {
        harness::deployment(model, upstream, &root) + "      vertex_project: p\n"
    };
    let config = format!(
        "model_list:\n{}{}{}{}{}router_settings:\n  num_retries: 0\n",
        harness::deployment("google", "gemini/gemini-3-flash", &root),
        vertex("vertex", "vertex_ai/gemini-2.5-pro"),
        harness::deployment("claude", "anthropic/claude-sonnet-4-5", &root),
        harness::deployment("chat", "openai/upstream-name", &mock.api_base()),
        harness::deployment("vectors", "gemini/gemini-embedding-001", &root),
    );
    harness::start_with(1, mock, config).await
}

fn contents(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

async fn generate(
    setup: &Setup,
    caller: &Client,
    call: &str,
    body: &Value,
) -> anyhow::Result<Reply> {
    Ok(caller.post(&setup.cluster.url(0, &format!("/v1beta/models/{call}")), body).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_clients_reach_every_model() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    for model in ["google", "vertex", "claude", "chat"] {
        let call = format!("{model}:generateContent");
        let reply = generate(&setup, &caller, &call, &contents("[[say:good day]]")).await?;
        assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        let answer: Value = reply.json()?;
        let candidate = &answer["candidates"][0];
        assert_eq!(candidate["content"]["parts"][0]["text"], "good day", "{model}: {answer}");
        assert_eq!(candidate["finishReason"], "STOP", "{model}");
        assert!(answer["usageMetadata"]["totalTokenCount"].as_u64() > Some(1), "{model}");

        let body = json!({
            "contents": contents("[[tool:weather {\"city\":\"Paris\"}]]")["contents"],
            "tools": [{"functionDeclarations": [{"name": "weather",
                "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}]}],
        });
        let answer: Value = generate(&setup, &caller, &call, &body).await?.json()?;
        let call = &answer["candidates"][0]["content"]["parts"][0]["functionCall"];
        assert_eq!((&call["name"], &call["args"]), (&json!("weather"), &json!({"city": "Paris"})));

        for (query, opening) in [("?alt=sse", "data: {"), ("", "[{")] {
            let call = format!("{model}:streamGenerateContent{query}");
            let reply = generate(&setup, &caller, &call, &contents("hi")).await?;
            assert_eq!(reply.status, 200, "{model}: {}", reply.body);
            assert!(reply.body.starts_with(opening), "{model}: {}", reply.body);
            let frames: Vec<Value> = if query.is_empty() {
                reply.json()?
            } else {
                let frames = reply.body.split("\n\n").filter(|frame| !frame.trim().is_empty());
                let data = frames.map(|frame| frame.trim().trim_start_matches("data: "));
                data.map(serde_json::from_str).collect::<Result<_, _>>()?
            };
            let last = frames.last().expect("a frame");
            assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{model}: {last}");
            assert!(last["usageMetadata"]["promptTokenCount"].is_u64(), "{model}: {last}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_clients_keep_a_models_seals() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut messages =
        vec![json!({"role": "user", "content": "[[tool:weather {\"city\":\"Rome\"}]]"})];
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let ask = |messages: &[Value]| json!({"model": "google", "messages": messages, "tools": tools, "reasoning_effort": "low"});
    let first: Value = setup.ask(0, &caller, &ask(&messages)).await?.json()?;
    let said = first["choices"][0]["message"].clone();
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls", "{first}");
    let id = said["tool_calls"][0]["id"].as_str().expect("an id").to_owned();
    // An OpenAI SDK keeps nothing of a call but what it knows.
    let call = json!({"id": id, "type": "function", "function": said["tool_calls"][0]["function"]});
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    messages.push(json!({"role": "tool", "tool_call_id": id, "content": "18 degrees"}));
    let second = setup.ask(0, &caller, &ask(&messages)).await?;
    assert_eq!(second.status, 200, "{}", second.body);

    let sent = setup.mock.last_request().expect("a request");
    assert_eq!(sent.path, "/v1beta/models/gemini-3-flash:generateContent");
    let sent: Value = serde_json::from_slice(&sent.body)?;
    let part = &sent["contents"][1]["parts"][0];
    let seal = part["thoughtSignature"].as_str().expect("the seal");
    assert!(id.ends_with(&format!("__thought__{seal}")), "{id} {part}");
    let result = &sent["contents"][2]["parts"][0]["functionResponse"];
    assert_eq!((&result["name"], &result["id"]), (&json!("weather"), &part["functionCall"]["id"]));
    assert_eq!(sent["generationConfig"]["thinkingConfig"]["thinkingLevel"], "low");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_in_googles_words_and_keys_may_stand_in_the_query() -> anyhow::Result<()> {
    let setup = start().await?;
    let known = setup.make_key(0, json!({"models": ["chat"]})).await?;
    let stranger = setup.cluster.client().with_key("sk-nobody");
    for (caller, call, status, word) in [
        (&stranger, "chat:generateContent", 401, "UNAUTHENTICATED"),
        (&known, "google:generateContent", 403, "PERMISSION_DENIED"),
        (&known, "google:countTokens", 403, "PERMISSION_DENIED"),
        (setup.cluster.client(), "nowhere:streamGenerateContent", 400, "INVALID_ARGUMENT"),
    ] {
        let reply = generate(&setup, caller, call, &contents("hi")).await?;
        assert_eq!(reply.status, status, "{call}: {}", reply.body);
        let error: Value = reply.json()?;
        assert_eq!(
            (&error["error"]["code"], &error["error"]["status"]),
            (&json!(status), &json!(word))
        );
    }
    let http = dunlin_cluster::http_client()?;
    let url = setup.cluster.url(0, "/v1beta/models/chat:countTokens");
    for (url, key) in [(format!("{url}?key={}", known.key()), ""), (url, known.key())] {
        let mut request = http.post(&url).json(&contents("twelve letters"));
        if !key.is_empty() {
            request = request.header("x-goog-api-key", key);
        }
        let response = request.send().await?;
        assert_eq!(response.status(), 200);
        let counted: Value = response.json().await?;
        assert!(counted["totalTokens"].as_u64() > Some(3), "{counted}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_never_looks_whole() -> anyhow::Result<()> {
    let frame = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n";
    let upstream = Scripted::start("text/event-stream", vec![frame.to_owned()]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = upstream.api_base();
    let config =
        format!("model_list:\n{}", harness::deployment("google", "gemini/gemini-x", &base));
    let setup = harness::start_with(1, mock, config).await?;
    let http = dunlin_cluster::http_client()?;
    for (query, is_list) in [("?alt=sse", false), ("", true)] {
        let path = format!("/v1beta/models/google:streamGenerateContent{query}");
        let request = http.post(setup.cluster.url(0, &path)).json(&contents("hi"));
        let mut response = request.bearer_auth(setup.cluster.master_key()).send().await?;
        let mut body = Vec::new();
        let cut = loop {
            match response.chunk().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let body = String::from_utf8(body)?;
        assert!(cut, "the connection breaks off: {body}");
        assert!(body.contains("\"text\":\"a\"") && body.contains("\"code\":500"), "{body}");
        assert!(!is_list || !body.trim_end().ends_with(']'), "{body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_come_as_the_client_reads_them() -> anyhow::Result<()> {
    let setup = start().await?;
    let url = setup.cluster.url(0, "/v1/embeddings");
    let body = json!({"model": "vectors", "input": ["a", "b"], "dimensions": 8});
    let floats: Value = setup.cluster.client().post(&url, &body).await?.json()?;
    let vector = floats["data"][1]["embedding"].as_array().expect("a vector");
    assert_eq!((vector.len(), &floats["data"][1]["index"]), (8, &json!(1)));
    assert!(floats["usage"]["prompt_tokens"].as_u64() > Some(0), "{floats}");
    let body = json!({"model": "vectors", "input": "a", "encoding_format": "base64"});
    let packed: Value = setup.cluster.client().post(&url, &body).await?.json()?;
    assert!(packed["data"][0]["embedding"].is_string(), "{packed}");
    let body = json!({"model": "vectors", "input": [[15339, 1917]]});
    let decoded: Value = setup.cluster.client().post(&url, &body).await?.json()?;
    assert!(decoded["data"][0]["embedding"].is_array(), "ids are asked for in words: {decoded}");
    Ok(())
}
