//! Everything acknowledged is there again after all nodes were down, however they went down.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use dunlin_cluster::{CallError, Client, Reply, wait_until};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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
    // Not killed: how far the log is decided is written a moment after the answer, and a node alone
    // cannot find out whether what lies beyond was. It would not know the key.
    setup.cluster.stop(0).await?;
    setup.cluster.kill(1).await?;
    setup.cluster.kill(2).await?;
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

/// Chats over and over, each time from the next address on, and goes on to the one after only when
/// a connection is refused, as clients do behind a name with several addresses. Counts the answers.
pub(crate) async fn keep_chatting(
    urls: Arc<[String]>,
    caller: Client,
    first: usize,
    stop: CancellationToken,
) -> anyhow::Result<usize> {
    let mut answered = 0;
    while !stop.is_cancelled() {
        let turn = first + answered;
        let mut tried = urls.iter().cycle().skip(turn % urls.len()).take(urls.len());
        loop {
            let Some(url) = tried.next() else { bail!("every node refused the connection") };
            match caller.post(url, &harness::chat_body()).await {
                Ok(reply) if reply.ok() => break,
                Ok(reply) => bail!("{url}: {} {}", reply.status, reply.body),
                Err(CallError::Refused(_)) => {}
                Err(broken) => bail!("{url}: {broken}"),
            }
        }
        answered += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(answered)
}

async fn first_answer(setup: &Setup, node: usize, caller: &Client) -> anyhow::Result<Reply> {
    let mut answer = None;
    let answered = wait_until("an answer", FORMED, async || {
        answer = match setup.chat(node, caller).await {
            Err(CallError::Refused(_)) => None,
            other => Some(other),
        };
        answer.is_some()
    });
    answered.await?;
    Ok(answer.expect("just seen")?)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_restarted_one_after_the_other_fail_no_request() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let (mut clients, stop) = (JoinSet::new(), CancellationToken::new());
    let urls: Arc<[String]> =
        (0..3).map(|node| setup.cluster.url(node, "/v1/chat/completions")).collect();
    for first in 0..6 {
        // Each with connections of its own.
        let caller = Client::new(caller.key())?;
        clients.spawn(keep_chatting(Arc::clone(&urls), caller, first, stop.clone()));
    }
    for node in 0..3 {
        let blocked = setup.make_key(node, json!({})).await?;
        setup.cluster.stop(node).await?;
        let elsewhere = (node + 1) % 3;
        setup.admin(elsewhere, "/key/block", json!({"key": blocked.key()})).await?;
        setup.cluster.restart(node)?;
        let reply = first_answer(&setup, node, &blocked).await?;
        assert_eq!(reply.status, 401, "it knows what it missed: {}", reply.body);
        let readiness = setup.cluster.url(node, "/health/readiness");
        wait_until("the node is ready again", FORMED, async || {
            setup.cluster.client().get(&readiness).await.is_ok_and(|reply| reply.ok())
        })
        .await?;
        let before = setup.mock.stats().requests;
        tokio::time::timeout(SOON, setup.mock.until(|stats| stats.requests > before + 50)).await?;
    }
    stop.cancel();
    while let Some(ended) = clients.join_next().await {
        assert!(ended?? > 20, "a client hardly asked");
    }
    Ok(())
}
