//! Who leaves a cluster for good, and a cluster that leaves its lost members behind.

use std::fs;
use std::path::Path;

use dunlin_state::{Actor, Command};
use dunlin_types::{Clock, MonoMillis, NodeId, UnixMillis};

use super::cluster::{Running, agree, formed, kill_all, leader, start_all, until};
use crate::{Error, Identity, Position, Recovery, RemovalRefused, RemoveError};

fn ops() -> Actor {
    Actor { route: "/cluster/remove".to_owned(), ..Actor::default() }
}

fn fixed_clock() -> Clock {
    Clock::new(|| UnixMillis(1_800_000_000_000), || MonoMillis(1))
}

impl Running {
    async fn remove(&self, node: NodeId, force: bool) -> Result<bool, RemoveError> {
        self.consensus.remove(ops(), "ann".to_owned(), node, force).await
    }

    fn voters(&self) -> usize {
        self.consensus.status().voters.len()
    }

    async fn grown_to(&self, voters: usize) {
        until("as many voters", || async { (self.voters() == voters).then_some(()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_is_removed_and_never_comes_back_under_its_id() {
    let (_dir, mut nodes) = formed(3).await;
    until("all are listed", || async {
        nodes.iter().all(|node| node.consensus.state().nodes().len() == 3).then_some(())
    })
    .await;
    let alive = nodes[0].remove(nodes[1].id, false).await;
    let refused = RemovalRefused::Alive { node: nodes[1].id };
    assert!(matches!(alive, Err(RemoveError::Refused(told)) if told == refused));

    let dead = nodes.remove(2);
    let (id, plan) = (dead.id, dead.kill().await);
    let gone = until("it is not heard any more", || async {
        match nodes[0].remove(id, false).await {
            Err(RemoveError::Refused(RemovalRefused::Alive { .. })) => None,
            other => Some(other),
        }
    })
    .await;
    assert!(gone.expect("removed"), "it is out of the membership");
    assert_eq!((nodes[0].voters(), nodes[0].consensus.state().nodes().len()), (2, 2));
    assert!(nodes[1].remove(id, false).await.is_ok(), "again, from elsewhere");
    nodes[0].write(nodes[0].id, "written by two").await;

    let back = plan.start().await.expect("it does not know yet");
    let why = tokio::time::timeout(super::cluster::DEADLINE, back.consensus.removed()).await;
    let why = why.expect("it is told");
    assert!(why.contains("by ann") && why.contains("data directory"), "{why}");
    let plan = back.kill().await;
    let Err(Error::Removed { node, .. }) = plan.start().await else { panic!("it has not read it") };
    assert_eq!(node, id);

    fs::remove_dir_all(&plan.dir).expect("wiped");
    let new = plan.start().await.expect("a new node");
    new.formed().await;
    nodes.push(new);
    nodes[0].grown_to(3).await;
    agree(&nodes).await;
    kill_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_removed_as_it_runs_and_the_last_voters_are_not() {
    let (_dir, mut nodes) = formed(3).await;
    let leading = nodes.remove(leader(&nodes).await);
    let (one, other) = (&nodes[0], &nodes[1]);
    leading.remove(leading.id, true).await.expect("removed, asked of itself");
    until("the others vote", || async { (one.voters() == 2).then_some(()) }).await;
    let why = tokio::time::timeout(super::cluster::DEADLINE, leading.consensus.removed()).await;
    assert!(why.expect("it is told").contains("by ann"));
    leading.kill().await;
    one.write(one.id, "written by two").await;

    other.remove(one.id, true).await.expect("one of two, both alive");
    other.grown_to(1).await;
    other.write(other.id, "written by one").await;
    let last = other.remove(other.id, true).await;
    let refused = RemovalRefused::LastVoter { node: other.id };
    assert!(matches!(last, Err(RemoveError::Refused(told)) if told == refused));
    kill_all(nodes).await;
}

fn is_copied(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_survivor_of_three_goes_on_with_all_it_has_and_the_others_never_do() {
    let (dir, nodes) = formed(3).await;
    let (hash, source) = ("kept".to_owned(), "config.yaml".to_owned());
    let kept = Command::ProposeConfig { hash, sealed: vec![1], source, after: 0 };
    nodes[0].consensus.propose(kept).await.expect("committed");
    agree(&nodes).await;
    let (old, survivor) = (nodes[0].consensus.status().cluster, nodes[0].id);
    let running = Recovery::open(&nodes[0].plan.dir, fixed_clock());
    assert!(matches!(running, Err(Error::InUse { .. })), "a process holds it");
    let plans = kill_all(nodes).await;

    let recovery = Recovery::open(&plans[0].dir, fixed_clock()).expect("it does not run");
    assert_eq!((recovery.node(), Some(recovery.cluster())), (survivor, old));
    assert!(recovery.position() > Position::default());
    assert_eq!(recovery.members().iter().filter(|known| known.votes).count(), 3);
    let cluster = recovery.carry_out().expect("recovered");
    assert_ne!(Some(cluster), old);
    let again = Recovery::open(&plans[0].dir, fixed_clock()).expect("it does not run");
    assert!(matches!(again.carry_out(), Err(Error::NothingLost { .. })));

    let mut nodes = start_all(&plans[..1]).await;
    assert_eq!(nodes[0].consensus.status().cluster, Some(cluster));
    assert_eq!(nodes[0].id, survivor);
    let state = nodes[0].consensus.state();
    assert_eq!((state.nodes().len(), state.removed().count()), (1, 2));
    assert_eq!(state.config().map(|config| &*config.hash), Some("kept"));
    nodes[0].write(survivor, "written alone").await;

    // Both of the lost ones come back, and are a majority of what was.
    let lost = [plans[1].start().await.expect("started"), plans[2].start().await.expect("started")];
    for node in lost {
        let why = tokio::time::timeout(super::cluster::DEADLINE, node.consensus.removed()).await;
        let why = why.expect("it is told");
        assert!(why.contains(&cluster.to_string()), "{why}");
        let plan = node.kill().await;
        assert!(matches!(plan.start().await, Err(Error::Removed { .. })));
        fs::remove_dir_all(&plan.dir).expect("wiped");
        let new = plan.start().await.expect("a new node");
        new.formed().await;
        nodes.push(new);
    }
    nodes[0].grown_to(3).await;
    agree(&nodes).await;
    assert!(nodes.iter().all(|node| node.consensus.status().cluster == Some(cluster)));
    kill_all(nodes).await;
    drop(dir);
}

/// Every state of the disk that a kill can leave behind is the old cluster's or the new one's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_is_cut_short_goes_on_or_never_was() {
    let (_dir, nodes) = formed(3).await;
    let plans = kill_all(nodes).await;
    let source = &plans[0].dir;
    let recovery = Recovery::open(source, fixed_clock()).expect("it does not run");
    let old = recovery.cluster();
    let before = source.with_extension("before");
    drop(recovery);
    is_copied(source, &before);
    let recovery = Recovery::open(source, fixed_clock()).expect("it does not run");
    let new = recovery.carry_out().expect("recovered");
    let cluster_in = |dir: &Path| {
        // The copy stands for the original.
        fs::remove_file(dir.join("lock")).expect("it has a lock");
        Recovery::open(dir, fixed_clock()).expect("whole").cluster()
    };
    let kept = |dir: &Path| dir.join(format!("before-recovery-of-{old}"));
    // Backwards from the end: which of the two directories have changed places.
    for moved in [&["raft", "snapshot"][..], &["raft"], &[]] {
        for half in [false, true] {
            let dir = source.with_extension(format!("{}{half}", moved.len()));
            is_copied(source, &dir);
            mark_as_recovering(&dir, old);
            for name in ["raft", "snapshot"].into_iter().filter(|name| !moved.contains(name)) {
                fs::rename(dir.join(name), dir.join(format!("{name}.new"))).expect("moved back");
                if !half && kept(&dir).join(name).exists() {
                    fs::rename(kept(&dir).join(name), dir.join(name)).expect("moved back");
                }
            }
            assert_eq!(cluster_in(&dir), new, "{moved:?} were in place");
            assert!(kept(&dir).join("raft").exists(), "the old log is kept");
        }
    }
    // New files that no certificate speaks of are nothing.
    for name in ["raft", "snapshot"] {
        is_copied(&source.join(name), &before.join(format!("{name}.new")));
    }
    assert_eq!(cluster_in(&before), old);
    let recovery = Recovery::open(&before, fixed_clock()).expect("it does not run");
    assert_ne!(recovery.carry_out().expect("recovered"), new);
}

fn mark_as_recovering(dir: &Path, old: dunlin_types::ClusterId) {
    fs::remove_file(dir.join("lock")).expect("it has a lock");
    let mut identity = Identity::open(dir).expect("the copy stands for the original");
    identity.amend(|certificate| certificate.recovering = Some(old)).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_survivors_the_one_that_reaches_further_is_told_by_its_position() {
    let (_dir, mut nodes) = formed(3).await;
    agree(&nodes).await;
    let behind = nodes.remove(if nodes[0].leads() { 1 } else { 0 });
    let behind = behind.kill().await;
    nodes[0].consensus.propose(Command::MarkUp { node: nodes[0].id }).await.expect("committed");
    let ahead = kill_all(nodes).await;
    let position = |dir: &Path| Recovery::open(dir, fixed_clock()).expect("whole").position();
    assert!(position(&ahead[0].dir) > position(&behind.dir));
}
