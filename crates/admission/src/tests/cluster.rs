//! Starts, stops and restarts nodes that have all that admission needs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dunlin_consensus::{Calls, Consensus, Identity};
use dunlin_gossip::{Fact, Gossip, NodeFact};
use dunlin_journal::{Journal, OlderEpoch};
use dunlin_rpc::Rpc;
use dunlin_state::{Command, Key, Terms};
use dunlin_types::{
    Clock, KeyDigest, MonoMillis, NanoUsd, NodeId, RequestId, Secret, Tokens, UnixMillis,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Admission, Awaited, Bounds, Config, Counted, Demand, Parts, Permit, Refusal};

/// Far beyond what any healthy step takes, on a machine busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) consensus: Consensus,
    pub(crate) admission: Admission,
    pub(crate) clock: Clock,
    plan: Plan,
    tasks: TaskTracker,
    stop: CancellationToken,
    requests: AtomicU64,
}

#[derive(Clone)]
struct Plan {
    dir: PathBuf,
    address: SocketAddr,
    seeds: Vec<String>,
    expect: usize,
    awaited: Vec<Awaited>,
    _kept: Arc<TempDir>,
}

#[expect(clippy::disallowed_methods, reason = "these tests run whole nodes and own the clock")]
fn clock() -> Clock {
    let start = Instant::now();
    let millis = move || u64::try_from(start.elapsed().as_millis()).expect("a short test");
    Clock::new(
        move || UnixMillis(1_700_000_000_000 + millis()),
        move || MonoMillis(1000 + millis()),
    )
}

pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) async fn single() -> Node {
    let node = alone().start().await;
    node.formed().await;
    node
}

/// A node alone, whose settler does not run.
pub(crate) async fn unsettled() -> (Node, Config) {
    let started = alone().start_with(Admission::assemble).await;
    started.0.formed().await;
    started
}

fn alone() -> Plan {
    let kept = Arc::new(tempfile::tempdir().expect("a directory"));
    let dir = kept.path().join("node");
    Plan { dir, address: port(), seeds: Vec::new(), expect: 1, awaited: Vec::new(), _kept: kept }
}

/// Nodes that have formed one cluster and whose limits are past their beginnings.
pub(crate) async fn cluster(count: usize) -> Vec<Node> {
    let kept = Arc::new(tempfile::tempdir().expect("a directory"));
    let addresses: Vec<_> = (0..count).map(|_| port()).collect();
    let seeds: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    let mut nodes = Vec::new();
    for (at, address) in addresses.into_iter().enumerate() {
        let dir = kept.path().join(format!("node-{at}"));
        let (seeds, kept) = (seeds.clone(), Arc::clone(&kept));
        let plan = Plan { dir, address, seeds, expect: count, awaited: Vec::new(), _kept: kept };
        nodes.push(plan.start().await);
    }
    for node in &nodes {
        node.formed().await;
        until("the ring is whole", || node.consensus.state().ring().members().len() == count).await;
    }
    for probe in 0..8 {
        let key = nodes[0].key(&format!("probe-{probe}"), Some(10_000), None, None).await;
        for node in &nodes {
            until("the key is everywhere", || node.consensus.state().key(&key).is_some()).await;
            node.decided(key).await;
        }
    }
    nodes
}

/// Free for TCP and UDP a moment ago, and none that outgoing connections are given.
fn port() -> SocketAddr {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number =
            std::process::id().wrapping_mul(64).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT).expect("few ports");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

impl Plan {
    async fn start(self) -> Node {
        let awaited = std::future::ready(self.awaited.clone());
        let start =
            |config: &Config, parts| (Admission::start(config.clone(), parts, awaited), Vec::new());
        self.start_with(start).await.0
    }

