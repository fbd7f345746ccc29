//! A limit or budget that is lowered below what is in use: refused on every node from then on, and
//! what was let in before ends as if nothing had happened. And spend that is reset.

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

/// The period in which the key spent is over and nobody has spent in the next one when its spend is
/// reset: the reset is of the one that runs, and what is spent in that one counts as ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_after_the_period_has_run_out_is_of_the_one_that_runs() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let fields = json!({"max_budget": 0.000_000_001, "budget_duration": "10s"});
    let caller = setup.make_key(0, fields).await?;
    let spent = async || setup.key_info(1, &caller).await.ok()?["spend"].as_f64();
    let is_refused =
        async |node| setup.chat(node, &caller).await.is_ok_and(|reply| reply.status == 422);
    // A period that ends between the two begins a whole budget, which is spent again.
    wait_until("its budget is spent and known to be", SOON, async || {
        is_refused(0).await && spent().await > Some(0.0)
    })
    .await?;
    wait_until("the period is over", SOON * 2, async || spent().await == Some(0.0)).await?;
    let path = format!("/key/{}/reset_spend", caller.key());
    let url = setup.cluster.url(2, &path);
    let raised = setup.cluster.client().post(&url, &json!({"reset_to": 1})).await?;
    assert_eq!(raised.status, 400, "nothing is spent: it can only be lowered");
    let reset: Value = setup.admin(2, &path, json!({"reset_to": 0})).await?.json()?;
    assert_eq!((&reset["spend"], &reset["previous_spend"]), (&json!(0.0), &json!(0.0)));
    assert_eq!(setup.chat(1, &caller).await?.status, 200, "a whole budget is there");
    wait_until("what is spent since counts", SOON, async || is_refused(2).await).await?;
    Ok(())
}
