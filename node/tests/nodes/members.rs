//! A node is taken out of the cluster for good.

use std::fs;

use dunlin_cluster::wait_until;
use dunlin_types::NodeId;
use serde_json::{Value, json};

use crate::harness::{self, FORMED, SOON, Setup};

async fn id_of(setup: &Setup, node: usize) -> anyhow::Result<NodeId> {
    Ok(setup.cluster.status(node).await?.node)
}

/// Asks one node to remove another; the status and the text of the answer.
async fn remove(setup: &Setup, at: usize, body: Value) -> anyhow::Result<(u16, String)> {
    let url = setup.cluster.url(at, "/cluster/remove");
    let reply = setup.cluster.client().post(&url, &body).await?;
    Ok((reply.status, reply.body))
}

async fn voters(setup: &Setup, at: usize) -> usize {
    use dunlin_admin_api::MemberRole::{Leader, Voter};
    let status = setup.cluster.status(at).await;
    status.map_or(0, |status| {
        status.members.iter().filter(|one| matches!(one.role, Leader | Voter)).count()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_is_removed_is_refused_and_joins_anew_when_wiped() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(2, json!({"max_budget": 10.0})).await?;
    assert_eq!(setup.chat(2, &caller).await?.status, 200);
    let dead = id_of(&setup, 2).await?;
    let alive = remove(&setup, 0, json!({"node": dead})).await?;
    assert!(alive.0 == 409 && alive.1.contains("is alive: stop it first"), "{alive:?}");
    let nobody = remove(&setup, 0, json!({"node": "0123456789abcdef"})).await?;
    assert!(nobody.0 == 404 && nobody.1.contains("dunlin status"), "{nobody:?}");

    setup.cluster.kill(2).await?;
    let mut told = String::new();
    wait_until("the dead node is removed", SOON, async || {
        let asked = remove(&setup, 0, json!({"node": dead})).await;
        told = asked.as_ref().map(|(_, told)| told.clone()).unwrap_or_default();
        asked.is_ok_and(|(status, _)| status == 200)
    })
    .await?;
    let told: Value = serde_json::from_str(&told)?;
    assert_eq!(told["left_the_consensus"], true, "{told}");
    assert!(told["removed"]["withheld_usd"].as_f64() > Some(0.0), "it had money: {told}");
    let status = setup.cluster.status(1).await?;
    assert_eq!((status.members.len(), status.removed.len()), (2, 1));
    assert_eq!(voters(&setup, 1).await, 2);
    let again: Value = serde_json::from_str(&remove(&setup, 1, json!({"node": dead})).await?.1)?;
    assert_eq!(again["was_removed_before"], true);
    let freed = setup.admin(1, "/cluster/reclaim", json!({"node": dead})).await?;
    assert!(freed.json::<Value>()?["reclaimed_usd"].as_f64() > Some(0.0), "{}", freed.body);
    let other = id_of(&setup, 1).await?;
    let last = remove(&setup, 0, json!({"node": other})).await?;
    assert!(last.0 == 409 && last.1.contains("is alive"), "{last:?}");
    let audit = setup.cluster.url(0, "/audit");
    let audit = setup.cluster.client().get(&audit).await?;
    assert!(audit.body.contains("/cluster/remove") && audit.body.contains("reclaimed_at"));

    setup.cluster.restart(2)?;
    wait_until("it ends by itself", FORMED, async || setup.cluster.running().len() == 2).await?;
    let log = fs::read_to_string(setup.cluster.nodes()[2].log())?;
    assert!(log.contains("it was removed from this cluster at"), "{log}");
    fs::remove_dir_all(setup.home(2))?;
    setup.cluster.restart(2)?;
    setup.cluster.wait_ready(FORMED).await?;
    assert_eq!(setup.chat(2, &caller).await?.status, 200);
    wait_until("the new node votes", FORMED, async || voters(&setup, 0).await == 3).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_removed_as_it_runs_ends_and_a_majority_is_never_removed() -> anyhow::Result<()> {
    let mut setup = harness::start(3).await?;
    let caller = setup.make_key(0, json!({})).await?;
    let leader = setup.cluster.wait_leader(SOON).await?;
    let (one, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let leading = id_of(&setup, leader).await?;
    let kept = id_of(&setup, other).await?;
    let gone = remove(&setup, one, json!({"node": leading, "force": true})).await?;
    assert_eq!(gone.0, 200, "{}", gone.1);
    wait_until("it ends by itself", FORMED, async || !setup.cluster.running().contains(&leader))
        .await?;
    assert_eq!(setup.chat(one, &caller).await?.status, 200);
    setup.make_key(other, json!({})).await?;

    // Two are left. With one of them dead nothing can be decided, and that is said.
    setup.cluster.pause(other)?;
    wait_until("nothing can be decided", SOON, async || {
        let asked = remove(&setup, one, json!({"node": kept, "force": true})).await;
        asked.is_ok_and(|(status, _)| status == 503)
    })
    .await?;
    setup.cluster.resume(other)?;
    wait_until("a change is possible again", FORMED, async || {
        setup.make_key(one, json!({})).await.is_ok()
    })
    .await
}
