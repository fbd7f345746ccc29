//! What a cluster keeps: acknowledged commands, through deaths, restarts and snapshots.

use std::time::Duration;

use dunlin_state::Command;
use openraft::async_runtime::watch::WatchReceiver;

use super::cluster::{agree, formed, kill_all, leader, plans, start_all, until};
use crate::ProposeError;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_on_any_node_is_read_on_that_node_at_once_and_everywhere_after_a_barrier() {
    let (_dir, nodes) = formed(3).await;
    for round in 0..10 {
        for (at, node) in nodes.iter().enumerate() {
            let text = format!("{round} by {at}");
            node.write(node.id, &text).await;
            assert_eq!(node.address_of(node.id), text, "the answer waits for the local state");
            for other in &nodes {
                other.consensus.barrier().await.expect("a quorum");
                assert_eq!(other.address_of(node.id), text);
            }
        }
    }
    agree(&nodes).await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_death_of_all() {
    let (_dir, nodes) = formed(3).await;
    let ids: Vec<_> = nodes.iter().map(|node| node.id).collect();
    let writes = nodes.iter().flat_map(|node| (0..40).map(move |n| (node, n)));
    futures::future::join_all(
        writes.map(|(node, n)| async move { node.write(node.id, &n.to_string()).await }),
    )
    .await;
    for node in &nodes {
        node.write(node.id, &format!("last of {}", node.id)).await;
    }
    let before = nodes[0].consensus.status();
    let plans = kill_all(nodes).await;
    // Nobody corrects its own address this time: the state must be what was acknowledged.
    let mut nodes = Vec::new();
    for plan in &plans {
        nodes.push(plan.start().await.expect("started"));
    }
    for node in &nodes {
        node.consensus.barrier().await.expect("a quorum");
        let state = node.consensus.state();
        assert_eq!(state.cluster(), before.cluster);
        assert!(node.consensus.status().applied >= before.applied);
        assert_eq!(state.nodes().keys().copied().collect::<Vec<_>>(), {
            let mut ids = ids.clone();
            ids.sort();
            ids
        });
    }
    agree(&nodes).await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_dies_another_one_takes_the_next_write_and_it_comes_back() {
    let (_dir, mut nodes) = formed(3).await;
    let at = leader(&nodes).await;
    let dead = nodes.remove(at);
    let (dead_id, term) = (dead.id, dead.consensus.status().term);
    let plan = dead.kill().await;
    // One proposal spans the election: no retry here.
    nodes[0].write(dead_id, "written without it").await;
    let status = nodes[0].consensus.status();
    assert!(status.term > term && status.leader != Some(dead_id));
    until("a down mark", || async {
        let state = nodes[0].consensus.state();
        state.nodes().get(&dead_id).expect("a member").down.map(|_| ())
    })
    .await;

    nodes.push(plan.start().await.expect("started again"));
    nodes[2].formed().await;
    until("no down mark", || async {
        let state = nodes[2].consensus.state();
        state.nodes().get(&dead_id).expect("a member").down.is_none().then_some(())
    })
    .await;
    agree(&nodes).await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_sent_or_known() {
    let (_dir, mut nodes) = formed(3).await;
    let at = leader(&nodes).await;
    let survivor = nodes.remove(at);
    let others = kill_all(nodes).await;
    // What the leader had taken before it noticed may be unknown; soon it takes nothing.
    until("a clear refusal", || async {
        match survivor.consensus.propose(Command::MarkUp { node: survivor.id }).await {
            Err(ProposeError::NoQuorum(_)) => Some(()),
            Err(ProposeError::Unknown { .. }) => None,
            other => panic!("neither: {other:?}"),
        }
    })
    .await;
    assert!(survivor.consensus.barrier().await.is_err());
    let back = others[0].start().await.expect("started again");
    survivor.consensus.formed().await;
    until("a quorum", || async { survivor.consensus.barrier().await.ok() }).await;
    kill_all(vec![survivor, back]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_leaves_hands_over_first() {
    let (_dir, nodes) = formed(3).await;
    let at = leader(&nodes).await;
    let term = nodes[at].consensus.status().term;
    nodes[at].consensus.leave().await;
    let status = nodes[at].consensus.status();
    assert!(status.leader.is_some_and(|leader| leader != nodes[at].id), "{status:?}");
    assert!(status.term > term);
    nodes[at].write(nodes[at].id, "forwarded to the heir").await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_node_catches_up_by_a_snapshot_and_keeps_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let plans = plans(dir.path(), 4, 3, 3);
    let mut nodes = start_all(&plans[..3]).await;
    let long = "x".repeat(20_000);
    for n in 0..100 {
        nodes[0].write(nodes[0].id, &format!("{n}{long}")).await;
    }
    // The config that a snapshot must carry beyond one message's length.
    for n in 0..3 {
        let command = Command::ProposeConfig {
            hash: n.to_string(),
            sealed: vec![n; 300_000],
            source: "test".to_owned(),
            after: u64::from(n),
        };
        nodes[0].consensus.propose(command).await.expect("accepted");
    }
    for node in &nodes {
        let running = node.consensus.node.running().expect("formed");
        running.raft.trigger().snapshot().await.expect("asked");
        let last =
            until("a snapshot", || async { running.raft.metrics().borrow_watched().snapshot })
                .await;
        running.raft.trigger().purge_log(last.index).await.expect("asked");
        until("a purge", || async {
            running.raft.metrics().borrow_watched().purged.filter(|id| *id == last)
        })
        .await;
    }
    nodes.push(plans[3].start().await.expect("started"));
    nodes[3].formed().await;
    agree(&nodes).await;
    let late = nodes[3].consensus.node.running().expect("formed");
    assert!(late.snapshots.bytes() > 1024 * 1024, "it came in several pieces");

    // Its disk now begins with the snapshot, and the others' do too.
    let plans = kill_all(nodes).await;
    let nodes = start_all(&plans).await;
    agree(&nodes).await;
    assert_eq!(nodes[3].consensus.state().config().expect("a config").revision, 3);
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_may_be_far_behind_for_a_while() {
    let (_dir, mut nodes) = formed(3).await;
    let behind = (leader(&nodes).await + 1) % 3;
    let plan = nodes.remove(behind).kill().await;
    for n in 0..50 {
        nodes[0].write(nodes[0].id, &n.to_string()).await;
    }
    nodes.push(plan.start().await.expect("started again"));
    tokio::time::timeout(Duration::from_secs(30), agree(&nodes)).await.expect("it catches up");
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_comes_back_alone_marks_nobody_down() {
    let (_dir, nodes) = formed(3).await;
    let at = leader(&nodes).await;
    let mut plans = kill_all(nodes).await;
    let alone = plans.remove(at).start().await.expect("started");
    until("it takes itself for the leader", || async { alone.leads().then_some(()) }).await;
    let running = alone.consensus.node.running().expect("it runs");
    let before = running.metrics().last_log_index;
    // Long enough for the others to be silent, and for a proposal to have been made of it.
    let silent = 2 * crate::autopilot::DOWN_AFTER;
    assert!(
        tokio::time::timeout(silent, alone.consensus.barrier()).await.is_ok_and(|r| r.is_err())
    );
    assert!(
        tokio::time::timeout(silent, alone.consensus.barrier()).await.is_ok_and(|r| r.is_err())
    );
    assert_eq!(running.metrics().last_log_index, before, "nothing was proposed");
    alone.kill().await;
}
