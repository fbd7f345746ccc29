//! What the client is told of usage, cost and failure: what nobody upstream counts is counted here, and
//! told as it is charged.

use dunlin_mock_upstream::{Habit, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Scripted, Setup};

const SILENT: &str = "hello [[say:one two three]] [[fault:no-usage]]";

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let root = mock.api_base().trim_end_matches("/v1").to_owned();
    let models = [
        harness::deployment("vllm", "hosted_vllm/served", &mock.api_base()),
        harness::deployment("claude", "anthropic/claude-sonnet-4-5", &root),
        harness::deployment("gem", "gemini/gemini-2.0-flash", &root),
        harness::deployment("cohere", "cohere/command-a-03-2025", &root),
    ];
    let native = format!(
        "  - model_name: native\n    litellm_params: {{model: openai/gpt-4o, api_base: '{}', \
         api_key: k}}\n    model_info: {{mode: responses}}\n",
        mock.api_base()
    );
    let config = format!("model_list:\n{}{native}", models.concat());
    harness::start_with(1, mock, config).await
}

fn events(body: &str) -> Vec<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// Where a path's answer tells its usage, whole, and in one of its events.
fn places(path: &str) -> (&'static str, [&'static str; 2]) {
    match path {
        "/v1/messages" => ("/usage", ["input_tokens", "output_tokens"]),
        "/v1/responses" => ("/usage", ["input_tokens", "output_tokens"]),
        "/v1/chat/completions" | "/v1/completions" => {
            ("/usage", ["prompt_tokens", "completion_tokens"])
        }
        _ => ("/usageMetadata", ["promptTokenCount", "candidatesTokenCount"]),
    }
}

