//! What an answer costs beside its tokens, and in which tier.

use dunlin_cluster::Client;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, INPUT_COST, OUTPUT_COST, Setup};

/// One model that is priced by all that is counted.
async fn start() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let model = harness::deployment("chat", "openai/upstream-name", &mock.api_base());
    let rates = "      input_cost_per_token_flex: 5.0e-7\n      output_cost_per_token_flex: 1.0e-6\n      \
                 output_cost_per_image: 0.02\n      input_cost_per_second: 0.0001\n      \
                 input_cost_per_character: 0.00001\n      input_cost_per_query: 0.002\n";
    harness::start_with(1, mock, format!("model_list:\n{model}{rates}")).await
}

async fn cost(setup: &Setup, path: &str, body: &Value) -> anyhow::Result<(f64, Value)> {
    let reply = setup.cluster.client().post(&setup.cluster.url(0, path), body).await?;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    let cost = reply.header("x-litellm-response-cost").unwrap_or("0").parse()?;
    Ok((cost, reply.json()?))
}

fn near(cost: f64, expected: f64) -> bool {
    (cost - expected).abs() < 1e-9
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_charged_in_the_tier_that_it_was_served_in() -> anyhow::Result<()> {
    let setup = start().await?;
    for (tier, share) in [("default", 1.0), ("auto", 1.0), ("flex", 0.5)] {
        let body = json!({"model": "chat", "messages": [{"role": "user", "content": "hi"}],
            "service_tier": tier});
        let (cost, answer) = cost(&setup, "/v1/chat/completions", &body).await?;
        let tokens = |name: &str| answer["usage"][name].as_f64().expect("a count");
        let expected =
            tokens("prompt_tokens") * INPUT_COST + tokens("completion_tokens") * OUTPUT_COST;
        assert!(near(cost, share * expected), "{tier}: {cost}, not {share} of {expected}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_queries_and_characters_are_charged() -> anyhow::Result<()> {
    let setup = start().await?;
    let body = json!({"model": "chat", "prompt": "a dot", "n": 3});
    let (pictures, _) = cost(&setup, "/v1/images/generations", &body).await?;
    assert!((0.06..0.0601).contains(&pictures), "three pictures and a few tokens: {pictures}");
    let body = json!({"model": "chat", "query": "a", "documents": ["a", "b"]});
    let (query, _) = cost(&setup, "/v1/rerank", &body).await?;
    assert!((0.002..0.0021).contains(&query), "a query and a few tokens: {query}");

    let speaker: Client = setup.make_key(0, json!({})).await?;
    let body = json!({"model": "chat", "voice": "alloy", "input": "a".repeat(100)});
    let spoken = speaker.post(&setup.cluster.url(0, "/v1/audio/speech"), &body).await?;
    assert_eq!(spoken.status, 200, "{}", spoken.body);
    dunlin_cluster::wait_until("the characters are charged", harness::SOON, async || {
        let info = setup.key_info(0, &speaker).await.unwrap_or_default();
        info["spend"].as_f64().is_some_and(|spend| (0.001..0.0011).contains(&spend))
    })
    .await
}

/// Models each of which has one price, and none for tokens.
async fn start_without_token_prices() -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let rates = [
        ("speech", "input_cost_per_character", 0.001),
        ("rank", "input_cost_per_query", 0.002),
        ("painted", "output_cost_per_image", 0.04),
    ];
    let models = rates.map(|(name, rate, price)| {
        let target = format!("openai/{name}");
        let model = harness::deployment(name, &target, &mock.api_base());
        let is_of_tokens = |line: &&str| !line.contains("cost_per_token");
        let lines: Vec<&str> = model.lines().filter(is_of_tokens).collect();
        format!("{}\n      {rate}: {price}\n", lines.join("\n"))
    });
    harness::start_with(1, mock, format!("model_list:\n{}", models.concat())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_refuses_what_is_not_priced_by_tokens_too() -> anyhow::Result<()> {
    let setup = start_without_token_prices().await?;
    let calls = [
        ("/v1/audio/speech", json!({"model": "speech", "voice": "alloy", "input": "hello"})),
        ("/v1/rerank", json!({"model": "rank", "query": "a", "documents": ["a"]})),
        ("/v1/images/generations", json!({"model": "painted", "prompt": "a dot"})),
    ];
    for fields in [json!({"max_budget": 0}), json!({"max_budget": 0, "strict_budget": true})] {
        let caller = setup.make_key(0, fields).await?;
        for (path, body) in &calls {
            let reply = caller.post(&setup.cluster.url(0, path), body).await?;
            assert_eq!(reply.status, 422, "{path}: {}", reply.body);
        }
    }
    // What is left is enough for none of them.
    let strict = setup.make_key(0, json!({"max_budget": 0.0019, "strict_budget": true})).await?;
    for (path, body) in &calls {
        let reply = strict.post(&setup.cluster.url(0, path), body).await?;
        assert_eq!(reply.status, 422, "{path}: {}", reply.body);
    }
    Ok(())
}
