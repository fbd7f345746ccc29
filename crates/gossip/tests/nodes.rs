//! What a crate above `gossip` relies on, over real UDP on loopback: facts get around, strangers
//! and old datagrams do not, the dead are noticed and the restarted recognised.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_gossip::{
    BackendLoad, Config, Fact, Gossip, HealthFact, LoadFact, NodeFact, Peer, Reported, View,
};
use dunlin_router::BackendId;
use dunlin_types::{Clock, ClusterId, Epoch, MonoMillis, NodeId, Secret, UnixMillis};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Long enough never to be the reason on a busy machine; tests that pass do not wait for it.
const PATIENCE: Duration = Duration::from_secs(30);
const SECRET: &str = "the secret of the tests, long enough";
const LOOPBACK: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

struct Node {
    id: NodeId,
    gossip: Gossip,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// How a node of the tests differs from its peers.
#[derive(Clone)]
struct Setup {
    id: u64,
    epoch: u64,
    listen: SocketAddr,
    secret: &'static str,
    cluster_name: &'static str,
    seeds: Vec<String>,
}

impl Setup {
    fn node(id: u64) -> Self {
        let (listen, seeds) = (LOOPBACK.into(), Vec::new());
        Self { id, epoch: 1, listen, secret: SECRET, cluster_name: "tests", seeds }
    }

    fn seeds<const N: usize>(self, seeds: [SocketAddr; N]) -> Self {
        Self { seeds: seeds.iter().map(ToString::to_string).collect(), ..self }
    }

