//! Providers with dialects that no client speaks, asked in OpenAI's words: Ollama, Cohere and
//! Bedrock behind one cluster, and what becomes of parameters that a provider does not have.

use dunlin_mock_upstream::{Fault, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup};

/// Models of each dialect, all at one mock.
const NATIVES: &[&str] = &["ollama", "cohere", "bedrock", "bedrock-key"];

async fn start() -> anyhow::Result<Setup> {
    let settings = Settings::default();
    let (secret, mock) = (settings.aws_secret.clone(), MockUpstream::start(settings).await?);
    let root = format!("http://{}", mock.address());
    let model = |name: &str, upstream: &str, rest: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: '{upstream}', api_base: '{root}', \
             input_cost_per_token: 1.0e-6, output_cost_per_token: 2.0e-6, {rest}}}\n"
        )
    };
    let signed = format!(
        "aws_access_key_id: AKID, aws_secret_access_key: '{secret}', aws_region_name: eu-west-1"
    );
    let models = [
        model("ollama", "ollama/llama3.2", "num_ctx: 8192"),
        model("cohere", "cohere/command-a-03-2025", "api_key: co"),
        model("bedrock", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", &signed),
        model("bedrock-key", "bedrock/converse/amazon.nova-pro-v1:0", "api_key: absk"),
        model("ollama-vectors", "ollama/all-minilm", ""),
        model("cohere-vectors", "cohere/embed-v4.0", "api_key: co"),
        model("bedrock-vectors", "bedrock/amazon.titan-embed-text-v2:0", &signed),
        model("mistral", "mistral/mistral-small", "api_key: m"),
    ];
    let config = format!("model_list:\n{}router_settings: {{num_retries: 0}}\n", models.concat());
    harness::start_with(1, mock, config).await
}

fn chat(model: &str, words: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": words}]})
}

