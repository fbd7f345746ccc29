//! A budget is one budget, however its traffic is spread over the nodes, and whoever dies.

use dunlin_cluster::{Client, Reply, wait_until};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{self, INPUT_COST, OUTPUT_COST, SOON, Setup, assert_error};

/// Asks all nodes in turn, all at once, for answers of different lengths. `None` where a node did
/// not answer.
fn rush(setup: &Setup, caller: &Client, count: usize) -> JoinSet<Option<Reply>> {
    let nodes = setup.cluster.nodes().len();
    let mut sent = JoinSet::new();
    for number in 0..count {
        let url = setup.cluster.url(number % nodes, "/v1/chat/completions");
        let caller = caller.clone();
        let mut body = harness::chat_body();
        body["max_tokens"] = json!(1 + number % 40);
        sent.spawn(async move { caller.post(&url, &body).await.ok() });
    }
    sent
}

/// Requests at once.
const RUSH: usize = 1_000;

/// In nano-dollars.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small amounts")]
fn nano(dollars: f64) -> u64 {
    (dollars * 1e9).round() as u64
}

fn cost(reply: &Reply) -> u64 {
    let usage = &reply.json::<Value>().expect("JSON")["usage"];
    let tokens = |name: &str| usage[name].as_f64().expect("a count of tokens");
    nano(tokens("prompt_tokens") * INPUT_COST + tokens("completion_tokens") * OUTPUT_COST)
}

async fn settled(setup: &Setup, node: usize, caller: &Client) -> Option<u64> {
    let info = setup.key_info(node, caller).await.ok()?;
    info["spend"].as_f64().map(nano)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_budget_is_spent_by_three_nodes_to_the_last_and_no_further() -> anyhow::Result<()>
{
    let setup = harness::start(3).await?;
    let limit = 10_000_000;
    let fields = json!({"max_budget": 0.01, "strict_budget": true, "key_alias": "strict"});
    let caller = setup.make_key(0, fields).await?;
    let replies = rush(&setup, &caller, RUSH).join_all().await;
    let replies: Vec<_> = replies.into_iter().flatten().collect();
    assert_eq!(replies.len(), RUSH);
    let completed: u64 = replies.iter().filter(|reply| reply.ok()).map(cost).sum();
    assert!(completed <= limit, "{completed} of {limit} were spent");
    assert!(completed > limit / 2, "only {completed} of {limit} were spent");
    let refused = replies.iter().find(|reply| !reply.ok()).expect("there was too little for all");
    assert_error(
        refused,
        422,
        json!("budget_exceeded"),
        "Budget has been exceeded! Key=strict (sk-...",
    );
    for node in 0..3 {
        wait_until(&format!("{completed} are settled, as node {node} sees it"), SOON, async || {
            settled(&setup, node, &caller).await == Some(completed)
        })
        .await?;
    }
    eprintln!("strict: {completed} of {limit} nano-dollars were spent");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_teams_budget_holds_for_all_its_keys_and_names_it() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let team = json!({"team_id": "blue", "max_budget": 0.000_1});
    setup.admin(1, "/team/new", team).await?;
    let mut callers = Vec::new();
    for maker in 0..3 {
        callers.push(setup.make_key(maker, json!({"team_id": "blue"})).await?);
    }
    for (node, caller) in callers.iter().enumerate() {
        let _spends_or_is_refused = rush(&setup, caller, 9).join_all().await;
        wait_until("the team's budget is spent", SOON, async || {
            setup.chat(node, caller).await.is_ok_and(|reply| reply.status == 422)
        })
        .await?;
        let refused = setup.chat(node, caller).await?;
        let message = "Budget has been exceeded! Team=blue Current cost: ";
        assert_error(&refused, 422, json!("budget_exceeded"), message);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_node_killed_nothing_is_overspent_and_all_that_was_answered_is_settled()
-> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let limit = 10_000_000;
    let fields = json!({"max_budget": 0.01, "strict_budget": true});
    let caller = setup.make_key(0, fields).await?;
    let sent = rush(&setup, &caller, RUSH);
    wait_until("a tenth is under way or done", SOON, async || {
        setup.mock.stats().requests as usize >= RUSH / 10
    })
    .await?;
    setup.cluster.kill(2).await?;
    let replies = sent.join_all().await;
    let broken = replies.iter().filter(|reply| reply.is_none()).count();
    let replies: Vec<_> = replies.into_iter().flatten().collect();
    let completed: u64 = replies.iter().filter(|reply| reply.ok()).map(cost).sum();
    setup.cluster.restart(2)?;
    wait_until("what was answered is settled, on all nodes alike", SOON * 2, async || {
        let seen = [0, 1, 2].map(|node| settled(&setup, node, &caller));
        let seen = join_all(seen).await;
        seen.iter().all(|one| *one == seen[0]) && seen[0].is_some_and(|spent| spent >= completed)
    })
    .await?;
    let spent = settled(&setup, 0, &caller).await.expect("just seen");
    eprintln!("killed: {completed} answered <= {spent} settled; {broken} got no answer");
    assert!(spent <= limit, "{spent} of {limit} were spent");
    let most = replies.iter().filter(|reply| reply.ok()).map(cost).max().expect("some");
    assert!(spent <= completed + most * broken as u64, "more than was open at the kill is settled");
    Ok(())
}