    fn start(self) -> Node {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let looks = Arc::new(AtomicU64::new(1));
        let mono = move || MonoMillis(looks.fetch_add(1, Ordering::Relaxed));
        let config = Config {
            me: NodeId(self.id),
            epoch: Epoch(self.epoch),
            listen: self.listen,
            advertise: "127.0.0.1:0".to_owned(),
            seeds: self.seeds,
            cluster_name: self.cluster_name.to_owned(),
            secrets: Secret::new(self.secret).into(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let clock = Clock::new(|| UnixMillis(0), mono);
        let gossip = Gossip::start(config, clock).expect("a free loopback port");
        Node { id: NodeId(self.id), gossip, tasks, stop }
    }
}

impl Node {
    fn address(&self) -> SocketAddr {
        self.gossip.local_addr()
    }

    /// Waits until the view satisfies a condition.
    async fn sees(&self, what: &str, condition: impl Fn(&View) -> bool) {
        let mut changed = self.gossip.changed();
        let wait = async {
            while !condition(&self.gossip.view()) {
                changed.changed().await.expect("gossip goes on");
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("node {} never saw {what}: {:?}", self.id, self.gossip.view());
        }
    }

    async fn sees_alive(&self, peer: &Node) {
        let alive = |view: &View| view.peers.get(&peer.id).is_some_and(|peer| peer.alive);
        self.sees("the other alive", alive).await;
    }

    fn peer(&self, id: NodeId) -> Peer {
        self.gossip.view().peers[&id].clone()
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(PATIENCE, self.tasks.wait()).await.expect("its tasks end");
    }
}

/// Waits for something that nothing announces.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn load(in_flight: u32) -> LoadFact {
    let load = BackendLoad { in_flight, tokens: u64::from(in_flight) * 100 };
    LoadFact { backends: BTreeMap::from([(BackendId("http://gpu:8000/v1 llama".into()), load)]) }
}

#[tokio::test]
async fn every_fact_of_every_node_reaches_every_other() {
    let one = Setup::node(1).start();
    let two = Setup::node(2).seeds([one.address()]).start();
    let three = Setup::node(3).seeds([one.address()]).start();
    let nodes = [&one, &two, &three];
    for node in nodes {
        let number = u32::try_from(node.id.0).expect("a small number");
        node.gossip.publish(Fact::Node(NodeFact {
            api_address: format!("host-{number}:4000"),
            cluster: Some(ClusterId(9)),
            ready: true,
            ..NodeFact::default()
        }));
        node.gossip.publish(Fact::Load(load(number)));
        node.gossip.publish(Fact::Health(HealthFact {
            backends: BTreeMap::from([
                (BackendId("a".into()), Reported::Unreachable),
                (BackendId("b".into()), Reported::RateLimited { for_ms: 700 }),
            ]),
        }));
    }
    for node in nodes {
        for other in nodes.iter().filter(|other| other.id != node.id) {
            node.sees_alive(other).await;
            let told = |view: &View| {
                let peer = &view.peers[&other.id];
                let number = u32::try_from(other.id.0).expect("a small number");
                let node = peer.node.clone().unwrap_or_default();
                node.api_address == format!("host-{number}:4000")
                    && node.cluster == Some(ClusterId(9))
                    && peer.load == load(number)
                    && peer.health.backends.len() == 2
            };
            node.sees("the other's facts", told).await;
        }
        assert_eq!(node.gossip.view().peers.len(), 2);
    }
}

#[tokio::test]
async fn of_a_burst_the_last_word_is_what_peers_hear() {
    let one = Setup::node(1).start();
    let two = Setup::node(2).seeds([one.address()]).start();
    one.sees_alive(&two).await;
    for number in 0..5000 {
        two.gossip.publish(Fact::Load(load(number)));
    }
    one.sees("the last load", |view| view.peers[&two.id].load == load(4999)).await;
    let confirmed = one.peer(two.id).heard;
    until("a steady load is confirmed", || one.peer(two.id).heard > confirmed).await;
}

#[tokio::test]
async fn another_secret_or_another_cluster_never_joins() {
    let one = Setup::node(1).start();
    for stranger in [
        Setup { secret: "some other secret entirely", ..Setup::node(2) },
        Setup { cluster_name: "production", ..Setup::node(3) },
    ] {
        let before = one.gossip.dropped().foreign;
        let stranger = stranger.seeds([one.address()]).start();
        until("ten refused datagrams", || one.gossip.dropped().foreign >= before + 10).await;
        assert!(one.gossip.view().peers.is_empty());
        assert!(stranger.gossip.view().peers.is_empty());
        stranger.end().await;
    }
}

#[tokio::test]
async fn a_dead_peer_is_noticed_and_its_load_vanishes() {
    let one = Setup::node(1).start();
    let two = Setup::node(2).seeds([one.address()]).start();
    two.gossip.publish(Fact::Load(load(5)));
    one.sees("the load", |view| view.peers.get(&NodeId(2)).is_some_and(|p| p.load == load(5)))
        .await;
    two.end().await;
    one.sees("the death", |view| !view.peers[&NodeId(2)].alive).await;
    assert_eq!(one.peer(NodeId(2)).load, LoadFact::default());
}

#[tokio::test]
async fn a_restarted_peer_takes_the_place_of_what_it_was() {
    let one = Setup::node(1).start();
    let setup = Setup::node(2).seeds([one.address()]);
    let two = setup.clone().start();
    let address = two.address();
    two.gossip.publish(Fact::Load(load(5)));
    one.sees("the load", |view| view.peers.get(&NodeId(2)).is_some_and(|p| p.load == load(5)))
        .await;
    two.end().await;

    let again = Setup { epoch: 2, listen: address, ..setup }.start();
    again.gossip.publish(Fact::Load(load(6)));
    let back = |view: &View| view.peers[&NodeId(2)].alive && view.peers[&NodeId(2)].load == load(6);
    one.sees("the second life", back).await;
    again.sees_alive(&one).await;
    assert_eq!(one.gossip.view().peers.len(), 1);
    assert!(!again.gossip.view().peers.contains_key(&again.id), "nobody is their own peer");
}

#[tokio::test]
async fn garbage_and_replays_are_dropped_and_harm_nobody() {
    let eavesdropper = UdpSocket::bind(SocketAddr::from(LOOPBACK)).await.expect("a free port");
    let tapped = eavesdropper.local_addr().expect("it is bound");
    let one = Setup::node(1).seeds([tapped]).start();
    let two = Setup::node(2).start();
    for length in [0, 1, 49, 50, 65, 66, 67, 1400, 9000] {
        for byte in [0, 1, 0xff] {
            eavesdropper.send_to(&vec![byte; length], two.address()).await.expect("it is sent");
        }
    }
    let mut datagram = vec![0; 65_507];
    let received = eavesdropper.recv(&mut datagram);
    let bytes = tokio::time::timeout(PATIENCE, received).await.expect("a knock").expect("bytes");
    let gone = one.id;
    one.end().await;
    for _ in 0..10 {
        eavesdropper.send_to(&datagram[..bytes], two.address()).await.expect("it is sent");
    }
    until("nine of ten are replays", || two.gossip.dropped().replayed == 9).await;
    assert!(two.gossip.dropped().malformed > 0);

    let three = Setup::node(3).seeds([two.address()]).start();
    two.sees_alive(&three).await;
    three.sees_alive(&two).await;
    let alive = |view: &View| view.peers.get(&gone).is_some_and(|peer| peer.alive);
    assert!(!alive(&two.gossip.view()), "recorded datagrams raise no dead");
}

#[tokio::test]
async fn a_seed_may_be_a_name_and_may_come_up_later() {
    let late = UdpSocket::bind(SocketAddr::from(LOOPBACK)).await.expect("a free port");
    let address = late.local_addr().expect("it is bound");
    let seeds = vec![format!("localhost:{}", address.port()), "no.such.host.invalid:1".to_owned()];
    let one = Setup { seeds, ..Setup::node(1) }.start();
    drop(late);
    let two = Setup { listen: address, ..Setup::node(2) }.start();
    one.sees_alive(&two).await;
    two.sees_alive(&one).await;
}
