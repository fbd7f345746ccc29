//! What nobody waits for, and is charged later: budgets hold what it may cost until then.

use dunlin_cluster::{Client, wait_until};
use serde_json::{Value, json};

use crate::harness::{self, Setup, send};
use crate::responses::start;

async fn ask(setup: &Setup, caller: &Client, path: &str) -> anyhow::Result<(u16, Value)> {
    let body = json!({"model": "own", "input": "hi", "background": true, "max_output_tokens": 200});
    let reply = caller.post(&setup.cluster.url(0, path), &body).await?;
    Ok((reply.status, reply.json()?))
}

async fn spend(setup: &Setup, caller: &Client) -> f64 {
    let info = setup.key_info(0, caller).await.unwrap_or_default();
    info["spend"].as_f64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_holds_for_a_response_in_the_background_until_it_is_charged() -> anyhow::Result<()>
{
    let setup = start(1).await?;
    // Each may cost a little over 200 tokens that are written.
    let most = 200.0 * harness::OUTPUT_COST;
    let budget = json!({"max_budget": 1.8 * most, "strict_budget": true});
    let caller = setup.make_key(0, budget).await?;
    let (status, made) = ask(&setup, &caller, "/v1/responses").await?;
    assert_eq!(status, 200, "{made}");
    let (status, refused) = ask(&setup, &caller, "/v1/responses").await?;
    assert_eq!(status, 422, "the first one may still cost it all: {refused}");
    wait_until("it is charged", harness::SOON, async || spend(&setup, &caller).await > 0.0).await?;
    assert!(spend(&setup, &caller).await < 0.5 * most, "it is short");
    let (status, made) = ask(&setup, &caller, "/v1/responses").await?;
    assert_eq!(status, 200, "what it did not use came back: {made}");

    // Deleted before anybody has asked after it, it costs what it used.
    let before = spend(&setup, &caller).await;
    let path = format!("/v1/responses/{}", made["id"].as_str().expect("an id"));
    assert_eq!(send(&setup, 0, &caller, "DELETE", &path).await?.0, 200);
    let more = async || spend(&setup, &caller).await > before;
    wait_until("what is deleted is charged", harness::SOON, more).await
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_prefix_nothing_is_made_in_the_background() -> anyhow::Result<()> {
    let setup = start(1).await?;
    let (status, refused) =
        ask(&setup, setup.cluster.client(), "/openai_passthrough/v1/responses").await?;
    assert_eq!(status, 400, "{refused}");
    assert_eq!(refused["error"]["param"], "background", "{refused}");
    Ok(())
}
