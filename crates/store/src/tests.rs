//! Stores of several nodes, over real sockets: what is stored is found while one holder lives.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use dunlin_gossip::{Fact, NodeFact};
use dunlin_types::{ClusterId, Epoch, MonoMillis, Secret};
use tempfile::TempDir;

use super::*;

const LATER: UnixMillis = UnixMillis(9_000_000);
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const DEADLINE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "these tests run whole stores and own the clock")]
fn clock() -> Clock {
    let start = Instant::now();
    let millis = move || u64::try_from(start.elapsed().as_millis()).expect("a short test");
    Clock::new(move || UnixMillis(1_000_000 + millis()), move || MonoMillis(1000 + millis()))
}

struct Node {
    store: Store,
    rpc: Rpc,
    gossip: Gossip,
    stop: CancellationToken,
    tasks: TaskTracker,
    folder: TempDir,
}

impl Node {
    fn start(id: u64, seeds: Vec<String>) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), (id, Epoch(1)), seeds)
    }

    fn start_in(folder: TempDir, (id, epoch): (u64, Epoch), seeds: Vec<String>) -> Self {
        let (me, tasks, stop) = (NodeId(id), TaskTracker::new(), CancellationToken::new());
        let secret = Secret::new("the secret of the tests, long enough");
        let (rpc, inbox) = Rpc::start(dunlin_rpc::Config {
            me,
            listen: LOOPBACK,
            secrets: secret.clone().into(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        })
        .expect("a free port");
        rpc.enter_cluster(ClusterId(7));
        let gossip = dunlin_gossip::Config {
            me,
            epoch,
            listen: LOOPBACK,
            advertise: "127.0.0.1:0".to_owned(),
            seeds,
            cluster_name: "tests".to_owned(),
            secrets: secret.into(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let gossip = Gossip::start(gossip, clock()).expect("a free port");
        gossip.publish(Fact::Node(NodeFact { ready: true, ..NodeFact::default() }));
        let dir = folder.path().join("store");
        let config = Config { me, dir, tasks: tasks.clone(), stop: stop.clone() };
        let (rpc_too, gossip_too) = (rpc.clone(), gossip.clone());
        let parts = Parts { clock: clock(), gossip: gossip_too, rpc: rpc_too, inbox: inbox.store };
        let store = Store::start(config, parts).expect("it starts");
        Self { store, rpc, gossip, stop, tasks, folder }
    }

    /// Ends, and leaves its files.
    async fn end(self) -> TempDir {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.folder
    }
}

/// Nodes that know of each other.
async fn cluster(size: u64) -> Vec<Node> {
    let mut nodes = vec![Node::start(1, Vec::new())];
    let seed = nodes[0].gossip.local_addr().to_string();
    nodes.extend((2..=size).map(|id| Node::start(id, vec![seed.clone()])));
    meet(&nodes.iter().collect::<Vec<_>>()).await;
    nodes
}

async fn meet(nodes: &[&Node]) {
    for node in nodes {
        for peer in nodes {
            node.rpc.learn(peer.store.0.me, &peer.rpc.local_addr().to_string());
        }
        eventually(async || {
            let view = node.gossip.view();
            let known = view.peers.values().filter(|peer| peer.alive && peer.node.is_some());
            known.count() == nodes.len() - 1
        })
        .await;
    }
}

async fn eventually(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("it comes to be so");
}

fn entry(id: RequestId) -> Entry {
    Entry { id, label: None, made: UnixMillis(1_000_000), until: LATER }
}

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_found_from_everywhere_while_one_of_its_holders_can_be_asked() {
    let nodes = cluster(3).await;
    let id = RequestId(4);
    let holders = nodes[0].store.holders(id);
    let Holders([first, second]) = holders;
    assert!(first == NodeId(1) && second != first, "{holders:?}");
    nodes[0].store.put(holders, Kind::Body, entry(id), body("text")).await.expect("stored");
    let third = nodes.iter().find(|node| ![first, second].contains(&node.store.0.me));
    let third = &third.expect("three nodes").store;
    for node in &nodes {
        let found = node.store.get(holders, Kind::Body, id).await;
        assert_eq!(found, Ok(Found::Body(body("text"))), "asked of {}", node.store.0.me);
    }
    assert_eq!(third.get(holders, Kind::Body, RequestId(5)).await, Ok(Found::Missing));

    nodes[0].stop.cancel();
    assert_eq!(
        third.get(holders, Kind::Body, id).await,
        Ok(Found::Body(body("text"))),
        "the maker is dead"
    );
    third.delete(holders, Kind::Body, id, LATER).await.expect("the other knows");
    assert_eq!(third.get(holders, Kind::Body, id).await, Ok(Found::Deleted));
    let missing =
        third.get(holders, Kind::Body, RequestId(5)).await.expect_err("one cannot be asked");
    assert_eq!(missing.away.len(), 1, "{missing:?}");

    nodes.iter().find(|node| node.store.0.me == second).expect("a node").stop.cancel();
    eventually(async || {
        third.get(holders, Kind::Body, id).await.is_err_and(|gone| gone.away.len() == 2)
    })
    .await;
    let refused = third.put(holders, Kind::Body, entry(id), body("text")).await;
    assert!(matches!(refused, Err(NotStored::Failed { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_alone_holds_its_bodies_itself() {
    let nodes = cluster(1).await;
    let (store, id) = (&nodes[0].store, RequestId(7));
    let holders = store.holders(id);
    assert_eq!(holders, Holders([NodeId(1); 2]));
    store.put(holders, Kind::Body, entry(id), body("text")).await.expect("stored");
    assert_eq!(store.get(holders, Kind::Body, id).await, Ok(Found::Body(body("text"))));
    let long = Bytes::from(vec![b'x'; MAX_BODY_BYTES + 1]);
    let refused = store.put(holders, Kind::Body, entry(RequestId(8)), long).await;
    assert_eq!(refused, Err(NotStored::TooLong { bytes: MAX_BODY_BYTES + 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_of_all_nodes_are_listed_together_and_each_once() {
    let nodes = cluster(3).await;
    let label = Label(7);
    for (at, node) in nodes.iter().enumerate() {
        let id = RequestId(at as u128);
        let made = UnixMillis(1_000_000 + at as u64);
        let note = Entry { label: Some(label), made, ..entry(id) };
        let text = Bytes::from(format!("note {at}"));
        let holders = node.store.holders(id);
        node.store.put(holders, Kind::Note, note, text).await.expect("stored");
    }
    for node in &nodes {
        let told: Vec<String> =
            node.store.notes(label).await.into_iter().map(|note| note.text).collect();
        assert_eq!(told, ["note 2", "note 1", "note 0"]);
        assert!(node.store.notes(Label(8)).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_away_hears_what_was_deleted_before_its_word_counts() {
    let mut nodes = cluster(3).await;
    let (gone, stays) = (RequestId(4), RequestId(6));
    let holders = nodes[0].store.holders(gone);
    for id in [gone, stays] {
        nodes[0].store.put(holders, Kind::Body, entry(id), body("text")).await.expect("stored");
    }
    let Holders([_, second]) = holders;
    let at = nodes.iter().position(|node| node.store.0.me == second).expect("a node");
    let folder = nodes.remove(at).end().await;
    let [maker, third] = &nodes[..] else { panic!("two are left") };
    third.store.delete(holders, Kind::Body, gone, LATER).await.expect("one holder hears it");

    let seed = maker.gossip.local_addr().to_string();
    let back = Node::start_in(folder, (second.0, Epoch(2)), vec![seed]);
    let own = back.store.get_at(second, Kind::Body, gone).await;
    assert_eq!(own, Ok(Found::Body(body("text"))), "it has not heard it yet");
    for node in [maker, third] {
        back.rpc.learn(node.store.0.me, &node.rpc.local_addr().to_string());
        node.rpc.learn(second, &back.rpc.local_addr().to_string());
    }
    let asked = back.store.get(holders, Kind::Body, gone).await;
    assert_eq!(asked, Ok(Found::Deleted), "it asks the other one");
    meet(&[maker, third, &back]).await;
    eventually(async || {
        back.store.get_at(second, Kind::Body, gone).await == Ok(Found::Deleted)
            && !back.store.0.shelves.deletions.are_in_doubt(&back.gossip.view())
    })
    .await;
    for node in [maker, third, &back] {
        let found = node.store.get(holders, Kind::Body, stays).await;
        assert_eq!(found, Ok(Found::Body(body("text"))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_works_on_is_known_everywhere_and_can_be_stopped_from_there() {
    let nodes = cluster(2).await;
    let (maker, other, id) = (&nodes[0].store, &nodes[1].store, RequestId(4));
    assert_eq!(other.ask_after(NodeId(1), id).await, Doing::Nothing);
    let work = maker.work_on(id).expect("it has room");
    for store in [maker, other] {
        assert_eq!(store.ask_after(NodeId(1), id).await, Doing::Working);
        assert_eq!(store.ask_after(NodeId(2), id).await, Doing::Nothing);
    }
    let working = nodes[0].tasks.spawn(async move {
        work.stopped().await;
        drop(work);
    });
    assert_eq!(other.stop(NodeId(1), id).await, Doing::Nothing, "it is over then");
    working.await.expect("it ended");
    assert_eq!(maker.ask_after(NodeId(1), id).await, Doing::Nothing);

    let all: Vec<Work> =
        (0..MAX_WORKS as u128).filter_map(|id| maker.work_on(RequestId(id))).collect();
    assert_eq!(all.len(), MAX_WORKS);
    assert!(maker.work_on(RequestId(u128::MAX)).is_none(), "no more than that");
    drop(all);
    assert!(maker.work_on(RequestId(u128::MAX)).is_some());
    nodes[0].stop.cancel();
    eventually(async || matches!(other.ask_after(NodeId(1), id).await, Doing::Silent { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_after_work_does_not_wait_for_a_slow_disk() {
    let nodes = cluster(2).await;
    let (maker, other) = (nodes[0].store.clone(), nodes[1].store.clone());
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let stalling = tokio::task::spawn_blocking(move || {
        maker.0.shelves.of(Kind::Body).stall(|| {
            begin.send(()).expect("it is waited for");
            ended.recv().expect_err("the test says when");
        });
    });
    begun.await.expect("it stalls");
    let reads = (0..40).map(|id| {
        let other = other.clone();
        nodes[1].tasks.spawn(async move {
            let read = other.get_at(NodeId(1), Kind::Body, RequestId(id)).await;
            read.expect_err("the disk is slow");
        })
    });
    let reads: Vec<_> = reads.collect();
    while !reads.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(other.ask_after(NodeId(1), RequestId(99)).await, Doing::Nothing);
    }
    drop(end);
    stalling.await.expect("it goes on");
}
