//! Starts, stops and restarts nodes.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dunlin_gossip::{Fact, Gossip, NodeFact};
use dunlin_rpc::Rpc;
use dunlin_state::{Command, Format, Reply};
use dunlin_types::{Clock, MonoMillis, NodeId, Secret, UnixMillis};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Calls, Config, Consensus, Error, Identity, Role};

/// Far beyond what any healthy step takes, on a machine busy with other tests.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "these tests run whole nodes and own the clock")]
fn clock(ahead_ms: i64) -> Clock {
    static NOON: LazyLock<Instant> = LazyLock::new(Instant::now);
    let start = Instant::now();
    let since = |start: Instant| u64::try_from(start.elapsed().as_millis()).expect("a short test");
    Clock::new(
        move || UnixMillis((1_700_000_000_000 + since(*NOON)).saturating_add_signed(ahead_ms)),
        move || MonoMillis(1000 + since(start)),
    )
}

/// What all clocks show that are right.
pub(super) fn true_time() -> UnixMillis {
    clock(0).unix()
}

/// Waits until `condition` gives something.
pub(super) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    condition: impl Fn() -> F,
) -> T {
    let waiting = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// How a node is started; kept over restarts.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) dir: PathBuf,
    pub(super) address: SocketAddr,
    pub(super) seeds: Vec<String>,
    pub(super) expect: usize,
    /// How far its clock is ahead of the true time.
    pub(super) clock_ahead_ms: i64,
    /// The newest format of the log that it knows.
    pub(super) format: Format,
}

/// A running node.
pub(super) struct Running {
    pub(super) plan: Plan,
    pub(super) id: NodeId,
    pub(super) consensus: Consensus,
    pub(super) stop: CancellationToken,
    tasks: TaskTracker,
}

impl Plan {
    pub(super) async fn start(&self) -> Result<Running, Error> {
        let identity = Identity::open(&self.dir)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (id, epoch) = (identity.node, identity.epoch);
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
        let gossip = Gossip::start(gossip, clock(self.clock_ahead_ms)).expect("the port is free");
        gossip.publish(Fact::Node(NodeFact {
            cluster_address: self.address.to_string(),
            format: self.format.0,
            ..NodeFact::default()
        }));
        let config = Config {
            advertise: self.address.to_string(),
            seeds: self.seeds.clone(),
            bootstrap_expect: self.expect,
            format: self.format,
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let calls = Calls { raft: inbox.raft, propose: inbox.propose, join: inbox.join };
        let clock = clock(self.clock_ahead_ms);
        let started = Consensus::start(config, identity, clock, rpc, gossip, calls).await;
        let consensus = match started {
            Ok(consensus) => consensus,
            Err(e) => {
                stop.cancel();
                tasks.close();
                tasks.wait().await;
                return Err(e);
            }
        };
        Ok(Running { plan: self.clone(), id, consensus, stop, tasks })
    }

    pub(super) fn log_dir(&self) -> PathBuf {
        self.dir.join("raft")
    }
}

impl Running {
    /// Ends the node without a farewell, and waits until its files and ports are free.
    pub(super) async fn kill(self) -> Plan {
        self.stop.cancel();
        self.tasks.close();
        let Self { plan, consensus, tasks, .. } = self;
        drop(consensus);
        tokio::time::timeout(DEADLINE, tasks.wait()).await.expect("the node ends");
        plan
    }

    pub(super) async fn formed(&self) {
        let formed = tokio::time::timeout(DEADLINE, self.consensus.formed()).await;
        formed.unwrap_or_else(|_| {
            panic!("node {} is no member: {:?}", self.id, self.consensus.status())
        });
    }

    /// A command whose effect can be seen: this node's address in the state.
    pub(super) async fn write(&self, node: NodeId, text: &str) {
        let command = Command::SetAddress { node, address: text.to_owned() };
        let reply = self.consensus.propose(command).await.expect("committed");
        assert!(matches!(reply, Reply::Done | Reply::Unchanged), "{reply:?}");
    }

    pub(super) fn address_of(&self, node: NodeId) -> String {
        self.consensus.state().nodes().get(&node).expect("a member").address.clone()
    }

    pub(super) fn leads(&self) -> bool {
        self.consensus.status().role == Role::Leader
    }
}

/// Ports for `nodes` nodes, free for TCP and UDP a moment ago.
fn ports(nodes: usize) -> Vec<SocketAddr> {
    let mut held = Vec::new();
    while held.len() < nodes {
        let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = tcp.local_addr().expect("bound");
        if let Ok(udp) = std::net::UdpSocket::bind(address) {
            held.push((tcp, udp, address));
        }
    }
    held.iter().map(|(_, _, address)| *address).collect()
}

/// Plans for nodes that all name the first `seeds` of them as seeds.
pub(super) fn plans(dir: &Path, nodes: usize, seeds: usize, expect: usize) -> Vec<Plan> {
    let addresses = ports(nodes);
    let named: Vec<String> = addresses.iter().take(seeds).map(SocketAddr::to_string).collect();
    let plan = |(at, address): (usize, &SocketAddr)| Plan {
        dir: dir.join(format!("node-{at}")),
        address: *address,
        seeds: named.clone(),
        expect,
        clock_ahead_ms: 0,
        format: Format::NEWEST,
    };
    addresses.iter().enumerate().map(plan).collect()
}

/// Nodes that have formed one cluster together.
pub(super) async fn formed(nodes: usize) -> (TempDir, Vec<Running>) {
    let dir = tempfile::tempdir().expect("a directory");
    let nodes = start_all(&plans(dir.path(), nodes, nodes, nodes)).await;
    (dir, nodes)
}

pub(super) async fn start_all(plans: &[Plan]) -> Vec<Running> {
    let mut running = Vec::new();
    for plan in plans {
        running.push(plan.start().await.expect("started"));
    }
    for node in &running {
        node.formed().await;
    }
    running
}

pub(super) async fn kill_all(nodes: Vec<Running>) -> Vec<Plan> {
    futures::future::join_all(nodes.into_iter().map(Running::kill)).await
}

/// The position of the leader.
pub(super) async fn leader(nodes: &[Running]) -> usize {
    until("a leader", || async { nodes.iter().position(Running::leads) }).await
}

/// Waits until all nodes have applied the same, and says what their states are called.
pub(super) async fn agree(nodes: &[Running]) {
    for node in nodes {
        node.consensus.barrier().await.expect("a quorum");
    }
    until("equal states", || async {
        let digests: Vec<_> = nodes.iter().map(|n| n.consensus.state().digest()).collect();
        digests.iter().all(|digest| *digest == digests[0]).then_some(())
    })
    .await;
}
