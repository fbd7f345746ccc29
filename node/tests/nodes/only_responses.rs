//! Models that have OpenAI's responses and no chats, by their mode, by how they are spelled, or as is
//! published: chats of every dialect reach them.

use dunlin_cluster::{Client, Reply};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, INPUT_COST, OUTPUT_COST, Setup, deployment, error_of};

const MODELS: [&str; 5] = ["said", "spelled", "published", "azure", "any/gpt-5-codex"];
const PNG: &str = "data:image/png;base64,iVBORw0KGgo=";

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let (base, root) = (mock.api_base(), format!("http://{}", mock.address()));
    let config = format!(
        "model_list:\n{}    model_info: {{mode: responses}}\n{}{}{}{}router_settings:\n  \
         num_retries: 0\n",
        deployment("said", "openai/custom-pro", &base),
        deployment("spelled", "openai/responses/computer-use-preview", &base),
        deployment("published", "openai/o3-pro", &base),
        deployment("azure", "azure/gpt-5-codex", &root),
        deployment("any/*", "openai/*", &base),
    );
    harness::start_with(1, mock, config).await
}

/// What the upstream was asked, and where.
fn sent(setup: &Setup) -> (String, Value) {
    let request = setup.mock.last_request().expect("there was one");
    (request.path, serde_json::from_slice(&request.body).unwrap_or_default())
}

fn chat(model: &str, text: &str, more: Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
    body
}

