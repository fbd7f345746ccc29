//! A limit or budget that is lowered below what is in use: refused on every node from then on, and
//! what was let in before ends as if nothing had happened.

use dunlin_cluster::{Client, Reply, wait_until};
use serde_json::{Value, json};

use crate::harness::{self, SOON, Setup};

/// Changes the key on one node, and waits until each node answers its chats with `status`.
async fn changed(
    setup: &Setup,
    caller: &Client,
    field: &str,
    to: Value,
    status: u16,
) -> anyhow::Result<Reply> {
    setup.admin(1, "/key/update", json!({"key": caller.key(), field: to})).await?;
    let mut last = None;
    for node in 0..3 {
        wait_until(&format!("node {node} goes by {field}"), SOON, async || {
            last = setup.chat(node, caller).await.ok();
            last.as_ref().is_some_and(|reply| reply.status == status)
        })
        .await?;
    }
    Ok(last.expect("just seen"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_below_what_was_used_lets_nothing_through_on_any_node() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"rpm_limit": 1000})).await?;
    for node in [0, 1, 2, 0, 1, 2] {
        assert_eq!(setup.chat(node, &caller).await?.status, 200);
    }
    let refused = changed(&setup, &caller, "rpm_limit", json!(4), 429).await?;
    assert_eq!(refused.header("x-ratelimit-api_key-limit-requests"), Some("4"));
    assert_eq!(refused.header("x-ratelimit-api_key-remaining-requests"), Some("0"));
    changed(&setup, &caller, "rpm_limit", json!(1000), 200).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_outlives_a_lowered_limit_and_a_lowered_budget() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let fields = json!({"max_parallel_requests": 9, "max_budget": 1.0});
    let caller = setup.make_key(0, fields).await?;
    let mut body = harness::chat_body();
    body["upstream_delay_ms"] = json!(6_000);
    let open = async { tokio::join!(setup.ask(0, &caller, &body), setup.ask(2, &caller, &body)) };
    let lowered = async {
        tokio::time::timeout(SOON, setup.mock.until(|stats| stats.in_flight == 2)).await?;
        let parallel = changed(&setup, &caller, "max_parallel_requests", json!(1), 429).await?;
        assert_eq!(parallel.header("rate_limit_type"), Some("max_parallel_requests"));
        setup
            .admin(2, "/key/update", json!({"key": caller.key(), "max_parallel_requests": 9}))
            .await?;
        let spent = changed(&setup, &caller, "max_budget", json!(0.000_000_001), 422).await?;
        assert!(spent.body.contains("Budget has been exceeded"), "{}", spent.body);
        anyhow::Ok(())
    };
    let ((one, other), lowered) = tokio::join!(open, lowered);
    lowered?;
    assert_eq!((one?.status, other?.status), (200, 200), "they were let in before");
    wait_until("both are charged", SOON, async || {
        let info = setup.key_info(1, &caller).await;
        info.is_ok_and(|info| info["spend"].as_f64() > Some(0.000_000_001))
    })
    .await?;
    changed(&setup, &caller, "max_budget", json!(1.0), 200).await?;
    Ok(())
}
