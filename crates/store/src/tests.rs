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
    _folder: TempDir,
}

impl Node {
    fn start(id: u64, seeds: Vec<String>) -> Self {
        let (me, tasks, stop) = (NodeId(id), TaskTracker::new(), CancellationToken::new());
        let secret = Secret::new("the secret of the tests, long enough");
        let (rpc, inbox) = Rpc::start(dunlin_rpc::Config {
            me,
            listen: LOOPBACK,
            secret: secret.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        })
        .expect("a free port");
        rpc.enter_cluster(ClusterId(7));
        let gossip = dunlin_gossip::Config {
            me,
            epoch: Epoch(1),
            listen: LOOPBACK,
            advertise: "127.0.0.1:0".to_owned(),
            seeds,
            cluster_name: "tests".to_owned(),
            secret,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let gossip = Gossip::start(gossip, clock()).expect("a free port");
        gossip.publish(Fact::Node(NodeFact { ready: true, ..NodeFact::default() }));
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("store");
        let config = Config { me, dir, tasks, stop: stop.clone() };
        let (rpc_too, gossip_too) = (rpc.clone(), gossip.clone());
        let parts = Parts { clock: clock(), gossip: gossip_too, rpc: rpc_too, inbox: inbox.store };
        let store = Store::start(config, parts).expect("it starts");
        Self { store, rpc, gossip, stop, _folder: folder }
    }
}

/// Nodes that know of each other.
async fn cluster(size: u64) -> Vec<Node> {
    let mut nodes = vec![Node::start(1, Vec::new())];
    let seed = nodes[0].gossip.local_addr().to_string();
    nodes.extend((2..=size).map(|id| Node::start(id, vec![seed.clone()])));
    for node in &nodes {
        for (id, peer) in (1..).zip(&nodes) {
            node.rpc.learn(NodeId(id), &peer.rpc.local_addr().to_string());
        }
        let all = || {
            let view = node.gossip.view();
            let known = view.peers.values().filter(|peer| peer.alive && peer.node.is_some());
            known.count() as u64 == size - 1
        };
        let meeting = async {
            while !all() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, meeting).await.expect("they meet");
    }
    nodes
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
    let gone = third.get(holders, Kind::Body, id).await.expect_err("nobody can be asked");
    assert_eq!(gone.away.len(), 2, "{gone:?}");
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
