//! A node is killed with -9 under load: nothing acknowledged is lost, and only requests that were
//! in flight on the dead node fail.

use std::time::Duration;

use dunlin_cluster::{CallError, Client, Cluster, Reply, wait_until};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::{self, FORMED, SOON, Setup};

/// Steady askers per node.
const ASKERS: usize = 4;
/// Well above the promised 2 s: a debug build, two cores, two clusters at a time.
const WRITES_AGAIN: Duration = Duration::from_secs(8);

/// Asks one node over and over until told to stop, and gives every answer.
async fn keep_asking(
    url: String,
    caller: Client,
    stop: CancellationToken,
) -> Vec<Result<Reply, CallError>> {
    let mut answers = Vec::new();
    while !stop.is_cancelled() {
        answers.push(caller.post(&url, &harness::chat_body()).await);
        // A dead node refuses at once; do not spin on it.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    answers
}

/// Load on every node; one list of answers per asker, with its node.
struct Load {
    askers: JoinSet<(usize, Vec<Result<Reply, CallError>>)>,
    stop: CancellationToken,
}

impl Load {
    fn start(cluster: &Cluster, caller: &Client) -> Self {
        let (mut askers, stop) = (JoinSet::new(), CancellationToken::new());
        for node in (0..cluster.nodes().len()).flat_map(|node| [node; ASKERS]) {
            let url = cluster.url(node, "/v1/chat/completions");
            let asking = keep_asking(url, caller.clone(), stop.clone());
            askers.spawn(async move { (node, asking.await) });
        }
        Self { askers, stop }
    }

    /// Stops, and checks that no living node failed a request.
    async fn end_and_check(mut self, dead: usize) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.askers.join_next().await {
            let (node, answers) = ended?;
            assert!(answers.len() > 10, "node {node} was hardly asked: {}", answers.len());
            for answer in answers {
                match answer {
                    Ok(reply) => assert_eq!(reply.status, 200, "node {node}: {}", reply.body),
                    Err(error) => assert_eq!(node, dead, "a living node failed: {error}"),
                }
            }
        }
        Ok(())
    }
}

/// Makes a key on some node; a refused write is retried until it is acknowledged.
async fn acknowledged_key(setup: &Setup, node: usize, alias: &str) -> anyhow::Result<Client> {
    let mut made = None;
    wait_until("a write is acknowledged", WRITES_AGAIN, async || {
        made = setup.make_key(node, json!({"key_alias": alias})).await.ok();
        made.is_some()
    })
    .await?;
    made.ok_or_else(|| anyhow::anyhow!("a key was made"))
}

async fn kill_under_load(setup: &mut Setup, dead: usize) -> anyhow::Result<()> {
    let caller = setup.make_key(dead, json!({"key_alias": "load"})).await?;
    let load = Load::start(&setup.cluster, &caller);
    let reached = setup.mock.stats().requests + 100;
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.requests > reached)).await?;
    // Acknowledged by the node that dies next: the answer is all that is waited for.
    let last_words = setup.make_key(dead, json!({"key_alias": "last words"})).await?;
    setup.cluster.kill(dead).await?;

    let alive: Vec<usize> = (0..3).filter(|node| *node != dead).collect();
    let after = acknowledged_key(setup, alive[0], "after").await?;
    let leader = setup.cluster.wait_leader(WRITES_AGAIN).await?;
    assert_ne!(leader, dead);
    for &node in &alive {
        for key in [&caller, &last_words, &after] {
            let reply = setup.chat(node, key).await?;
            assert_eq!(reply.status, 200, "node {node}: {}", reply.body);
        }
    }
    let reached = setup.mock.stats().requests + 100;
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.requests > reached)).await?;
    load.end_and_check(dead).await?;

    setup.cluster.restart(dead)?;
    setup.cluster.wait_ready(FORMED).await?;
    let reply = setup.chat(dead, &after).await?;
    assert_eq!(reply.status, 200, "the returned node knows what it missed: {}", reply.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_follower_takes_only_its_own_requests_with_it() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    kill_under_load(&mut setup, (leader + 1) % 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_takes_only_its_own_requests_with_it() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    kill_under_load(&mut setup, leader).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_stop_under_load_fails_nothing_that_was_sent() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    let load = Load::start(&setup.cluster, &caller);
    let reached = setup.mock.stats().requests + 100;
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.requests > reached)).await?;
    setup.cluster.stop(leader).await?;
    acknowledged_key(&setup, (leader + 1) % 3, "after").await?;
    load.end_and_check(leader).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_writes_are_refused_and_chats_go_on() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    setup.cluster.kill(1).await?;
    setup.cluster.kill(2).await?;
    wait_until("a write is refused for want of a quorum", SOON, async || {
        let url = setup.cluster.url(0, "/key/generate");
        let reply = setup.cluster.client().post(&url, &json!({})).await;
        reply.is_ok_and(|reply| reply.status == 503)
    })
    .await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200, "a known key needs no quorum");
    setup.cluster.restart(1)?;
    acknowledged_key(&setup, 0, "quorum is back").await?;
    Ok(())
}
