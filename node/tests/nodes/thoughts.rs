//! Where a model's thoughts are in an answer, as its configuration and its client have it.

use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Scripted};

const MERGES: &str = "      merge_reasoning_content_in_choices: true\n";
const WHOLE: &str = r#"{"id":"1","object":"chat.completion","model":"up","choices":[{"index":0,
    "finish_reason":"stop","message":{"role":"assistant","content":"yes","reasoning_content":"hm"}}],
    "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

/// What a chat says and thinks in all.
fn gathered(body: &str) -> (String, String) {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let frames: Vec<Value> = data.filter_map(|data| serde_json::from_str(data).ok()).collect();
    let whole = serde_json::from_str(body).ok().into_iter();
    let mut said = (String::new(), String::new());
    for answer in frames.into_iter().chain(whole) {
        let choice = &answer["choices"][0];
        let message = choice.get("delta").unwrap_or(&choice["message"]);
        said.0 += message["content"].as_str().unwrap_or_default();
        said.1 += message["reasoning_content"].as_str().unwrap_or_default();
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_are_put_into_what_a_chat_says_where_that_is_wished() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let root = mock.api_base().trim_end_matches("/v1").to_owned();
    let whole = Scripted::start("application/json", vec![WHOLE.to_owned()]).await?;
    let piece = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "1", "model": "up", "choices": [choice]}))
    };
    let pieces = [
        piece(json!({"role": "assistant", "reasoning_content": "h"}), Value::Null),
        piece(json!({"reasoning_content": "m"}), Value::Null),
        piece(json!({"content": "yes"}), Value::Null),
        piece(json!({}), "stop".into()),
        "data: [DONE]\n\n".to_owned(),
    ];
    let streamed = Scripted::start("text/event-stream", pieces.to_vec()).await?;
    let mut models = harness::deployment("plain", "openai/up", &whole.api_base());
    models += &(harness::deployment("whole", "openai/up", &whole.api_base()) + MERGES);
    models += &(harness::deployment("streamed", "openai/up", &streamed.api_base()) + MERGES);
    models += &(harness::deployment("claude", "anthropic/claude-sonnet-4-5", &root) + MERGES);
    let setup = harness::start_with(1, mock, format!("model_list:\n{models}")).await?;
    let caller = setup.cluster.client();
    let ask = async |model: &str, fields: Value| -> anyhow::Result<String> {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        body.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("too"));
        let reply = setup.ask(0, caller, &body).await?;
        assert_eq!(reply.status, 200, "{model}: {}", reply.body);
        Ok(reply.body)
    };
    let (merged, apart) = (("<think>hm</think>yes", ""), ("yes", "hm"));
    let (wish, waive) =
        ([true, false]).map(|wish| json!({"merge_reasoning_content_in_choices": wish})).into();
    for (model, fields, expected) in [
        ("whole", json!({}), merged),
        ("whole", waive, apart),
        ("plain", json!({}), apart),
        ("plain", wish, merged),
        ("streamed", json!({"stream": true}), merged),
    ] {
        let (said, thought) = gathered(&ask(model, fields.clone()).await?);
        assert_eq!((&*said, &*thought), expected, "{model} {fields}");
        assert!(!whole.last_body().contains("merge_reasoning"), "a wish to the gateway alone");
    }
    for stream in [false, true] {
        let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024},
            "max_tokens": 4096, "stream": stream});
        let (said, thought) = gathered(&ask("claude", thinking).await?);
        let parts = said.strip_prefix("<think>").and_then(|rest| rest.split_once("</think>"));
        let (thoughts, answer) = parts.unwrap_or_else(|| panic!("{stream}: {said}"));
        assert!(!thoughts.is_empty() && !answer.is_empty() && thought.is_empty(), "{said}");
    }
    // Messages have a place for thoughts.
    let message = json!({"model": "whole", "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}]});
    let message = caller.post(&setup.cluster.url(0, "/v1/messages"), &message).await?;
    let message: Value = message.json()?;
    assert_eq!(message["content"][0]["thinking"], "hm", "{message}");
    assert_eq!(message["content"][1]["text"], "yes");
    Ok(())
}