    async fn start_with(
        self,
        start: impl FnOnce(&Config, Parts) -> (Admission, Vec<OlderEpoch>),
    ) -> (Node, Config) {
        let identity = Identity::open(&self.dir).expect("a data directory");
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (id, epoch, clock) = (identity.node, identity.epoch, clock());
        let secret = Secret::new("a secret shared by the nodes of this test");
        let rpc = dunlin_rpc::Config {
            me: id,
            listen: self.address,
            secrets: secret.clone().into(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let (rpc, inbox) = Rpc::start(rpc).expect("the port is free");
        let gossip = dunlin_gossip::Config {
            me: id,
            epoch,
            listen: self.address,
            advertise: self.address.to_string(),
            seeds: self.seeds.clone(),
            cluster_name: "test".to_owned(),
            secrets: secret.into(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let gossip = Gossip::start(gossip, clock.clone()).expect("the port is free");
        let cluster_address = self.address.to_string();
        gossip.publish(Fact::Node(NodeFact { cluster_address, ..NodeFact::default() }));
        let config = dunlin_consensus::Config {
            advertise: self.address.to_string(),
            seeds: self.seeds.clone(),
            bootstrap_expect: self.expect,
            format: dunlin_state::Format::NEWEST,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let calls = Calls { raft: inbox.raft, propose: inbox.propose, join: inbox.join };
        let consensus =
            Consensus::start(config, identity, clock.clone(), rpc.clone(), gossip, calls).await;
        let consensus = consensus.expect("a sound log");
        let dir = self.dir.join("journal");
        let journal = dunlin_journal::Config {
            dir,
            bounds: dunlin_journal::Bounds::default(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let (journal, older) = Journal::open(journal, epoch).expect("a sound journal");
        let config = Config { me: id, epoch, tasks: tasks.clone(), stop: stop.clone() };
        let (limits, money) = (inbox.limits, inbox.money);
        let (clock_too, consensus_too) = (clock.clone(), consensus.clone());
        let parts = Parts {
            clock: clock_too,
            consensus: consensus_too,
            journal,
            older,
            rpc,
            limits,
            money,
        };
        let (admission, _) = start(&config, parts);
        let requests = AtomicU64::new(0);
        (Node { id, consensus, admission, clock, plan: self, tasks, stop, requests }, config)
    }
}

impl Node {
    async fn formed(&self) {
        let formed = tokio::time::timeout(DEADLINE, self.consensus.formed()).await;
        formed.expect("the node forms a cluster");
    }

    /// A new key with these limits of requests, tokens and slots.
    pub(crate) async fn key(
        &self,
        name: &str,
        requests: Option<u64>,
        tokens: Option<u64>,
        slots: Option<u64>,
    ) -> KeyDigest {
        let token = KeyDigest::of(&format!("sk-{name}"));
        let terms = Terms { rpm: requests, tpm: tokens, parallel: slots, ..Terms::default() };
        let key = Key { token, name: name.to_owned(), terms, ..Key::default() };
        let command = Command::CreateKey { key: Box::new(key) };
        self.consensus.propose(command).await.expect("a new key");
        token
    }

    /// What a key has spent, as this node knows it.
    pub(crate) fn spent(&self, token: KeyDigest) -> NanoUsd {
        let state = self.consensus.state();
        self.admission.key_spend(state.key(&token).expect("a known key"))
    }

    /// Whether a part of it has said that it cannot go on.
    pub(crate) fn has_ended(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Where its journal is.
    pub(crate) fn journal(&self) -> PathBuf {
        self.plan.dir.join("journal")
    }

    /// Waits until the owner of a key's limits decides: a share would be less.
    async fn decided(&self, key: KeyDigest) {
        let deciding = async {
            while self.admit(key, 1).await.expect("far from the limit").limits()[0].remaining
                < 9_000
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, deciding).await.expect("the owner decides");
    }

    pub(crate) async fn block(&self, token: KeyDigest) {
        let command = Command::SetBlocked { token, blocked: true };
        self.consensus.propose(command).await.expect("a known key");
    }

    pub(crate) fn demand(&self, tokens: u64) -> Demand {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let request = RequestId(u128::from(self.id.0) << 64 | u128::from(number));
        Demand {
            request,
            served: "m".into(),
            prompt: Tokens(tokens),
            output: Some(Tokens(0)),
            counted: Counted::Total,
            cost: Bounds::default(),
            takes_rest: false,
            strained: true,
        }
    }

    pub(crate) async fn admit(&self, key: KeyDigest, tokens: u64) -> Result<Permit, Refusal> {
        let caller = self.admission.caller(key, &[]).await?;
        self.admission.admit(Some(&caller), self.demand(tokens)).await
    }

    /// Ends without a farewell, and starts again.
    pub(crate) async fn restart(self) -> Node {
        self.restart_holding(()).await
    }

    /// The same, while a request is open; it ends with the process.
    pub(crate) async fn restart_holding<T>(self, open: T) -> Node {
        let plan = self.plan.clone();
        self.die(open).await;
        let node = plan.start().await;
        node.formed().await;
        node
    }

    /// The same, while its notes say what it held for.
    pub(crate) async fn restart_awaiting(mut self, awaited: Vec<Awaited>) -> Node {
        self.plan.awaited = awaited;
        self.restart().await
    }

    /// Ends without a farewell, and starts again without a settler.
    pub(crate) async fn restart_unsettled(self) -> (Node, Config) {
        let plan = self.plan.clone();
        self.die(()).await;
        let started = plan.start_with(Admission::assemble).await;
        started.0.formed().await;
        started
    }

    /// Ends without a farewell, and then lets go of what it `held`.
    pub(crate) async fn die<T>(self, held: T) {
        self.stop.cancel();
        self.tasks.close();
        let Self { consensus, admission, tasks, .. } = self;
        drop((consensus, admission));
        tokio::time::timeout(DEADLINE, tasks.wait()).await.expect("the node ends");
        drop(held);
    }
}
