//! A node that hears no majority: it serves by what it knows for as long as it is told to, then passes
//! its clients on to a node that does; if it finds none, it refuses them or serves on, as configured.

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::json;

use crate::harness::{self, FORMED, SOON, Setup, assert_error, chat_body};

/// `--max-staleness` here, in seconds.
const MAX: u64 = 2;
/// On an answer: the node that gave it in another one's place.
const PASSED_ON_TO: &str = "x-dunlin-passed-on-to";

/// The others reach the first node through a gate.
async fn start(on_stale: &str) -> anyhow::Result<Setup> {
    start_serving(MAX, on_stale).await
}

async fn start_serving(seconds: u64, on_stale: &str) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = harness::chat_config(&mock.api_base())
        + &format!("cluster:\n  max_staleness: {seconds}\n  on_stale: {on_stale}\n");
    harness::start_gated(3, Some(0), mock, config).await
}

#[tokio::test]
async fn a_node_that_hears_nobody_refuses_in_clear_words_until_it_hears_a_majority()
-> anyhow::Result<()> {
    let setup = start("refuse").await?;
    let caller = setup.make_key(0, json!({})).await?;
    let (cluster, chat) = (&setup.cluster, async || setup.chat(0, &caller).await);
    cluster.pause(1)?;
    cluster.pause(2)?;
    wait_until("clients are refused", SOON, async || {
        chat().await.is_ok_and(|reply| reply.status == 503)
    })
    .await?;
    let reply = chat().await?;
    assert_error(&reply, 503, json!("service_unavailable"), "this node has heard no majority");
    assert!(reply.header("retry-after").is_some());
    // Who cannot know a key does not say that it is wrong.
    let stranger = setup.chat(0, &caller.with_key("sk-made-elsewhere-meanwhile")).await?;
    assert_eq!(stranger.status, 503, "{}", stranger.body);
    let probe = cluster.client().get(&cluster.url(0, "/health/readiness")).await?;
    assert_eq!(probe.status, 503);
    assert!(probe.body.contains("max_staleness"), "{}", probe.body);
    assert_eq!(cluster.client().get(&cluster.url(0, "/health/liveliness")).await?.status, 200);
    assert_eq!(cluster.client().get(&cluster.url(0, "/cluster/status")).await?.status, 200);

    cluster.resume(1)?;
    cluster.resume(2)?;
    wait_until("it serves again", FORMED, async || {
        chat().await.is_ok_and(|reply| reply.status == 200)
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_node_may_be_told_to_serve_by_what_it_knows() -> anyhow::Result<()> {
    let setup = start("serve_known").await?;
    let caller = setup.make_key(0, json!({})).await?;
    setup.cluster.pause(1)?;
    setup.cluster.pause(2)?;
    let log = setup.cluster.nodes()[0].log();
    wait_until("it says that it may be behind", SOON, async || {
        std::fs::read_to_string(log)
            .is_ok_and(|log| log.contains("this node serves from the state it has"))
    })
    .await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200);
    Ok(())
}

fn passed_on_to(reply: &Reply) -> Option<&str> {
    reply.header(PASSED_ON_TO)
}

/// Its calls reach the others, theirs do not reach it: it hears no leader, and finds nodes that do.
#[tokio::test]
async fn a_node_that_hears_no_leader_passes_its_clients_on_to_one_that_does() -> anyhow::Result<()>
{
    let mut setup = start("refuse").await?;
    // A leader hears its followers by its own calls.
    if setup.cluster.wait_leader(SOON).await? == 0 {
        setup.cluster.stop(0).await?;
        setup.cluster.restart(0)?;
        setup.cluster.wait_ready(FORMED).await?;
    }
    let (caller, blocked) =
        (setup.make_key(1, json!({})).await?, setup.make_key(1, json!({})).await?);
    for key in [&caller, &blocked] {
        wait_until("the keys are known everywhere", SOON, async || {
            setup.chat(0, key).await.is_ok_and(|r| r.status == 200 && passed_on_to(&r).is_none())
        })
        .await?;
    }
    setup.cluster.deafen(0, true)?;
    setup.admin(1, "/key/block", json!({"key": blocked.key()})).await?;
    let others = [setup.cluster.status(1).await?, setup.cluster.status(2).await?];
    let others = others.map(|status| status.node.to_string());
    let by_another = |reply: &Reply| {
        passed_on_to(reply).is_some_and(|node| others.iter().any(|other| other == node))
    };
    wait_until("clients are passed on", SOON, async || {
        let reply = setup.chat(0, &caller).await;
        reply.is_ok_and(|reply| reply.status == 200 && by_another(&reply))
    })
    .await?;

    let mut streamed = chat_body();
    streamed["stream"] = json!(true);
    let stream = setup.ask(0, &caller, &streamed).await?;
    assert!(stream.status == 200 && by_another(&stream), "{} {}", stream.status, stream.body);
    assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(stream.body.starts_with("data: ") && stream.body.ends_with("data: [DONE]\n\n"));
    let refused = setup.chat(0, &blocked).await?;
    assert!(refused.status == 401 && by_another(&refused), "{} {}", refused.status, refused.body);
    let made_meanwhile = setup.make_key(1, json!({})).await?;
    let known_there = setup.chat(0, &made_meanwhile).await?;
    assert!(known_there.status == 200 && by_another(&known_there), "{}", known_there.body);
    let ready = setup.cluster.client().get(&setup.cluster.url(0, "/health/readiness")).await?;
    assert_eq!(ready.status, 200, "{}", ready.body);

    setup.cluster.deafen(0, false)?;
    wait_until("it answers by itself again", FORMED, async || {
        setup.chat(0, &caller).await.is_ok_and(|r| r.status == 200 && passed_on_to(&r).is_none())
    })
    .await?;
    assert_eq!(setup.chat(0, &blocked).await?.status, 401);
    Ok(())
}

/// A node stands still until it is marked down, and goes on while `caller` waits for its answer. That
/// takes two seconds of silence, and so longer than [`MAX`].
async fn asleep_and_asked(setup: &Setup, node: usize, caller: &Client) -> anyhow::Result<Reply> {
    let id = setup.cluster.status(node).await?.node;
    setup.cluster.pause(node)?;
    wait_until("it is marked down", SOON, async || {
        let seen = setup.cluster.status((node + 1) % 3).await;
        seen.is_ok_and(|seen| seen.members.iter().any(|member| member.id == id && member.down))
    })
    .await?;
    let (waiting, goes_on) = (setup.chat(node, caller), async { setup.cluster.resume(node) });
    let (reply, resumed) = tokio::join!(waiting, goes_on);
    resumed?;
    Ok(reply?)
}

/// Its connections broke meanwhile, and it was marked down: nothing of that is its clients' concern.
#[tokio::test]
async fn a_node_that_stood_still_answers_as_soon_as_it_goes_on() -> anyhow::Result<()> {
    let setup = start("refuse").await?;
    let caller = setup.make_key(0, json!({})).await?;
    for node in [1, 0, 2] {
        let reply = asleep_and_asked(&setup, node, &caller).await?;
        assert_eq!(reply.status, 200, "node {node}: {}", reply.body);
        for _ in 0..5 {
            let reply = setup.chat(node, &caller).await?;
            assert_eq!(reply.status, 200, "node {node}: {}", reply.body);
        }
        wait_until("it answers by itself", SOON, async || {
            setup.chat(node, &caller).await.is_ok_and(|reply| passed_on_to(&reply).is_none())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stood_still_finds_the_money_that_lies_with_others() -> anyhow::Result<()> {
    let setup = start_serving(60, "refuse").await?;
    for node in [1, 0, 2] {
        // Nothing of its budget has come to this node yet.
        let caller = setup.make_key(node, json!({"max_budget": 1})).await?;
        let reply = asleep_and_asked(&setup, node, &caller).await?;
        assert_eq!(reply.status, 200, "node {node}: {}", reply.body);
    }
    Ok(())
}
