//! One clock that is off, among the nodes of a cluster.

use super::cluster::{Running, kill_all, leader, plans, start_all, true_time, until};

const HOUR_MS: i64 = 3_600_000;
/// Between two readings on a busy machine.
const CLOSE_MS: u64 = 1_000;

/// How far the time that a node goes by is off.
fn is_close(node: &Running) -> bool {
    node.consensus.clock().unix().0.abs_diff(true_time().0) < CLOSE_MS
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_harms_nobody_and_does_not_lead() {
    for off_ms in [HOUR_MS, -HOUR_MS] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut plans = plans(dir.path(), 3, 3, 3);
        plans[0].clock_ahead_ms = off_ms;
        let nodes = start_all(&plans).await;
        until("all go by the same time", || async { nodes.iter().all(is_close).then_some(()) })
            .await;
        let skew = nodes[0].consensus.status().clock_skew_ms;
        assert!(skew.abs_diff(off_ms) < CLOSE_MS, "{skew}");

        let leading = leader(&nodes).await;
        if leading != 0 {
            let raft = &nodes[leading].consensus.node.running().expect("it runs").raft;
            raft.trigger().transfer_leader(nodes[0].id.0).await.expect("raft is running");
        }
        until("it leads", || async { nodes[0].leads().then_some(()) }).await;
        nodes[0].write(nodes[0].id, "stamped by a leader whose clock is off").await;
        let stamped = nodes[0].consensus.state().at();
        assert!(stamped.0.abs_diff(true_time().0) < CLOSE_MS, "{stamped:?}");
        until("another leads", || async { (leader(&nodes).await != 0).then_some(()) }).await;
        nodes[0].write(nodes[0].id, "written by one whose clock is off").await;
        assert!(nodes.iter().all(is_close));
        kill_all(nodes).await;
    }
}
