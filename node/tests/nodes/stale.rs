//! A node that hears no majority, and no node that does: it serves by what it knows for as long as it
//! is told to, then refuses its clients or serves on, as configured.

use dunlin_cluster::wait_until;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::json;

use crate::harness::{self, FORMED, SOON, Setup, assert_error};

/// `--max-staleness` here, in seconds.
const MAX: u64 = 2;
async fn start(on_stale: &str) -> anyhow::Result<Setup> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = harness::chat_config(&mock.api_base())
        + &format!("cluster:\n  max_staleness: {MAX}\n  on_stale: {on_stale}\n");
    harness::start_with(3, mock, config).await
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
        std::fs::read_to_string(log).is_ok_and(|log| log.contains("served by what is known here"))
    })
    .await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200);
    Ok(())
}
