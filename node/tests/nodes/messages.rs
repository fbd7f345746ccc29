//! Anthropic's dialect: its clients are served by every model, its models serve every client, and
//! between the two bytes pass as they are.

use dunlin_mock_upstream::{Fault, Habit, MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Scripted, Setup};

/// `vllm` is a server of OpenAI's dialect, `claude` one of Anthropic's.
async fn start(upstream: &str, settings: Settings) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(settings).await?;
    let base = mock.api_base();
    let at = if upstream.is_empty() { &base } else { upstream };
    let config = format!(
        "model_list:\n{}{}router_settings:\n  num_retries: 0\n",
        harness::deployment("vllm", "hosted_vllm/qwen", at),
        harness::deployment("claude", "anthropic/claude-sonnet-4-5", at),
    );
    harness::start_with(1, mock, config).await
}

fn message(model: &str, text: &str) -> Value {
    json!({
        "model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": text}],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
    })
}

fn chat(text: &str) -> Value {
    json!({
        "model": "claude", "messages": [{"role": "user", "content": text}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    })
}

fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

async fn ask(setup: &Setup, path: &str, body: &Value) -> anyhow::Result<(u16, String)> {
    let reply = setup.cluster.client().post(&setup.cluster.url(0, path), body).await?;
    Ok((reply.status, reply.body))
}

async fn answer(setup: &Setup, path: &str, body: &Value) -> anyhow::Result<Value> {
    let (status, body) = ask(setup, path, body).await?;
    anyhow::ensure!(status == 200, "{status} {body}");
    Ok(serde_json::from_str(&body)?)
}

/// What cannot be said to a provider is said in the words of who asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_route_and_the_field_of_the_client() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = format!("http://{}", mock.address());
    let row = harness::deployment("llava", "ollama_chat/llava", &base);
    let setup = harness::start_with(1, mock, format!("model_list:\n{row}")).await?;
    let url = "https://example.com/cat.png";
    let source = json!({"type": "url", "url": url});
    for (path, mut body, field, part) in [
        (
            "/v1/messages",
            json!({"max_tokens": 9}),
            "messages",
            json!({"type": "image", "source": source}),
        ),
        ("/v1/responses", json!({}), "input", json!({"type": "input_image", "image_url": url})),
        (
            "/v1/chat/completions",
            json!({}),
            "messages",
            json!({"type": "image_url", "image_url": {"url": url}}),
        ),
    ] {
        body["model"] = json!("llava");
        body[field] = json!([{"role": "user", "content": [part]}]);
        let (status, told) = ask(&setup, path, &body).await?;
        let route = if field == "input" { "/responses" } else { path };
        let route = if path.contains("chat") { "/chat/completions" } else { route };
        let expected = format!("{route}: Invalid value for '{field}': expected images inline");
        assert!(status == 400 && told.contains(&expected), "{path}: {status} {told}");
    }
    Ok(())
}

/// The data of a stream's events; each is named for its type.
async fn events(setup: &Setup, body: &Value) -> anyhow::Result<Vec<Value>> {
    let (status, body) = ask(setup, "/v1/messages", &streamed(body.clone())).await?;
    anyhow::ensure!(status == 200, "{status} {body}");
    let event = |frame: &str| {
        let (name, data) = frame.split_once('\n').expect("an event has two lines");
        let data: Value = serde_json::from_str(data.trim_start_matches("data: "))?;
        assert_eq!(format!("event: {}", data["type"].as_str().unwrap_or_default()), name);
        Ok(data)
    };
    body.trim_end().split("\n\n").map(event).collect()
}

fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_openais_dialect_answers_messages() -> anyhow::Result<()> {
    let settings =
        Settings { context: Some(2000), habits: vec![Habit::Vllm], ..Settings::default() };
    let setup = start("", settings).await?;
    let asked = message("vllm", r#"[[think:hm]] [[tool:weather {"city":"Paris"}]]"#);
    let whole = answer(&setup, "/v1/messages", &asked).await?;
    assert_eq!((&whole["type"], &whole["model"]), (&json!("message"), &json!("vllm")));
    assert_eq!(whole["content"][0]["thinking"], "hm");
    let call = &whole["content"][1];
    assert_eq!((&call["name"], &call["input"]), (&json!("weather"), &json!({"city": "Paris"})));
    assert_eq!(whole["stop_reason"], "tool_use");
    assert!(whole["usage"]["input_tokens"].as_u64() > Some(0), "{whole}");
    let sent: Value = serde_json::from_slice(&setup.mock.last_request().expect("one came").body)?;
    assert_eq!((&sent["model"], &sent["max_tokens"]), (&json!("qwen"), &json!(4096)));
    assert_eq!(sent["tools"][0]["function"]["name"], "weather");

    let events = events(&setup, &asked).await?;
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    let (first, last) = (kinds[0], &kinds[kinds.len() - 3..]);
    assert_eq!(first, "message_start");
    assert_eq!(last, ["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(joined(&events, "/delta/thinking"), "hm");
    assert_eq!(joined(&events, "/delta/partial_json"), r#"{"city":"Paris"}"#);
    assert_eq!(joined(&events, "/content_block/type"), "thinkingtool_use");
    let end = &events[events.len() - 2];
    assert_eq!(end["delta"]["stop_reason"], "tool_use");
    assert_eq!(end["usage"]["output_tokens"], whole["usage"]["output_tokens"]);

    let turns = json!([asked["messages"][0], {"role": "assistant", "content": whole["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "22"}]}]);
    let mut next = asked.clone();
    next["messages"] = turns;
    let next = answer(&setup, "/v1/messages?beta=true", &next).await?;
    assert_eq!(next["content"][0]["text"], "the tool said: 22");

    let (status, body) =
        ask(&setup, "/v1/messages", &message("vllm", &"word ".repeat(4000))).await?;
    let error: Value = serde_json::from_str(&body)?;
    assert_eq!((status, &error["error"]["type"]), (400, &json!("invalid_request_error")), "{body}");
    let words = error["error"]["message"].as_str().unwrap_or_default();
    assert!(words.starts_with("prompt is too long: litellm.ContextWindow"), "{words}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_in_the_dialects_shape_but_for_those_of_keys() -> anyhow::Result<()> {
    let setup = start("", Settings::default()).await?;
    for (body, status, kind) in [
        (message("nobody", "hi"), 400, "invalid_request_error"),
        (json!({"model": "vllm", "messages": []}), 400, "invalid_request_error"),
        (json!({"model": "vllm", "max_tokens": 1, "messages": [7]}), 400, "invalid_request_error"),
    ] {
        let (got, text) = ask(&setup, "/v1/messages", &body).await?;
        let error: Value = serde_json::from_str(&text)?;
        assert_eq!(
            (got, &error["type"], &error["error"]["type"]),
            (status, &json!("error"), &json!(kind))
        );
    }
    let stranger = setup.cluster.client().with_key("sk-nobody");
    let url = setup.cluster.url(0, "/v1/messages");
    let reply = stranger.post(&url, &message("vllm", "hi")).await?;
    assert_eq!(harness::error_of(&reply)?["type"], "token_not_found_in_db");
    let told: Value = serde_json::from_str(&reply.body)?;
    assert_eq!(told["type"], "error", "Anthropic's clients look for it");

    for (code, kind) in [(529, "overloaded_error"), (429, "rate_limit_error"), (500, "api_error")] {
        setup.mock.set_fault_for(Fault::Status { code, retry_after: None }, 1).await;
        let (status, text) = ask(&setup, "/v1/messages", &message("claude", "hi")).await?;
        let error: Value = serde_json::from_str(&text)?;
        assert_eq!((status, &error["error"]["type"]), (code, &json!(kind)), "{text}");
    }
    for model in ["claude", "vllm"] {
        setup.mock.set_fault_for(Fault::ErrorMidStream(3), 1).await;
        let url = setup.cluster.url(0, "/v1/messages");
        let mut response = dunlin_cluster::http_client()?
            .post(url)
            .header("x-api-key", setup.cluster.master_key())
            .json(&streamed(message(model, "hi")))
            .send()
            .await?;
        let mut text = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            text.extend_from_slice(&piece);
        }
        let text = String::from_utf8(text)?;
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        assert!(last.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{"), "{text}");
        assert!(!text.contains("message_stop"), "{text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropic_answers_chats() -> anyhow::Result<()> {
    let setup = start("", Settings::default()).await?;
    let mut asked = chat(r#"[[tool:weather {"city":"Paris"}]]"#);
    asked["reasoning_effort"] = json!("low");
    let whole = answer(&setup, "/v1/chat/completions", &asked).await?;
    let message = &whole["choices"][0]["message"];
    let call = &message["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"city":"Paris"}"#, "{whole}");
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    assert!(message["reasoning_content"].is_string() && message["thinking_blocks"].is_array());
    let sent = setup.mock.last_request().expect("one came");
    assert_eq!(sent.headers["x-api-key"], "sk-upstream");
    let sent: Value = serde_json::from_slice(&sent.body)?;
    assert_eq!(sent["thinking"]["budget_tokens"], 1024);

    let mut next = asked.clone();
    next["messages"] = json!([asked["messages"][0], message,
        {"role": "tool", "tool_call_id": call["id"], "content": "22"}]);
    let next = answer(&setup, "/v1/chat/completions", &next).await?;
    assert_eq!(next["choices"][0]["message"]["content"], "the tool said: 22");

    let mut body = streamed(chat("[[think:hm]]"));
    body["stream_options"] = json!({"include_usage": true});
    let (status, text) = ask(&setup, "/v1/chat/completions", &body).await?;
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("event:"), "{text}");
    let frames: Vec<Value> = text
        .split("\n\n")
        .filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok())
        .collect();
    assert!(frames.iter().all(|frame| frame["model"] == "claude"), "{text}");
    let said = joined(&frames, "/choices/0/delta/content");
    assert_eq!(said.trim(), whole_text(&setup).await?.trim());
    assert!(
        frames.last().is_some_and(|frame| frame["usage"]["completion_tokens"].as_u64() > Some(0))
    );
    Ok(())
}

async fn whole_text(setup: &Setup) -> anyhow::Result<String> {
    let whole = answer(setup, "/v1/chat/completions", &chat("[[think:hm]]")).await?;
    Ok(whole["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_to_anthropic_as_they_are() -> anyhow::Result<()> {
    const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\", \"message\":{\"id\":\"msg_1\",\"model\":\"claude-sonnet-4-5\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1.0e0}}}\n\n\
        event: ping\ndata: {\"type\": \"ping\"}\n\nevent: new_event\ndata: {\"type\":\"new_event\",\"x\":1.50}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let (head, tail) = STREAM.split_at(50);
    let pieces = vec![head.to_owned(), tail.to_owned()];
    let upstream = Scripted::start("text/event-stream; charset=utf-8", pieces).await?;
    let setup = start(&upstream.api_base(), Settings::default()).await?;
    let body = "{ \"messages\":[ ], \"max_tokens\": 9,\"metadata\":{\"user_id\":\"u\"},\"litellm_metadata\":{\"tags\":[]},\
        \"new_field\":1.50,\"model\":\"claude\",\"stream\":true}";
    let response = dunlin_cluster::http_client()?
        .post(setup.cluster.url(0, "/v1/messages?beta=true"))
        .bearer_auth(setup.cluster.master_key())
        .header("anthropic-beta", "made-up-2026-01-01,other")
        .header("anthropic-version", "2026-10-21")
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await?;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("request-id"));
    assert_eq!(response.text().await?, STREAM.replace("claude-sonnet-4-5", "claude"));
    let sent = body
        .replace("claude", "claude-sonnet-4-5")
        .replace(",\"litellm_metadata\":{\"tags\":[]}", "");
    assert_eq!(upstream.last_body(), sent);
    let head = upstream.last().to_lowercase();
    for line in [
        "post /v1/messages http/1.1",
        "anthropic-beta: made-up-2026-01-01,other",
        "anthropic-version: 2026-10-21",
        "x-api-key: sk-upstream",
    ] {
        assert!(head.lines().any(|given| given == line), "{line}: {head}");
    }
    assert!(!head.contains(&setup.cluster.master_key().to_lowercase()), "{head}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_goes_on_for_the_key_that_began_it_alone() -> anyhow::Result<()> {
    const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let stream = format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{MESSAGE}}}\n\n\
         event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{{\"output_tokens\":1}}}}\n\n\
         event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
    );
    let whole = Scripted::start("application/json", vec![MESSAGE.to_owned()]).await?;
    let streamed = Scripted::start("text/event-stream", vec![stream]).await?;
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = format!(
        "model_list:\n{}{}router_settings:\n  num_retries: 0\n",
        harness::deployment("whole", "anthropic/claude-sonnet-4-5", &whole.api_base()),
        harness::deployment("streamed", "anthropic/claude-sonnet-4-5", &streamed.api_base()),
    );
    let setup = harness::start_with(1, mock, config).await?;
    let (own, other) = (setup.make_key(0, json!({})).await?, setup.make_key(0, json!({})).await?);
    let url = setup.cluster.url(0, "/v1/messages");
    for (model, upstream) in [("whole", &whole), ("streamed", &streamed)] {
        let body = |thread: Value| {
            json!({"model": model, "max_tokens": 9, "messages": [], "thread": thread,
                "stream": model == "streamed"})
        };
        let began = own.post(&url, &body(json!({"type": "create"}))).await?;
        assert_eq!(began.status, 200, "{}", began.body);
        let id = began.body.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let id = id.expect("a message has an id");
        assert!(id.starts_with("msg_dn1"), "{id}");
        let thread = json!({"type": "continue", "previous_message_id": id});
        let goes_on = own.post(&url, &body(thread.clone())).await?;
        assert_eq!(goes_on.status, 200, "{}", goes_on.body);
        let sent: Value = serde_json::from_str(&upstream.last_body())?;
        assert_eq!(sent["thread"]["previous_message_id"], "msg_1");
        let asked = upstream.last();
        let spelled = body(thread.clone()).to_string().replace("previous_", "previous\\u005f");
        let raw = body(json!({"type": "continue", "previous_message_id": "msg_1"})).to_string();
        let bodies = [body(thread).to_string(), raw, spelled];
        for (body, caller) in bodies.iter().zip([&other, &own, &own]) {
            let body: Box<serde_json::value::RawValue> = serde_json::from_str(body)?;
            let refused = caller.post(&url, &body).await?;
            assert_eq!(refused.status, 400, "{body} {}", refused.body);
            let told: Value = refused.json()?;
            assert_eq!(told["error"]["details"]["error_code"], "thread_not_found", "{told}");
        }
        assert_eq!(upstream.last(), asked, "nobody was asked");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_are_counted_and_models_listed() -> anyhow::Result<()> {
    let setup = start("", Settings::default()).await?;
    let caller = setup.make_key(0, json!({"models": ["vllm", "claude"]})).await?;
    let url = setup.cluster.url(0, "/v1/messages/count_tokens");
    for (model, source) in [("vllm", "local"), ("claude", "provider")] {
        let mut body = message(model, "how many words are these");
        body.as_object_mut().expect("an object").remove("max_tokens");
        let counted: Value = caller.post(&url, &body).await?.json()?;
        assert!(counted["input_tokens"].as_u64() > Some(4), "{model}: {counted}");
        assert_eq!(counted["litellm_count_source"], source, "{model}");
    }
    assert_eq!(setup.key_info(0, &caller).await?["spend"], json!(0.0), "a count costs nothing");
    let refused = caller.post(&url, &message("other", "hi")).await?;
    assert_eq!(refused.status, 403, "{}", refused.body);

    let list = async |query: &str| -> anyhow::Result<Value> {
        let response = dunlin_cluster::http_client()?
            .get(setup.cluster.url(0, &format!("/v1/models{query}")))
            .header("anthropic-version", "2023-06-01")
            .header("x-api-key", caller.key())
            .send()
            .await?;
        Ok(response.json().await?)
    };
    let all = list("?limit=1000").await?;
    assert_eq!(
        (&all["has_more"], &all["first_id"], &all["last_id"]),
        (&json!(false), &json!("claude"), &json!("vllm"))
    );
    assert_eq!(
        (&all["data"][0]["type"], &all["data"][0]["display_name"]),
        (&json!("model"), &json!("claude"))
    );
    let page = list("?limit=1").await?;
    assert_eq!((&page["has_more"], &page["last_id"]), (&json!(true), &json!("claude")));
    assert_eq!(list("?after_id=claude").await?["first_id"], "vllm");
    assert_eq!(list("/nobody").await?["error"]["type"], "not_found_error");
    assert_eq!(list("/claude").await?["id"], "claude");
    Ok(())
}