/// The last request that the mock saw.
fn upstream(setup: &Setup) -> (String, Value) {
    let last = setup.mock.last_request().expect("one was sent");
    (last.path, serde_json::from_slice(&last.body).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_native_dialect_is_asked_and_answers_in_openais_words() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.cluster.client();
    for (name, path) in NATIVES.iter().zip(["/api/chat", "/v2/chat", "/model/", "/model/"]) {
        let reply = setup.ask(0, caller, &chat(name, "[[say:peep]] [[think:hm]]")).await?;
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        let answer: Value = reply.json()?;
        assert_eq!(answer["model"], *name);
        let choice = &answer["choices"][0];
        assert_eq!(choice["message"]["content"], "peep", "{name}");
        assert_eq!(choice["message"]["reasoning_content"], "hm", "{name}");
        assert_eq!(choice["finish_reason"], "stop", "{name}");
        assert!(answer["usage"]["prompt_tokens"].as_u64() > Some(0), "{name}: {answer}");
        assert!(reply.header("x-litellm-response-cost").is_some(), "{name}");
        assert!(upstream(&setup).0.starts_with(path), "{name}");
    }
    let (_, sent) = {
        setup.ask(0, caller, &chat("ollama", "hi")).await?;
        upstream(&setup)
    };
    assert_eq!(sent["options"]["num_ctx"], 8192, "the operator's own option");
    let length = setup.ask(0, caller, &chat("ollama", "[[finish:length]]")).await?;
    let length: Value = length.json()?;
    assert_eq!(length["choices"][0]["finish_reason"], "length");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_called_and_answered_in_streams() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.cluster.client();
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": schema}});
    for name in NATIVES {
        let mut body = chat(name, "[[tool:weather {\"city\":\"Bern\"}]]");
        body["tools"] = json!([tool]);
        body["stream"] = true.into();
        let reply = setup.ask(0, caller, &body).await?;
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        let (mut id, mut function, mut arguments) = (String::new(), String::new(), String::new());
        let mut finish = Value::Null;
        for chunk in chunks(&reply.body) {
            let choice = &chunk["choices"][0];
            let call = &choice["delta"]["tool_calls"][0];
            id += call["id"].as_str().unwrap_or_default();
            function += call["function"]["name"].as_str().unwrap_or_default();
            arguments += call["function"]["arguments"].as_str().unwrap_or_default();
            if !choice["finish_reason"].is_null() {
                finish = choice["finish_reason"].clone();
            }
        }
        let arguments: Value = serde_json::from_str(&arguments)?;
        assert_eq!((&*function, &arguments), ("weather", &json!({"city": "Bern"})), "{name}");
        assert_eq!(finish, "tool_calls", "{name}");
        assert!(reply.body.ends_with("data: [DONE]\n\n"), "{name}: {}", reply.body);

        body["stream"] = false.into();
        let called = json!({"name": "weather", "arguments": arguments.to_string()});
        body["messages"] = json!([
            {"role": "user", "content": "How is it?"},
            {"role": "assistant", "content": null,
                "tool_calls": [{"id": id, "type": "function", "function": called}]},
            {"role": "tool", "tool_call_id": id, "content": "sunny"},
        ]);
        let reply = setup.ask(0, caller, &body).await?;
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        let answer: Value = reply.json()?;
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        assert!(text.contains("sunny"), "{name}: {answer}");
    }
    Ok(())
}

/// The data of a stream but for its last word.
fn chunks(body: &str) -> Vec<Value> {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// All that comes of an answer until its connection is cut.
async fn until_broken(setup: &Setup, body: &Value) -> anyhow::Result<(u16, String)> {
    let mut response = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, "/v1/chat/completions"))
        .bearer_auth(setup.cluster.master_key())
        .json(body)
        .send()
        .await?;
    let (status, mut text) = (response.status().as_u16(), Vec::new());
    while let Ok(Some(piece)) = response.chunk().await {
        text.extend_from_slice(&piece);
    }
    Ok((status, String::from_utf8(text)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_stream_that_breaks_never_looks_whole() -> anyhow::Result<()> {
    let setup = start().await?;
    for name in NATIVES {
        for fault in [Fault::CutMidStream(3), Fault::ErrorMidStream(3)] {
            setup.mock.set_fault_for(fault.clone(), 1).await;
            let mut body = chat(name, "hi");
            body["stream"] = true.into();
            let (status, text) = until_broken(&setup, &body).await?;
            assert_eq!(status, 200, "{name} {fault:?}: {text}");
            let chunks = chunks(&text);
            let words = |chunk: &&Value| chunk["choices"][0]["delta"]["content"].is_string();
            assert!(chunks.iter().filter(words).count() >= 1, "{name} {fault:?}: {text}");
            let last = chunks.last().expect("some came");
            assert!(last["error"]["message"].is_string(), "{name} {fault:?}: {text}");
            assert!(!text.contains("[DONE]"), "{name} {fault:?}: {text}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_come_from_each() -> anyhow::Result<()> {
    let setup = start().await?;
    let url = setup.cluster.url(0, "/v1/embeddings");
    for name in ["ollama-vectors", "cohere-vectors", "bedrock-vectors"] {
        let body = json!({"model": name, "input": "peep"});
        let reply = setup.cluster.client().post(&url, &body).await?;
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        let answer: Value = reply.json()?;
        let vector = answer["data"][0]["embedding"].as_array().expect("a vector");
        assert!(!vector.is_empty() && vector.iter().all(Value::is_number), "{name}");
        assert_eq!(answer["model"], name);
    }
    // Titan takes one text in a call: several are several calls, all of them or none.
    let texts: Vec<String> = (0..20).map(|number| format!("peep {number}")).collect();
    let body = json!({"model": "bedrock-vectors", "input": texts});
    let before = setup.mock.stats().requests;
    let reply = setup.cluster.client().post(&url, &body).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer: Value = reply.json()?;
    let all = answer["data"].as_array().expect("vectors");
    let numbers: Vec<&Value> = all.iter().map(|one| &one["index"]).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>(), "{answer}");
    assert_eq!(setup.mock.stats().requests, before + 20);
    let one: Value = setup
        .cluster
        .client()
        .post(&url, &json!({"model": "bedrock-vectors", "input": texts[7]}))
        .await?
        .json()?;
    assert_eq!(one["data"][0]["embedding"], all[7]["embedding"], "in their order");
    let tokens = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64().unwrap_or_default();
    assert!(tokens(&answer) >= 20 * tokens(&one) - 20, "summed: {answer}");
    let fails = Fault::Status { code: 400, retry_after: None };
    let faults = std::iter::repeat_n(Fault::None, 9).chain([fails]).collect();
    setup.mock.set_faults(faults).await;
    let reply = setup.cluster.client().post(&url, &body).await?;
    assert_eq!(reply.status, 400, "{}", reply.body);
    setup.mock.set_fault(Fault::None).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_lacks_is_refused_or_dropped_as_the_client_says() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.cluster.client();
    for (name, lacked) in [("mistral", "logit_bias"), ("cohere", "logit_bias"), ("bedrock", "seed")]
    {
        let mut body = chat(name, "hi");
        body[lacked] = if lacked == "seed" { json!(1) } else { json!({"1": 2}) };
        let refused = setup.ask(0, caller, &body).await?;
        let message = format!(
            "litellm.UnsupportedParamsError: {name} does not support parameters: ['{lacked}']"
        );
        harness::assert_error(&refused, 400, "invalid_request_error".into(), &message);
        body["drop_params"] = true.into();
        let reply = setup.ask(0, caller, &body).await?;
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        let (_, sent) = upstream(&setup);
        assert!(sent.get(lacked).is_none() && sent.get("drop_params").is_none(), "{sent}");
    }
    Ok(())
}