fn frames(reply: &Reply) -> Vec<Value> {
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

fn cost(usage: &Value, input: &str, output: &str) -> f64 {
    let tokens = |name: &str| usage[name].as_f64().expect("a count");
    tokens(input) * INPUT_COST + tokens(output) * OUTPUT_COST
}

fn tools() -> Value {
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!([{"type": "function", "function": {"name": "weather", "parameters": city}}])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_answered_by_a_model_that_has_none() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut spent = 0.0;
    for model in MODELS {
        let reply = setup.ask(0, &caller, &chat(model, "[[say:good day]]", json!({}))).await?;
        assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        let (path, body) = sent(&setup);
        assert!(path.ends_with("/responses"), "{model}: {path}");
        assert_eq!(body["store"], false);
        let answer: Value = reply.json()?;
        let choice = &answer["choices"][0];
        assert_eq!(
            (&answer["object"], &answer["model"]),
            (&json!("chat.completion"), &json!(model))
        );
        assert_eq!(
            (&choice["message"]["content"], &choice["finish_reason"]),
            (&json!("good day"), &json!("stop"))
        );
        let priced = cost(&answer["usage"], "prompt_tokens", "completion_tokens");
        let told: f64 = reply.header("x-litellm-response-cost").expect("a cost").parse()?;
        assert!((told - priced).abs() < 1e-12, "{model}: {told} is not {priced}");
        spent += priced;

        let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
        let streamed = setup.ask(0, &caller, &chat(model, "[[say:good day]]", asked)).await?;
        let frames = frames(&streamed);
        let text: String =
            frames.iter().filter_map(|f| f["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, "good day", "{model}: {}", streamed.body);
        assert!(streamed.body.ends_with("data: [DONE]\n\n"));
        let usage = frames.iter().rev().find(|frame| frame["usage"].is_object());
        spent +=
            cost(&usage.expect("it was asked for")["usage"], "prompt_tokens", "completion_tokens");
    }
    let records = setup.records(0)?;
    let recorded: f64 = records.iter().filter_map(|record| record["cost"].as_f64()).sum();
    let nano = |usd: f64| (usd * 1e9).round();
    assert!(recorded == nano(spent) || nano(recorded) == nano(spent), "{recorded} for {spent}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_and_calls_of_tools_pass_through_a_response() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.cluster.client();
    let wish = r#"[[think]] [[tool:weather {"city":"Bern"}]] [[tool:weather {"city":"Ulm"}]]"#;
    let first = setup.ask(0, caller, &chat("published", wish, json!({"tools": tools()}))).await?;
    let first: Value = first.json()?;
    let message = &first["choices"][0]["message"];
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls", "{first}");
    let calls = message["tool_calls"].as_array().expect("calls");
    assert_eq!((calls.len(), &calls[1]["function"]["arguments"]), (2, &json!(r#"{"city":"Ulm"}"#)));
    assert_eq!(message["thinking_blocks"][0]["signature"], "gAAAAAmock", "{message}");
    // The thought goes back as it was, or the mock would refuse it.
    let mut next = chat("published", wish, json!({"tools": tools()}));
    let said = next["messages"].as_array_mut().expect("messages");
    said.push(message.clone());
    for call in calls {
        said.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "22"}));
    }
    let second: Value = setup.ask(0, caller, &next).await?.json()?;
    assert_eq!(second["choices"][0]["message"]["content"], "the tool said: 22", "{second}");
    assert_eq!(sent(&setup).1["input"][1]["type"], "reasoning");

    let asked = json!({"tools": tools(), "stream": true});
    let streamed = frames(&setup.ask(0, caller, &chat("published", wish, asked)).await?);
    let pieces =
        streamed.iter().filter_map(|f| f["choices"][0]["delta"]["tool_calls"][0].as_object());
    let mut arguments = [String::new(), String::new()];
    for piece in pieces {
        let at = usize::try_from(piece["index"].as_u64().expect("a number"))?;
        arguments[at] += piece["function"]["arguments"].as_str().unwrap_or_default();
    }
    assert_eq!(arguments, [r#"{"city":"Bern"}"#, r#"{"city":"Ulm"}"#]);

    let custom = json!({"tools": [{"type": "custom", "custom": {"name": "patch"}}]});
    let called: Value =
        setup.ask(0, caller, &chat("published", "[[tool:patch {}]]", custom)).await?.json()?;
    let call = &called["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["custom"]["input"]),
        (&json!("custom"), &json!("{}")),
        "{called}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_forms_and_failures_pass_through_a_response() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.cluster.client();
    let seen = json!([{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": PNG}}]);
    let mut body = chat("published", "", json!({}));
    body["messages"][0]["content"] = seen;
    assert_eq!(setup.ask(0, caller, &body).await?.status, 200);
    assert_eq!(sent(&setup).1["input"][0]["content"][1]["image_url"], PNG);

    let schema =
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    let form = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
    let formed =
        setup.ask(0, caller, &chat("published", "hi", json!({"response_format": form}))).await?;
    let formed: Value = formed.json()?;
    let text = formed["choices"][0]["message"]["content"].as_str().expect("a text");
    assert!(serde_json::from_str::<Value>(text)?["a"].is_number(), "{text}");
    let short =
        setup.ask(0, caller, &chat("published", "[[tokens:30]]", json!({"max_tokens": 1}))).await?;
    let short: Value = short.json()?;
    assert_eq!(short["choices"][0]["finish_reason"], "length", "{short}");
    let likely =
        setup.ask(0, caller, &chat("said", "[[say:a b]]", json!({"logprobs": true}))).await?;
    let likely: Value = likely.json()?;
    assert_eq!(
        likely["choices"][0]["logprobs"]["content"].as_array().map(Vec::len),
        Some(2),
        "{likely}"
    );

    let refused = setup.ask(0, caller, &chat("published", "hi", json!({"n": 2}))).await?;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("UnsupportedParamsError"), "{}", refused.body);
    let slow = setup.ask(0, caller, &chat("published", "[[status:429]]", json!({}))).await?;
    assert_eq!((slow.status, error_of(&slow)?["type"].clone()), (429, json!("throttling_error")));
    let cut = setup
        .ask(0, caller, &chat("published", "[[fault:reset 2]]", json!({"stream": true})))
        .await;
    assert!(cut.is_err() || !cut?.body.contains("[DONE]"), "a cut is no end");
    let path = "/utils/supported_openai_params?model=published";
    let (_, params) = harness::send(&setup, 0, caller, "GET", path).await?;
    let params: Value = serde_json::from_str(&params)?;
    let has = |name: &str| {
        let all = params["supported_openai_params"].as_array();
        all.is_some_and(|all| all.iter().any(|param| param == name))
    };
    assert!(has("tools") && has("response_format") && !has("n") && !has("stop"), "{params}");
    Ok(())
}

async fn post(setup: &Setup, caller: &Client, path: &str, body: &Value) -> anyhow::Result<Reply> {
    Ok(caller.post(&setup.cluster.url(0, path), body).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn claudes_and_googles_clients_reach_it_and_its_own_pass() -> anyhow::Result<()> {
    let setup = start().await?;
    let caller = setup.make_key(0, json!({})).await?;
    let wish = r#"[[think]] [[tool:weather {"city":"Bern"}]]"#;
    let tool = json!({"name": "weather", "input_schema": {"type": "object", "properties": {}}});
    let ask = json!({"model": "azure", "max_tokens": 100, "tools": [tool],
        "messages": [{"role": "user", "content": wish}]});
    let reply = post(&setup, &caller, "/v1/messages", &ask).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let answer: Value = reply.json()?;
    assert_eq!(answer["stop_reason"], "tool_use", "{answer}");
    let told: f64 = reply.header("x-litellm-response-cost").expect("a cost").parse()?;
    let priced = cost(&answer["usage"], "input_tokens", "output_tokens");
    assert!((told - priced).abs() < 1e-12, "{told} is not {priced}");
    let blocks = answer["content"].as_array().expect("blocks");
    let call = blocks.iter().find(|block| block["type"] == "tool_use").expect("a call");
    let mut next = ask.clone();
    let said = next["messages"].as_array_mut().expect("messages");
    said.push(json!({"role": "assistant", "content": blocks}));
    said.push(json!({"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": call["id"], "content": "22"}]}));
    next["stream"] = true.into();
    let streamed = post(&setup, &caller, "/v1/messages", &next).await?;
    let text: String =
        frames(&streamed).iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, "the tool said: 22", "{}", streamed.body);
    assert!(streamed.body.contains("message_stop"));
    assert_eq!(sent(&setup).1["input"][1]["encrypted_content"], "gAAAAAmock");

    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "[[say:good day]]"}]}]});
    for (verb, is_stream) in [("generateContent", false), ("streamGenerateContent?alt=sse", true)] {
        let path = format!("/v1beta/models/spelled:{verb}");
        let reply = post(&setup, &caller, &path, &contents).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let all = if is_stream { frames(&reply) } else { vec![reply.json()?] };
        let parts = all.iter().map(|one| &one["candidates"][0]["content"]["parts"][0]["text"]);
        assert_eq!(parts.filter_map(Value::as_str).collect::<String>(), "good day");
        assert_eq!(sent(&setup).0, "/v1/responses");
    }

    let native = json!({"model": "published", "input": "hi"});
    let first: Value = post(&setup, &caller, "/v1/responses", &native).await?.json()?;
    assert_eq!(sent(&setup).1.get("store"), None, "it passes as it came");
    let go_on = json!({"model": "published", "input": "and?", "previous_response_id": first["id"]});
    let second: Value = post(&setup, &caller, "/v1/responses", &go_on).await?.json()?;
    assert_eq!(second["previous_response_id"], first["id"], "{second}");
    Ok(())
}
