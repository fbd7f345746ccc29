//! Everything acknowledged is there again after all nodes were down, however they went down.

use dunlin_cluster::{Client, wait_until};
use serde_json::{Value, json};

use crate::harness::{self, FORMED, SOON, Setup};

const REQUESTS: usize = 9;

/// What the cluster acknowledged before it went down.
struct Before {
    callers: Vec<Client>,
    blocked: Client,
    spend: f64,
}

async fn fill(setup: &Setup) -> anyhow::Result<Before> {
    let mut callers = Vec::new();
    for node in 0..3 {
        callers.push(setup.make_key(node, json!({"key_alias": format!("k{node}")})).await?);
    }
    let blocked = setup.make_key(0, json!({})).await?;
    setup.admin(1, "/key/block", json!({"key": blocked.key()})).await?;
    let mut spend = 0.0;
    for number in 0..REQUESTS {
        let reply = setup.chat(number % 3, &callers[0]).await?;
        let cost = reply.header("x-litellm-response-cost").expect("a priced answer");
        spend += cost.parse::<f64>()?;
    }
    Ok(Before { callers, blocked, spend })
}

async fn is_all_back(setup: &Setup, before: &Before) -> anyhow::Result<()> {
    for node in 0..3 {
        for (number, caller) in before.callers.iter().enumerate() {
            let reply = setup.chat(node, caller).await?;
            assert_eq!(reply.status, 200, "key {number} on node {node}: {}", reply.body);
        }
        assert_eq!(setup.chat(node, &before.blocked).await?.status, 401);
    }
    Ok(())
}

async fn shows_spend(setup: &Setup, caller: &Client, spend: f64) -> anyhow::Result<()> {
    for node in 0..3 {
        wait_until(&format!("node {node} shows the spend {spend}"), SOON, async || {
            let info = setup.key_info(node, caller).await.unwrap_or(Value::Null);
            info["spend"].as_f64().is_some_and(|shown| (shown - spend).abs() < 1e-9)
        })
        .await?;
    }
    Ok(())
}

async fn restart_all(setup: &mut Setup) -> anyhow::Result<()> {
    for node in 0..3 {
        setup.cluster.restart(node)?;
    }
    setup.cluster.wait_ready(FORMED).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_stopped_and_started_come_back_with_their_state() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let cluster = setup.cluster.status(0).await?.cluster;
    let before = fill(&setup).await?;
    setup.cluster.stop_all().await?;
    restart_all(&mut setup).await?;
    assert_eq!(setup.cluster.status(0).await?.cluster, cluster, "it is the same cluster");
    shows_spend(&setup, &before.callers[0], before.spend).await?;
    is_all_back(&setup, &before).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_killed_at_once_lose_no_key_and_no_spend() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let before = fill(&setup).await?;
    // At once: what is not settled yet is in the journals only.
    setup.cluster.kill_all().await?;
    restart_all(&mut setup).await?;
    shows_spend(&setup, &before.callers[0], before.spend).await?;
    is_all_back(&setup, &before).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_comes_back_with_its_state() -> anyhow::Result<()> {
    let mut setup = harness::start(1).await?;
    let caller = setup.make_key(0, json!({"key_alias": "kept"})).await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200);
    setup.cluster.kill(0).await?;
    setup.cluster.restart(0)?;
    setup.cluster.wait_ready(FORMED).await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_alone_is_ready_because_it_serves() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    setup.cluster.kill_all().await?;
    setup.cluster.restart(0)?;
    let readiness = setup.cluster.url(0, "/health/readiness");
    wait_until("the only node says that it is ready", FORMED, async || {
        setup.cluster.client().get(&readiness).await.is_ok_and(|reply| reply.ok())
    })
    .await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200);
    let change = setup.cluster.url(0, "/key/generate");
    assert_eq!(setup.cluster.client().post(&change, &json!({})).await?.status, 503);

    setup.cluster.restart(1)?;
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await
}
