//! A node that drains: its clients are served by others, what it has begun ends in good order, and it
//! holds nothing any more; told so, it serves again.

use dunlin_cluster::{Client, Reply, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::{self, FORMED, SOON, Setup};
use crate::restart::keep_chatting;

const PASSED_ON_TO: &str = "x-dunlin-passed-on-to";

async fn get(setup: &Setup, node: usize, path: &str) -> anyhow::Result<Reply> {
    Ok(setup.cluster.client().get(&setup.cluster.url(node, path)).await?)
}

/// What the audit log tells of draining, oldest first: who, from where, which node, and how it was.
async fn audited(setup: &Setup) -> anyhow::Result<Vec<[Value; 4]>> {
    let path = "/audit?table_name=Dunlin_Node&sort_order=asc";
    let page: Value = get(setup, 0, path).await?.json()?;
    let rows = page["audit_logs"].as_array().cloned().unwrap_or_default();
    let told = |row: &Value| {
        assert_eq!(row["route"], "/health/drain", "{row}");
        let of = |name: &str| row[name].clone();
        let draining = row["updated_values"]["draining"].clone();
        [of("changed_by"), of("client_ip"), of("object_id"), draining]
    };
    Ok(rows.iter().map(told).collect())
}

/// A stream of some seconds, whole.
async fn stream(url: String, caller: Client) -> anyhow::Result<Reply> {
    let mut body = harness::chat_body();
    body["stream"] = json!(true);
    Ok(caller.post(&url, &body).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_drains_finishes_its_streams_and_hands_over_all_else() -> anyhow::Result<()> {
    let slow = Settings { tokens: 40, tokens_per_second: Some(10.0), ..Settings::default() };
    let mock = MockUpstream::start(slow).await?;
    let config = harness::chat_config(&mock.api_base());
    let mut setup = harness::start_with(3, mock, config).await?;
    let caller = setup.make_key(0, json!({"max_budget": 100})).await?;
    let node = setup.cluster.wait_leader(SOON).await?;
    let other = (node + 1) % 3;

    let mut open = JoinSet::new();
    open.spawn(stream(setup.cluster.url(node, "/v1/chat/completions"), caller.clone()));
    tokio::time::timeout(SOON, setup.mock.until(|stats| stats.requests >= 1)).await?;
    let mut draining = JoinSet::new();
    let (client, url) = (setup.cluster.client().clone(), setup.cluster.url(node, "/health/drain"));
    draining.spawn(async move { client.get(&url).await });
    wait_until("it says that it is not to be sent clients", SOON, async || {
        get(&setup, node, "/health/readiness").await.is_ok_and(|reply| {
            reply.status == 503 && reply.body.starts_with(r#"{"status":"shutting_down""#)
        })
    })
    .await?;
    assert_eq!(get(&setup, node, "/health/liveliness").await?.status, 200);
    wait_until("others hear of it", SOON, async || {
        setup.cluster.status(other).await.is_ok_and(|status| {
            status.members.iter().any(|member| member.draining && !member.ready)
        })
    })
    .await?;
    let reply = setup.chat(node, &caller).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.header(PASSED_ON_TO).is_some(), "another node takes it");
    assert_eq!(reply.header("connection"), Some("close"), "and the client's next one");

    let streamed = open.join_next().await.expect("one")??;
    assert!(streamed.ok() && streamed.body.contains("[DONE]"), "{}", streamed.body);
    let told: Value = draining.join_next().await.expect("one")??.json()?;
    for (name, value) in [
        ("status", json!("drained")),
        ("open_requests", json!(0)),
        ("leads", json!(false)),
        ("budgets_held_usd", json!(0.0)),
        ("owns_limits", json!(false)),
        ("nodes_that_take_clients", json!(2)),
    ] {
        assert_eq!(told[name], value, "{name} of {told}");
    }

    let drained = [json!("default_user_id"), json!("127.0.0.1"), told["node"].clone()];
    let row = |draining: bool| {
        let [by, from, node] = drained.clone();
        [by, from, node, json!(draining)]
    };
    assert_eq!(audited(&setup).await?, [row(true)]);
    get(&setup, node, "/health/drain?wait=0").await?;

    let back = setup.cluster.client().delete(&setup.cluster.url(node, "/health/drain")).await?;
    assert_eq!(back.json::<Value>()?["was_draining"], json!(true));
    assert_eq!(get(&setup, node, "/health/readiness").await?.status, 200);
    let reply = setup.chat(node, &caller).await?;
    assert_eq!((reply.status, reply.header(PASSED_ON_TO)), (200, None));
    assert_eq!(audited(&setup).await?, [row(true), row(false)], "each once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_has_the_newest_format_and_its_operator_may_hold_the_next()
-> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let newest = u64::from(dunlin_state::Format::NEWEST.0);
    wait_until("every node has it", SOON, async || {
        let mut all = true;
        for node in 0..3 {
            let status = setup.cluster.status(node).await;
            all &= status.is_ok_and(|status| u64::from(status.log_format.format) == newest);
        }
        all
    })
    .await?;
    for held in [true, false] {
        let told: Value = setup.admin(0, "/cluster/format", json!({"hold": held})).await?.json()?;
        let expected = json!({"format": newest, "newest": newest, "held": held, "waits_for": []});
        assert_eq!(told, expected);
    }
    let rows = get(&setup, 0, "/audit?table_name=Dunlin_Cluster").await?.json::<Value>()?;
    assert_eq!(rows["total"], 2, "{rows}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_drain_is_an_admin_or_whoever_the_config_says() -> anyhow::Result<()> {
    let mock = MockUpstream::start(Settings::default()).await?;
    let config = harness::chat_config(&mock.api_base())
        + "general_settings:\n  enable_drain_endpoint: true\n  drain_endpoint_token: t0ken-of-a-hook\n";
    let setup = harness::start_with(1, mock, config).await?;
    let url = setup.cluster.url(0, "/health/drain?wait=0");
    let bare = dunlin_cluster::http_client()?;
    let refused = bare.get(&url).send().await?;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.text().await?, r#"{"detail":"Invalid or missing X-Drain-Token"}"#);
    let caller = setup.make_key(0, json!({})).await?;
    assert_eq!(caller.get(&url).await?.status, 401, "no admin's key");
    assert!(get(&setup, 0, "/health/readiness").await?.ok(), "nothing has happened");

    let hook = bare.get(&url).header("x-drain-token", "t0ken-of-a-hook");
    let told: Value = hook.send().await?.json().await?;
    assert_eq!((&told["status"], &told["nodes_that_take_clients"]), (&json!("drained"), &json!(0)));
    assert_eq!(get(&setup, 0, "/health/readiness").await?.status, 503);
    assert_eq!(setup.chat(0, &caller).await?.status, 200, "nobody else could take it");
    let [by, from, node, draining] = audited(&setup).await?.remove(0);
    assert_eq!((by, draining), (Value::Null, json!(true)), "the hook has no name");
    assert_eq!((from, node), (json!("127.0.0.1"), told["node"].clone()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_drain_one_after_the_other_fail_no_request() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({"max_budget": 100})).await?;
    let (mut clients, stop) = (JoinSet::new(), CancellationToken::new());
    let urls: std::sync::Arc<[String]> =
        (0..3).map(|node| setup.cluster.url(node, "/v1/chat/completions")).collect();
    for first in 0..6 {
        let caller = Client::new(caller.key())?;
        clients.spawn(keep_chatting(std::sync::Arc::clone(&urls), caller, first, stop.clone()));
    }
    for node in 0..3 {
        let drained = get(&setup, node, "/health/drain?wait=8").await?;
        assert_eq!(drained.json::<Value>()?["open_requests"], 0, "{}", drained.body);
        let before = setup.mock.stats().requests;
        tokio::time::timeout(SOON, setup.mock.until(|stats| stats.requests > before + 50)).await?;
        setup.cluster.client().delete(&setup.cluster.url(node, "/health/drain")).await?;
        wait_until("it serves again", FORMED, async || {
            get(&setup, node, "/health/readiness").await.is_ok_and(|reply| reply.ok())
        })
        .await?;
    }
    stop.cancel();
    while let Some(ended) = clients.join_next().await {
        assert!(ended?? > 5, "a client hardly asked");
    }
    Ok(())
}
