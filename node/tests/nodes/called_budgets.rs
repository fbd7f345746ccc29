//! Budgets of what is called: a deployment or provider whose budget is spent is passed over, and
//! only where all are, the request is refused.

use std::collections::BTreeMap;

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup, assert_error};

const CROSSED: &str = "No deployments available - crossed budget: ";

/// `chat` at two deployments: `a`, which may cost 0.0001 dollars, and `b`, whose provider may cost
/// 0.0002; `other` costs them nothing.
async fn start(nodes: usize) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let base = mock.api_base();
    let with_id = |entry: String, id| format!("{entry}    model_info: {{id: {id}}}\n");
    let a = harness::deployment("chat", "openai/upstream-name", &base);
    let a = with_id(format!("{a}      max_budget: 0.0001\n      budget_duration: 1d\n"), "a");
    let b = with_id(harness::deployment("chat", "hosted_vllm/upstream-name", &base), "b");
    let other = harness::deployment("other", "openai/upstream-name", &base);
    let config = format!(
        "model_list:\n{a}{b}{other}router_settings:\n  num_retries: 0\n  provider_budget_config:\n    \
         hosted_vllm: {{budget_limit: 0.0002, time_period: 1d}}\n\
         litellm_settings:\n  tag_budget_config:\n    \
         costly: {{max_budget: 0.00005, budget_duration: 5s}}\n"
    );
    harness::start_with(nodes, mock, config).await
}

fn body(model: &str) -> Value {
    let mut body = harness::chat_body();
    body["model"] = json!(model);
    body["max_tokens"] = json!(8);
    body
}

fn cost(reply: &Reply) -> f64 {
    let cost = reply.header("x-litellm-response-cost").expect("it is told");
    cost.parse().expect("a number")
}

async fn tagged(setup: &Setup, node: usize, caller: &Client) -> Reply {
    let mut body = body("other");
    body["metadata"] = json!({"tags": ["costly"]});
    setup.ask(node, caller, &body).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_or_provider_that_is_spent_is_passed_over() -> anyhow::Result<()> {
    let setup = start(3).await?;
    // The master key has no budgets, but what it calls may have.
    let master = setup.cluster.client().clone();
    let caller = setup.make_key(0, json!({})).await?;
    let mut spent: BTreeMap<String, f64> = BTreeMap::new();
    let mut dearest = 0.0_f64;
    let mut askers = [&caller, &master].into_iter().cycle().zip((0..3).cycle());
    let refused = loop {
        let (asker, node) = askers.next().expect("it goes round");
        let reply = setup.ask(node, asker, &body("chat")).await?;
        if !reply.ok() {
            break reply;
        }
        let by = reply.header("x-litellm-model-id").expect("it is told").to_owned();
        *spent.entry(by).or_default() += cost(&reply);
        dearest = dearest.max(cost(&reply));
        assert!(spent.values().sum::<f64>() < 0.001, "nobody is ever refused: {spent:?}");
    };
    assert_error(&refused, 429, Value::Null, CROSSED);
    for crossed in ["deployment model_id: a: ", "provider hosted_vllm: ", "Budget resets at: "] {
        assert!(refused.body.contains(crossed), "{crossed}: {}", refused.body);
    }
    for (by, limit) in [("a", 0.0001), ("b", 0.0002)] {
        let spent = spent[by];
        // The last request is let in on what is left.
        let exact = spent >= limit - 1e-12 && spent < limit + dearest;
        assert!(exact, "{by}: {spent} of {limit}, the dearest was {dearest}");
    }
    for node in 0..3 {
        let told = setup.cluster.url(node, "/provider/budgets");
        let told: Value = setup.cluster.client().get(&told).await?.json()?;
        let spend = &told["providers"]["hosted_vllm"]["spend"];
        assert!(spend.as_f64().is_some_and(|spend| spend > 0.0), "{told}");
        let reply = setup.ask(node, &caller, &body("chat")).await?;
        assert_error(&reply, 429, Value::Null, CROSSED);
        let other = setup.ask(node, &caller, &body("other")).await?;
        assert_eq!(other.status, 200, "{}", other.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_spent_is_refused_until_its_window_is_over() -> anyhow::Result<()> {
    let setup = start(2).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let mut node = 0;
    wait_until("the tag's budget is spent", SOON, async || {
        node = 1 - node;
        let reply = tagged(&setup, node, &caller).await;
        if !reply.ok() {
            assert_error(&reply, 429, Value::Null, CROSSED);
            assert!(reply.body.contains("Exceeded budget for tag='costly'"), "{}", reply.body);
        }
        !reply.ok()
    })
    .await?;
    let untagged = setup.ask(node, &caller, &body("other")).await?;
    assert_eq!(untagged.status, 200, "{}", untagged.body);
    wait_until("the next window", SOON, async || tagged(&setup, 1 - node, &caller).await.ok())
        .await?;
    Ok(())
}