fn told(answer: &Value, path: &str) -> Option<(u64, u64)> {
    let (place, [prompt, completion]) = places(path);
    let usage = answer.pointer(place).or_else(|| answer.pointer(&format!("/response{place}")))?;
    Some((usage[prompt].as_u64()?, usage[completion].as_u64()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_counts_is_told_as_it_is_charged() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.cluster.client();
    let said = json!([{"role": "user", "content": SILENT}]);
    let mut asked = 0;
    for model in ["vllm", "claude", "gem", "cohere", "native"] {
        for (path, body) in [
            ("/v1/chat/completions", json!({"messages": said})),
            ("/v1/completions", json!({"prompt": SILENT})),
            ("/v1/messages", json!({"messages": said, "max_tokens": 50})),
            ("/v1/responses", json!({"input": SILENT})),
            ("gemini", json!({"contents": [{"role": "user", "parts": [{"text": SILENT}]}]})),
        ] {
            for stream in [false, true] {
                let (url, mut ask) = match (path, stream) {
                    ("gemini", false) => {
                        (format!("/v1beta/models/{model}:generateContent"), body.clone())
                    }
                    ("gemini", true) => (
                        format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
                        body.clone(),
                    ),
                    _ => (path.to_owned(), body.clone()),
                };
                if path != "gemini" {
                    ask["model"] = model.into();
                    ask["stream"] = stream.into();
                }
                if stream && path.ends_with("completions") {
                    ask["stream_options"] = json!({"include_usage": true});
                }
                let reply = caller.post(&setup.cluster.url(0, &url), &ask).await?;
                assert_eq!(reply.status, 200, "{model} {path}: {}", reply.body);
                asked += 1;
                let counts = if stream {
                    events(&reply.body).iter().filter_map(|event| told(event, path)).next_back()
                } else {
                    told(&reply.json()?, path)
                };
                let (prompt, completion) =
                    counts.unwrap_or_else(|| panic!("{model} {path} {stream}: {}", reply.body));
                assert!(prompt > 0 && completion > 0, "{model} {path} {stream}: {}", reply.body);
                let records = setup.records(0)?;
                let record = records.last().expect("it is on record before its end");
                assert_eq!(record["estimated"], true, "{model} {path}");
                assert_eq!(
                    (record["prompt"].as_u64(), record["completion"].as_u64()),
                    (Some(prompt), Some(completion)),
                    "{model} {path} {stream}: what is told is what is charged"
                );
            }
        }
    }
    assert_eq!(setup.mock.stats().requests, asked);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_that_nobody_counts_are_told_as_they_are_charged() -> anyhow::Result<()> {
    let body = r#"{"object":"list","model":"up","data":[{"object":"embedding","index":0,"embedding":[0.5]}]}"#;
    let silent = Scripted::start("application/json", vec![body.to_owned()]).await?;
    let config = harness::chat_config(&silent.api_base());
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.cluster.client();
    for (input, counted) in
        [(json!("the quick brown fox"), None), (json!([[1, 2, 3], [40_000]]), Some(4))]
    {
        let ask = json!({"model": "chat", "input": input});
        let reply = caller.post(&setup.cluster.url(0, "/v1/embeddings"), &ask).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let cost: f64 = reply.header("x-litellm-response-cost").expect("a cost").parse()?;
        let told: Value = reply.json()?;
        let prompt = told["usage"]["prompt_tokens"].as_u64().expect("a count");
        assert_eq!(told["usage"]["total_tokens"], prompt, "{told}");
        assert!(prompt > 0 && counted.is_none_or(|counted| prompt == counted), "{told}");
        assert!((cost - prompt as f64 * harness::INPUT_COST).abs() < 1e-12, "{cost}: {told}");
        let record = setup.records(0)?.pop().expect("it is on record");
        assert_eq!((&record["estimated"], &record["prompt"]), (&json!(true), &json!(prompt)));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_usage_frame_is_made_only_where_none_came_and_somebody_asked() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.cluster.client();
    let url = setup.cluster.url(0, "/v1/chat/completions");
    for (words, asked, frames) in
        [(SILENT, true, 1), (SILENT, false, 0), ("hi", true, 1), ("hi", false, 0)]
    {
        let mut ask = json!({"model": "vllm", "stream": true,
            "messages": [{"role": "user", "content": words}]});
        if asked {
            ask["stream_options"] = json!({"include_usage": true});
        }
        let reply = caller.post(&url, &ask).await?;
        assert!(reply.body.ends_with("data: [DONE]\n\n"), "{}", reply.body);
        let events = events(&reply.body);
        let told: Vec<&Value> = events.iter().filter(|event| event["usage"].is_object()).collect();
        assert_eq!(told.len(), frames, "{words} {asked}: {}", reply.body);
        for frame in told {
            assert_eq!(frame["id"], events[0]["id"]);
            assert_eq!(frame["choices"], json!([{"index": 0, "delta": {}}]), "as LiteLLM has it");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_counts_is_counted_by_the_models_encoding() -> anyhow::Result<()> {
    // As servers are that know no way to ask for a stream's usage.
    let habits = vec![Habit::NoStreamOptions, Habit::NoUsage];
    let mock = MockUpstream::start(Settings { habits, ..Settings::default() }).await?;
    let config = harness::chat_config(&mock.api_base());
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.cluster.client();
    for (text, tokens) in [("Hello world", Some(2)), ("今天天气很好，我们去公园散步吧。", None)]
    {
        let count = json!({"model": "chat", "prompt": text});
        let counted: Value = setup.admin(0, "/utils/token_counter", count).await?.json()?;
        let expected = counted["total_tokens"].as_u64().expect("a count");
        assert!(tokens.is_none_or(|tokens| tokens == expected), "{counted}");
        let messages = json!([{"role": "user", "content": format!("[[say:{text}]]")}]);
        let chat = json!({"model": "chat", "messages": messages});
        for (asked, path) in [
            (json!({}), "/v1/chat/completions"),
            (json!({"stream": true}), "/v1/chat/completions"),
            (
                json!({"stream": true, "stream_options": {"include_usage": true}}),
                "/v1/chat/completions",
            ),
            (json!({"stream": true, "max_tokens": 99}), "/v1/messages"),
        ] {
            let mut ask = chat.clone();
            for (name, value) in asked.as_object().expect("an object") {
                ask[name] = value.clone();
            }
            let reply = caller.post(&setup.cluster.url(0, path), &ask).await?;
            assert_eq!(reply.status, 200, "{asked}: {}", reply.body);
            let record = setup.records(0)?.pop().expect("it is on record");
            assert_eq!(record["completion"].as_u64(), Some(expected), "{asked} {text}");
            if ask["stream_options"].is_object() {
                let events = events(&reply.body);
                let (first, last) = (&events[0], events.last().expect("a usage frame"));
                assert_eq!(last["usage"]["completion_tokens"], json!(expected), "{last}");
                assert_eq!(last["created"], first["created"], "of one answer");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_tell_what_nobody_knows_the_price_of_and_what_was_left_out() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let config = format!(
        "model_list:\n  - model_name: free-for-all\n    litellm_params: {{model: groq/nobody-knows, \
         api_base: '{base}', api_key: k, timeout: 7, stream_timeout: 5}}\nrouter_settings: {{num_retries: 0}}\n"
    );
    let setup = harness::start_with(1, mock, config).await?;
    let caller = setup.cluster.client();
    let url = setup.cluster.url(0, "/v1/chat/completions");
    for stream in [false, true] {
        let ask = |words: &str| {
            json!({"model": "free-for-all", "stream": stream,
                "messages": [{"role": "user", "content": words}]})
        };
        let reply = caller.post(&url, &ask("hi")).await?;
        assert_eq!(reply.header("x-dunlin-unpriced"), Some("true"), "{stream}");
        assert_eq!(reply.header("x-litellm-key-spend"), Some("0.0"), "{stream}");
        let record = setup.records(0)?.pop().expect("it is on record");
        assert_eq!((&record["unpriced"], &record["cost"]), (&json!(true), &json!(0)), "{stream}");
        let failed = caller.post(&url, &ask("[[status:400]]")).await?;
        assert_eq!(failed.status, 400, "{}", failed.body);
        let bound = if stream { "5.0" } else { "7.0" };
        assert_eq!(failed.header("x-litellm-timeout"), Some(bound));
        assert_eq!(failed.header("x-litellm-key-spend"), Some("0.0"));
        let record = setup.records(0)?.pop().expect("it is on record");
        assert_eq!(record["unpriced"], false, "a failure costs nothing, whoever knows what");
    }
    let url = setup.cluster.url(0, "/v1/messages");
    let ask = json!({"model": "free-for-all", "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}]});
    let reply = dunlin_cluster::http_client()?
        .post(&url)
        .bearer_auth(caller.key())
        .header("anthropic-beta", "context-management-2025-06-27")
        .json(&ask)
        .send()
        .await?;
    let told = reply.headers().get("x-dunlin-left-out-betas").map(|told| told.to_str());
    assert_eq!(told.transpose()?, Some("context-management-2025-06-27"));
    Ok(())
}

/// A path, its request, the provider, its answer, and what is on record: prompt and completion.
type Whole = (&'static str, Value, &'static str, String, (Option<u64>, u64));

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_charged_by_what_it_counts_however_long_and_whatever_it_leaves_out()
-> anyhow::Result<()> {
    let words = json!([{"role": "user", "content": "word ".repeat(1_000)}]);
    let picture = |megabytes: usize| "A".repeat(megabytes << 20);
    let chat = |picture: &str| {
        format!(
            r#"{{"id":"a","object":"chat.completion","created":1,"model":"up","choices":[{{"index":0,"message":{{"role":"assistant","content":"hi","images":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}]}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":500,"completion_tokens":4000,"total_tokens":4500}}}}"#
        )
    };
    let pictures = format!(
        r#"{{"created":1,"data":[{{"b64_json":"{}"}}],"usage":{{"input_tokens":1000,"output_tokens":40000,"total_tokens":41000}}}}"#,
        picture(33)
    );
    let ollama = r#"{"model":"up","message":{"role":"assistant","content":"hi"},"done":true,"done_reason":"stop","eval_count":7}"#;
    let unsaid = r#"{"model":"up","message":{"role":"assistant","content":"hi"},"done":true,"done_reason":"stop","prompt_eval_count":500}"#;
    let said = r#"{"id":"a","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100000,"completion_tokens":0,"total_tokens":100000}}"#;
    let ranks = r#"{"results":[{"index":0,"relevance_score":0.5}],"usage":{"total_tokens":20002}}"#;
    let asked = json!({"messages": words});
    let cases: [Whole; 8] = [
        ("/v1/chat/completions", asked.clone(), "openai", chat(&picture(12)), (Some(500), 4000)),
        ("/v1/chat/completions", asked.clone(), "openai", chat(&picture(33)), (Some(500), 4000)),
        ("/v1/images/generations", json!({"prompt": "a"}), "openai", pictures, (Some(1000), 40000)),
        ("/v1/chat/completions", asked.clone(), "openai", said.to_owned(), (Some(100_000), 1)),
        ("/v1/chat/completions", asked.clone(), "ollama_chat", unsaid.to_owned(), (Some(500), 1)),
        ("/v1/chat/completions", asked.clone(), "ollama_chat", ollama.to_owned(), (None, 7)),
        (
            "/v1/messages",
            json!({"messages": words, "max_tokens": 9}),
            "ollama_chat",
            ollama.to_owned(),
            (None, 7),
        ),
        (
            "/v1/rerank",
            json!({"query": "a", "documents": ["b"]}),
            "hosted_vllm",
            ranks.to_owned(),
            (Some(20_002), 0),
        ),
    ];
    let (mut servers, mut models) = (Vec::new(), String::new());
    for (number, (_, _, provider, answer, _)) in cases.iter().enumerate() {
        let server = Scripted::start("application/json", vec![answer.clone()]).await?;
        let (name, model) = (format!("m{number}"), format!("{provider}/up"));
        let base = server.api_base();
        let base = if *provider == "openai" { &*base } else { base.trim_end_matches("/v1") };
        models += &harness::deployment(&name, &model, base);
        servers.push(server);
    }
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, format!("model_list:\n{models}")).await?;
    let caller = setup.cluster.client();
    for (number, (path, mut ask, _, answer, (prompt, completion))) in cases.into_iter().enumerate()
    {
        ask["model"] = format!("m{number}").into();
        let reply = caller.post(&setup.cluster.url(0, path), &ask).await?;
        assert_eq!(reply.status, 200, "{number}: {}", &reply.body[..reply.body.len().min(500)]);
        assert!(reply.body.len() * 2 > answer.len(), "{number}");
        let record = setup.records(0)?.pop().expect("it is on record");
        assert_eq!(record["completion"], completion, "{number}: {record}");
        let charged = record["prompt"].as_u64().expect("a count");
        // "word " is a token.
        let is_counted = |charged: u64| (1_000..1_100).contains(&charged);
        assert!(prompt.map_or(is_counted(charged), |known| known == charged), "{number}: {record}");
        if answer.len() < 32 << 20 {
            let told: Value = reply.json()?;
            let told = told["usage"].as_object().expect("it tells its usage");
            assert!(told.values().any(|count| *count == json!(charged)), "{number}: {told:?}");
        }
    }
    Ok(())
}

/// As Google's clients in other languages can ask for it, whatever the query says of the answer.
#[tokio::test(flavor = "multi_thread")]
async fn protocol_buffers_below_a_prefix_pass_as_they_are_and_are_estimated() -> anyhow::Result<()>
{
    let answer = format!("\u{a}\u{2}{}", "word ".repeat(200));
    let server = Scripted::start("application/x-protobuf", vec![answer.clone()]).await?;
    let root = server.api_base().trim_end_matches("/v1").to_owned();
    let model = harness::deployment("gem", "gemini/gemini-2.5-flash", &root);
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, format!("model_list:\n{model}")).await?;
    let caller = setup.cluster.client();
    let ask = format!("\u{a}\u{3}{}", "ask ".repeat(100));
    let kind = "application/x-protobuf";
    for query in ["?$alt=proto", "?alt=proto", "?alt=media"] {
        let path = format!("/gemini/v1beta/models/gem:generateContent{query}");
        let request = dunlin_cluster::http_client()?.post(setup.cluster.url(0, &path));
        let request = request.bearer_auth(caller.key()).header("content-type", kind);
        let reply = request.body(ask.clone()).send().await?;
        assert_eq!(reply.headers()["content-type"], kind);
        assert_eq!(
            (reply.status().as_u16(), reply.text().await?),
            (200, answer.clone()),
            "{query}"
        );
        assert!(
            server.last().starts_with(&format!(
                "POST /v1beta/models/gemini-2.5-flash:generateContent{query} "
            ))
        );
        assert_eq!(server.last_body(), ask, "it is passed on as it is");
        let record = setup.records(0)?.pop().expect("it is on record");
        let counts = (record["prompt"].as_u64(), record["completion"].as_u64());
        assert!(counts.0 > Some(50) && counts.1 > Some(100), "{query}: {record}");
        assert_eq!(record["estimated"], true, "{query}: {record}");
    }
    Ok(())
}

/// Google's own API does not count what is made into vectors.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_reads_below_a_prefix_costs_something_though_nobody_counts_it()
-> anyhow::Result<()> {
    let answer = r#"{"embedding":{"values":[1.0]}}"#;
    let server = Scripted::start("application/json", vec![answer.to_owned()]).await?;
    let base = server.api_base();
    let root = base.trim_end_matches("/v1");
    let model = harness::deployment("vectors", "gemini/gemini-embedding-001", root);
    let mock = MockUpstream::start(Settings::default()).await?;
    let setup = harness::start_with(1, mock, format!("model_list:\n{model}")).await?;
    let caller = setup.cluster.client();
    let ask = json!({"content": {"parts": [{"text": "word ".repeat(1_000)}]}});
    for (path, is_read) in [
        ("/gemini/v1beta/models/vectors:embedContent", true),
        ("/gemini/v1beta/cachedContents", false),
    ] {
        let reply = caller.post(&setup.cluster.url(0, path), &ask).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        let record = setup.records(0)?.pop().expect("it is on record");
        let prompt = record["prompt"].as_u64().expect("a count");
        assert_eq!(prompt > 1_000, is_read, "{path}: {record}");
    }
    Ok(())
}
