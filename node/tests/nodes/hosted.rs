//! Tools that OpenAI's responses run themselves, asked of a model that has only chats; and tools
//! that take any text, which are functions there.

use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup, assert_error};

const LEFT_OUT: &str = "x-dunlin-left-out-tools";

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let root = mock.api_base().trim_end_matches("/v1").to_owned();
    let vllm = harness::deployment("vllm", "hosted_vllm/served", &mock.api_base());
    let openai = harness::deployment("openai", "openai/upstream-name", &mock.api_base());
    let claude = harness::deployment("claude", "anthropic/claude-sonnet-4-5", &root);
    harness::start_with(1, mock, format!("model_list:\n{vllm}{openai}{claude}")).await
}

fn sent(setup: &Setup) -> Value {
    let request = setup.mock.last_request().expect("there was one");
    serde_json::from_slice(&request.body).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_only_a_server_can_run_is_given_left_out_or_refused() -> anyhow::Result<()> {
    let setup = start().await?;
    let (url, caller) = (setup.cluster.url(0, "/v1/responses"), setup.cluster.client());
    let web = json!({"type": "web_search", "search_context_size": "low",
        "user_location": {"type": "approximate", "country": "SE"}});
    let tools = json!([web, {"type": "file_search", "vector_store_ids": ["vs_1"]}]);
    for (model, left_out) in
        [("vllm", "web_search, file_search"), ("openai", "file_search"), ("claude", "file_search")]
    {
        for stream in [false, true] {
            let ask = json!({"model": model, "input": "hi", "tools": tools, "stream": stream});
            let reply = caller.post(&url, &ask).await?;
            assert_eq!(reply.status, 200, "{model}: {}", reply.body);
            assert_eq!(reply.header(LEFT_OUT), Some(left_out), "{model}");
        }
        let body = sent(&setup);
        match model {
            "vllm" => assert_eq!(
                (&body["tools"], &body["web_search_options"]),
                (&Value::Null, &Value::Null)
            ),
            "openai" => assert_eq!(
                body["web_search_options"],
                json!({"search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"country": "SE"}}})
            ),
            _ => assert_eq!(
                body["tools"],
                json!([{"type": "web_search_20250305", "name": "web_search",
                "max_uses": 1, "user_location": {"type": "approximate", "country": "SE"}}])
            ),
        }
    }
    let seen = setup.mock.last_request().map(|request| request.body);
    let allowed =
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]});
    for choice in [json!({"type": "web_search_preview"}), json!("required"), allowed] {
        let ask = json!({"model": "vllm", "input": "hi", "tools": tools, "tool_choice": choice});
        let refused = caller.post(&url, &ask).await?;
        let begins =
            "litellm.UnsupportedParamsError: hosted_vllm does not run the tool 'web_search";
        assert_error(&refused, 400, json!("invalid_request_error"), begins);
    }
    assert_eq!(setup.mock.last_request().map(|request| request.body), seen, "nobody was asked");
    let f = json!({"type": "function", "name": "f", "parameters": {"type": "object"}});
    let plain = json!({"model": "vllm", "input": "hi", "tools": [f]});
    assert_eq!(caller.post(&url, &plain).await?.header(LEFT_OUT), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_takes_any_text_is_a_function_for_a_chat() -> anyhow::Result<()> {
    let setup = start().await?;
    let (url, caller) = (setup.cluster.url(0, "/v1/responses"), setup.cluster.client());
    let tool = json!({"type": "custom", "name": "patch", "description": "Changes files.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}});
    let wish = r#"[[tool:patch {"input":"*** Begin\n"}]]"#;
    let ask = json!({"model": "vllm", "input": wish, "tools": [tool], "tool_choice": "required"});
    let made: Value = caller.post(&url, &ask).await?.json()?;
    let call = &made["output"][0];
    assert_eq!(
        (&call["type"], &call["name"], &call["input"]),
        (&json!("custom_tool_call"), &json!("patch"), &json!("*** Begin\n")),
        "{made}"
    );
    let function = &sent(&setup)["tools"][0]["function"];
    assert_eq!(function["parameters"]["required"], json!(["input"]));
    assert!(function["description"].as_str().is_some_and(|said| said.contains("start: WORD")));

    let mut streamed = ask.clone();
    streamed["stream"] = json!(true);
    let reply = caller.post(&url, &streamed).await?;
    let data = reply.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = data.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let done = events.iter().find(|event| event["type"] == "response.custom_tool_call_input.done");
    assert_eq!(done.map(|event| &event["input"]), Some(&json!("*** Begin\n")), "{}", reply.body);
    let numbers = events.iter().map(|event| event["sequence_number"].as_u64());
    assert!(numbers.eq((0..events.len() as u64).map(Some)), "{}", reply.body);

    let output =
        json!({"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "done"});
    let next = json!({"model": "vllm", "input": [output], "tools": [tool],
        "previous_response_id": made["id"]});
    let next = caller.post(&url, &next).await?;
    assert_eq!(next.status, 200, "{}", next.body);
    let turns = &sent(&setup)["messages"];
    assert_eq!(
        turns[1]["tool_calls"][0]["function"]["arguments"],
        json!(r#"{"input":"*** Begin\n"}"#)
    );
    Ok(())
}
