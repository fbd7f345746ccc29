//! Thoughts that are sealed, and those that only their provider can read, come back to it as they
//! were, through every client: the mock refuses, as Anthropic does, what it has not sealed itself.

use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, Setup};

/// Makes the upstream think unseen.
const UNSEEN: &str = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING";

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let model = harness::deployment("claude", "anthropic/claude-sonnet-4-5", &mock.api_base());
    let config = format!("model_list:\n{model}router_settings: {{num_retries: 0}}\n");
    harness::start_with(1, mock, config).await
}

async fn answer(setup: &Setup, path: &str, body: &Value) -> anyhow::Result<Value> {
    let reply = setup.cluster.client().post(&setup.cluster.url(0, path), body).await?;
    anyhow::ensure!(reply.status == 200, "{path}: {} for {body}", reply.body);
    if body["stream"] == true {
        let last = reply.body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back();
        return Ok(serde_json::from_str(last.unwrap_or_default())?);
    }
    Ok(serde_json::from_str(&reply.body)?)
}

/// What of the turn before reached the upstream.
fn came_back(setup: &Setup) -> anyhow::Result<Vec<String>> {
    let sent = setup.mock.last_request().expect("one came");
    let sent: Value = serde_json::from_slice(&sent.body)?;
    let blocks = sent["messages"][1]["content"].as_array().cloned().unwrap_or_default();
    Ok(blocks.iter().filter_map(|block| Some(block["type"].as_str()?.to_owned())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_come_back_to_who_had_them() -> anyhow::Result<()> {
    let setup = start().await?;
    for (words, kind) in [("hi", "thinking"), (UNSEEN, "redacted_thinking")] {
        let expected = [kind, "text"];
        let first = json!([{"role": "user", "content": words}]);
        let next = json!({"role": "user", "content": "and?"});

        let path = "/v1/chat/completions";
        let mut chat = json!({"model": "claude", "messages": first, "reasoning_effort": "low"});
        let told = answer(&setup, path, &chat).await?;
        chat["messages"] = json!([first[0], told["choices"][0]["message"], next]);
        answer(&setup, path, &chat).await?;
        assert_eq!(came_back(&setup)?, expected, "chat");

        for streamed in [false, true] {
            let path = "/v1/responses";
            let mut asked = json!({"model": "claude", "input": first, "stream": streamed,
                "reasoning": {"effort": "low"}});
            let told = answer(&setup, path, &asked).await?;
            let told = if streamed { &told["response"] } else { &told };
            let mut input = vec![first[0].clone()];
            input.extend(told["output"].as_array().cloned().unwrap_or_default());
            input.push(next.clone());
            asked["input"] = input.into();
            answer(&setup, path, &asked).await?;
            assert_eq!(came_back(&setup)?, expected, "response, streamed: {streamed}");

            let go_on = json!({"model": "claude", "input": "and?", "reasoning": {"effort": "low"},
                "previous_response_id": told["id"]});
            answer(&setup, path, &go_on).await?;
            assert_eq!(came_back(&setup)?, expected, "stored response, streamed: {streamed}");
        }

        let path = "/v1beta/models/claude:generateContent";
        let said = |text: &str| json!({"role": "user", "parts": [{"text": text}]});
        let mut google = json!({"contents": [said(words)],
            "generation_config": {"thinking_config": {"thinking_budget": 1024}}});
        let told = answer(&setup, path, &google).await?;
        google["contents"] = json!([said(words), told["candidates"][0]["content"], said("and?")]);
        answer(&setup, path, &google).await?;
        assert_eq!(came_back(&setup)?, expected, "Google");
    }
    Ok(())
}
