//! Paths below a provider's prefix: however one is written, it is the same call here as at the
//! provider, or it is refused.

use dunlin_cluster::wait_until;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, assert_error, deployment};

async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let (base, root) = (mock.api_base(), format!("http://{}", mock.address()));
    let config = [
        "model_list:\n".to_owned(),
        deployment("chat", "openai/upstream-name", &base),
        "      input_cost_per_character: 0.00001\n".to_owned(),
        deployment("claude", "anthropic/claude-up", &root),
        deployment("google", "gemini/gemini-up", &root),
    ];
    harness::start_with(1, mock, config.concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_escaped_letter_is_the_letter() -> anyhow::Result<()> {
    let setup = start().await?;
    let speech = json!({"model": "upstream-name", "voice": "alloy", "input": "a".repeat(100)});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (path, seen, body, least) in [
        ("/openai/v1/audio/%73peech", "/v1/audio/speech", &speech, 0.001),
        (
            "/gemini/v1beta/models/google%3Agenerate%43ontent",
            "/v1beta/models/gemini-up:generateContent",
            &contents,
            1e-9,
        ),
    ] {
        let caller = setup.make_key(0, json!({})).await?;
        let reply = caller.post(&setup.cluster.url(0, path), body).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        let request = setup.mock.last_request().expect("it came through");
        assert_eq!(&*request.path, seen);
        wait_until(&format!("{path} is charged"), SOON, async || {
            let info: Value = setup.key_info(0, &caller).await.unwrap_or_default();
            info["spend"].as_f64().is_some_and(|spend| spend >= least)
        })
        .await?;
    }
    // What is dunlin's own is so however it is written, and batches are counted.
    let before = setup.mock.stats().requests;
    let caller = setup.make_key(0, json!({"tpd_limit": 1})).await?;
    let files = caller.get(&setup.cluster.url(0, "/openai/v1/%66iles")).await?;
    assert_eq!(files.json::<Value>()?["data"], json!([]), "its key has none");
    let messages = json!([{"role": "user", "content": "hi"}]);
    let params = json!({"model": "claude-up", "max_tokens": 9, "messages": messages});
    let batch = json!({"requests": [{"custom_id": "a", "params": params}]});
    let url = setup.cluster.url(0, "/anthropic/v1/messages/%62atches");
    let reply = caller.post(&url, &batch).await?;
    assert_eq!(reply.status, 429, "{}", reply.body);
    assert_eq!(setup.mock.stats().requests, before, "nobody was asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_may_be_read_in_two_ways_goes_nowhere() -> anyhow::Result<()> {
    let setup = start().await?;
    let speech = json!({"model": "upstream-name", "voice": "alloy", "input": "a"});
    for path in [
        "/openai//v1/files",
        "/openai/v1//audio/speech",
        "/openai/v1/audio%2Fspeech",
        "/openai/v1/audio/%2573peech",
        "/openai/v1/audio/speech;a",
        "/openai/v1/Audio/speech",
    ] {
        let reply = setup.cluster.client().post(&setup.cluster.url(0, path), &speech).await?;
        assert_error(&reply, 400, json!("invalid_request_error"), "a path of a provider's API ");
    }
    assert_eq!(setup.mock.stats().requests, 0, "nobody was asked");
    Ok(())
}
