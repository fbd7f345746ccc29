//! Nodes find each other, form one cluster, take in a newcomer and refuse a stranger.

use std::collections::BTreeSet;

use anyhow::Context;
use dunlin_cluster::{Launcher, free_ports, wait_until};

use crate::harness::{self, FORMED, SOON, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_form_one_cluster_and_each_serves() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let mut seen = Vec::new();
    for node in 0..3 {
        seen.push(setup.cluster.status(node).await?);
    }
    let ids: BTreeSet<_> = seen.iter().map(|status| status.node).collect();
    assert_eq!(ids.len(), 3, "each node has an identity of its own");
    for status in &seen {
        assert!(status.cluster.is_some());
        assert_eq!(status.cluster, seen[0].cluster);
        assert_eq!(status.leader, seen[0].leader);
        let members: BTreeSet<_> = status.members.iter().map(|member| member.id).collect();
        assert_eq!(members, ids);
    }
    for node in 0..3 {
        let reply = setup.chat(node, setup.cluster.client()).await?;
        assert_eq!(reply.status, 200, "node {node}: {}", reply.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_without_any_flags_is_a_cluster_of_its_own() -> anyhow::Result<()> {
    let mut setup = harness::start(1).await?;
    let caller = setup.make_key(0, serde_json::json!({})).await?;
    assert_eq!(setup.chat(0, &caller).await?.status, 200);
    assert_eq!(setup.cluster.leader().await, Some(0));
    setup.cluster.stop(0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_node_joins_and_knows_the_keys() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let caller = setup.make_key(0, serde_json::json!({"key_alias": "early"})).await?;
    let (dir, launcher) =
        one_more(&setup, setup.cluster.secret(), setup.cluster.master_key()).await?;
    let fourth = launcher.start().await?;
    wait_until("the fourth node is ready", FORMED, async || {
        let reply = fourth.client().get(&fourth.url(0, "/health/readiness")).await;
        reply.is_ok_and(|reply| reply.ok())
    })
    .await
    .with_context(|| fourth.log_tails())?;
    wait_until("all see four members", SOON, async || {
        let status = setup.cluster.status(0).await;
        status.is_ok_and(|status| status.members.len() == 4)
    })
    .await?;
    let chat = fourth.url(0, "/v1/chat/completions");
    let reply = caller.post(&chat, &harness::chat_body()).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    drop((fourth, dir));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_and_told_why() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let (dir, launcher) =
        one_more(&setup, "quite-another-secret-of-good-length", setup.cluster.master_key()).await?;
    let stranger = launcher.start().await?;
    wait_until("the stranger's log names the secret", FORMED, async || {
        stranger.nodes()[0].log_tail().to_lowercase().contains("secret")
    })
    .await
    .with_context(|| stranger.log_tails())?;
    let ready = stranger.client().get(&stranger.url(0, "/health/readiness")).await?;
    assert_eq!(ready.status, 503, "a node outside a cluster is not ready: {}", ready.body);
    assert_eq!(setup.cluster.status(0).await?.members.len(), 3);
    drop((stranger, dir));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_master_key_is_named() -> anyhow::Result<()> {
    let setup = harness::start(3).await?;
    let (dir, launcher) =
        one_more(&setup, setup.cluster.secret(), "sk-another-master-key-than-the-first").await?;
    let other = launcher.start().await?;
    let odd = async || {
        let status = setup.cluster.status(0).await?;
        let own = status.node;
        let odd = status.members.into_iter().filter(|member| member.other_master_key);
        anyhow::Ok((own, odd.map(|member| member.id).collect::<Vec<_>>()))
    };
    wait_until("the odd one is marked", FORMED, async || {
        odd().await.is_ok_and(|(own, odd)| odd.len() == 1 && odd[0] != own)
    })
    .await
    .with_context(|| other.log_tails())?;
    let (_, odd) = odd().await?;
    wait_until("both logs say so", SOON, async || {
        let said = |log: String| log.contains("has another master key than this one");
        let ours = setup.cluster.nodes()[0].log_tail();
        ours.contains(&odd[0].to_string()) && said(ours) && said(other.nodes()[0].log_tail())
    })
    .await?;
    drop((other, dir));
    Ok(())
}

/// A node with files of its own that is pointed at a running cluster.
async fn one_more(
    setup: &Setup,
    secret: &str,
    master_key: &str,
) -> anyhow::Result<(tempfile::TempDir, Launcher)> {
    let dir = tempfile::Builder::new().prefix("dunlin-test-").tempdir()?;
    let status = setup.cluster.status(0).await?;
    let seeds: Vec<String> = status.members.iter().map(|member| member.address.clone()).collect();
    let listen = format!("127.0.0.1:{}", free_ports(1)?[0]);
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let config = harness::chat_config(&setup.mock.api_base());
    let launcher = Launcher {
        nodes: 1,
        environment: vec![
            variable("DUNLIN_CLUSTER_SECRET", secret),
            variable("LITELLM_MASTER_KEY", master_key),
            variable("DUNLIN_CLUSTER_LISTEN", &listen),
            variable("DUNLIN_ADVERTISE", &listen),
            variable("DUNLIN_JOIN", &seeds.join(",")),
            variable("DUNLIN_BOOTSTRAP_EXPECT", "3"),
        ],
        ..Launcher::new(harness::binary(), dir.path().to_owned(), config)
    };
    Ok((dir, launcher))
}
