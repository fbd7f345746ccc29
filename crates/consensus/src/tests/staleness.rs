//! What a node knows of its own knowledge.

use std::time::Duration;

use super::cluster::{Running, formed, kill_all, leader, until};

/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";
/// Long enough to tell a node that hears its leader from one that does not.
const LONG: Duration = Duration::from_secs(3);

impl Running {
    /// Makes this node unable to call `other`, or able again.
    fn reach(&self, other: &Running, reaches: bool) {
        let address = other.plan.address.to_string();
        self.consensus.node.rpc.learn(other.id, if reaches { &address } else { NOWHERE });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_from_its_leader_finds_a_node_that_is_not() {
    let (_dir, mut nodes) = formed(3).await;
    let leading = nodes.remove(leader(&nodes).await);
    let between = nodes.remove(0);
    let cut_off = nodes.remove(0);
    until("all is known", || async { (cut_off.consensus.staleness() < LONG / 3).then_some(()) })
        .await;
    leading.reach(&cut_off, false);
    cut_off.reach(&leading, false);
    // As long as nothing is written, the node between knows no more than the one cut off.
    leading.write(leading.id, "written without one of them").await;
    until("nothing is heard", || async { (cut_off.consensus.staleness() > LONG).then_some(()) })
        .await;
    assert_eq!(cut_off.consensus.fresh_nodes().await, [between.id]);
    assert!(between.consensus.staleness() < LONG && leading.consensus.staleness() < LONG);

    leading.reach(&cut_off, true);
    cut_off.reach(&leading, true);
    until("all is known again", || async {
        (cut_off.consensus.staleness() < LONG / 3).then_some(())
    })
    .await;
    kill_all(vec![leading, between, cut_off]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_left_of_two_knows_all_and_who_is_left_of_three_does_not() {
    let (_two, mut two) = formed(2).await;
    let (_three, mut three) = formed(3).await;
    let (of_two, of_three) = (two.remove(0), three.remove(0));
    kill_all(two).await;
    kill_all(three).await;
    until("a quorum could be elsewhere", || async {
        (of_three.consensus.staleness() > LONG).then_some(())
    })
    .await;
    assert!(of_two.consensus.staleness() < LONG, "{:?}", of_two.consensus.staleness());
    assert!(of_three.consensus.fresh_nodes().await.is_empty());
    kill_all(vec![of_two, of_three]).await;
}
