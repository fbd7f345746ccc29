//! Becoming a cluster, joining it, and being refused by it.

use std::time::Duration;

use openraft::Instant;

use super::cluster::{formed, kill_all, leader, plans, start_all, until};
use crate::{ProposeError, Role};

/// What a message may take on a busy machine.
const SLACK: Duration = Duration::from_secs(1);
use dunlin_state::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_seeds_is_its_own_cluster_at_once_and_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let nodes = start_all(&plans(dir.path(), 1, 0, 3)).await;
    nodes[0].write(nodes[0].id, "somewhere").await;
    let cluster = nodes[0].consensus.status().cluster.expect("formed");
    let plans = kill_all(nodes).await;
    let nodes = start_all(&plans).await;
    let status = nodes[0].consensus.status();
    assert_eq!((status.cluster, status.voters.as_slice()), (Some(cluster), &[nodes[0].id][..]));
    // Its address is another one than the state says: it says so by itself.
    let address = plans[0].address.to_string();
    until("the right address", || async {
        (nodes[0].address_of(nodes[0].id) == address).then_some(())
    })
    .await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_form_one_cluster_and_all_vote() {
    let (_dir, nodes) = formed(3).await;
    let cluster = nodes[0].consensus.status().cluster.expect("formed");
    for node in &nodes {
        let status = node.consensus.status();
        assert_eq!(status.cluster, Some(cluster));
        assert_eq!(status.voters.len(), 3);
        assert_eq!(node.consensus.state().cluster(), Some(cluster));
    }
    until("all are listed everywhere", || async {
        nodes.iter().all(|node| node.consensus.state().nodes().len() == 3).then_some(())
    })
    .await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_nodes_do_not_form_and_say_that_they_have_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let plans = plans(dir.path(), 3, 3, 3);
    let first = plans[0].start().await.expect("started");
    let second = plans[1].start().await.expect("started");
    let refused = first.consensus.propose(Command::MarkUp { node: first.id }).await;
    assert!(matches!(refused, Err(ProposeError::NotFormed)));
    assert_eq!(second.consensus.status().role, Role::Joining);
    // The third one makes them a cluster, even when one has started anew in between.
    let first = first.kill().await.start().await.expect("started again");
    let third = plans[2].start().await.expect("started");
    for node in [&first, &second, &third] {
        node.formed().await;
    }
    kill_all(vec![first, second, third]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_node_grows_to_three_voters_and_the_fourth_stays_a_learner() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut plans = plans(dir.path(), 4, 1, 1);
    plans[0].seeds.clear();
    let mut nodes = start_all(&plans[..1]).await;
    nodes.extend(start_all(&plans[1..]).await);
    until("three voters", || async {
        let status = nodes[0].consensus.status();
        (status.voters.len() == 3 && status.learners.len() == 1).then_some(())
    })
    .await;
    nodes[3].write(nodes[3].id, "written by any of them").await;
    assert_eq!(nodes[3].address_of(nodes[3].id), "written by any of them");
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_a_quorum_is_not_heard() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut nodes = start_all(&plans(dir.path(), 4, 4, 3)).await;
    until("three voters and a learner", || async {
        let status = nodes[0].consensus.status();
        (status.voters.len() == 3 && status.learners.len() == 1).then_some(())
    })
    .await;
    let leading = nodes.remove(leader(&nodes).await);
    let is_learner = |node: &super::cluster::Running| node.consensus.status().role == Role::Learner;
    let learner =
        nodes.remove(until("a learner", || async { nodes.iter().position(is_learner) }).await);
    kill_all(nodes).await;
    let quorum_age = || leading.consensus.node.running().and_then(|running| running.quorum_age());
    until("no quorum any more", || async {
        quorum_age().is_some_and(|age| age > Duration::from_secs(1)).then_some(())
    })
    .await;
    let heard = learner.consensus.status().leader_heard.expect("it has had a quorum");
    // The learner answers the leader that believes it leads, and learns nothing from it.
    let answered = || {
        let metrics = leading.consensus.node.running().expect("it runs").metrics();
        let last = metrics.heartbeat?.get(&learner.id.0)?.as_ref()?.elapsed();
        quorum_age().is_some_and(|age| age > last + 2 * SLACK).then_some(())
    };
    until("two more seconds of heartbeats", || async { answered() }).await;
    assert_eq!(leading.consensus.status().role, Role::Leader);
    let still = learner.consensus.status().leader_heard.expect("as before");
    assert!(still.since(heard) < SLACK, "moved from {heard:?} to {still:?}");
    kill_all(vec![leading, learner]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_stays_with_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = start_all(&plans(&dir.path().join("lone"), 1, 0, 1)).await;
    let own = lone[0].consensus.status().cluster;
    let (_dir, nodes) = formed(3).await;
    let mut plan = kill_all(lone).await.remove(0);
    plan.seeds = nodes.iter().map(|node| node.plan.address.to_string()).collect();
    let stranger = plan.start().await.expect("started");
    stranger.formed().await;
    assert_eq!(stranger.consensus.status().cluster, own);
    assert_eq!(nodes[0].consensus.state().nodes().len(), 3);
    kill_all(vec![stranger]).await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_comes_back_empty_is_refused_and_a_new_node_takes_its_place() {
    let (_dir, mut nodes) = formed(3).await;
    let victim = (leader(&nodes).await + 1) % 3;
    let plan = nodes.remove(victim).kill().await;
    std::fs::remove_dir_all(plan.log_dir()).expect("its log is lost");
    let refusal = plan.start().await.err().expect("refused").to_string();
    assert!(refusal.contains("the whole log is gone"), "{refusal}");
    std::fs::create_dir(plan.log_dir()).expect("an empty one");
    let refusal = plan.start().await.err().expect("refused").to_string();
    assert!(refusal.contains("has lost data"), "{refusal}");

    std::fs::remove_dir_all(&plan.dir).expect("the way out");
    let fresh = plan.start().await.expect("a new node");
    fresh.formed().await;
    assert_eq!(fresh.consensus.state().nodes().len(), 4, "the lost id is still listed");
    nodes.push(fresh);
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_addresses_may_change_at_once() {
    let (_dir, nodes) = formed(3).await;
    nodes[0].write(nodes[0].id, "before the move").await;
    let old = kill_all(nodes).await;
    let new_home = tempfile::tempdir().expect("a directory");
    let moved: Vec<_> = plans(new_home.path(), 3, 3, 3)
        .into_iter()
        .zip(&old)
        .map(|(new, old)| super::cluster::Plan { dir: old.dir.clone(), ..new })
        .collect();
    let nodes = start_all(&moved).await;
    until("the addresses in the state", || async {
        let state = nodes[0].consensus.state();
        let addresses = state.nodes().into_values().map(|member| member.address);
        let known = |address: String| moved.iter().any(|p| p.address.to_string() == address);
        addresses.into_iter().all(known).then_some(())
    })
    .await;
    kill_all(nodes).await;
}
