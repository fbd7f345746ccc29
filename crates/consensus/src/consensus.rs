//! The handle that the rest of the node holds.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use dunlin_gossip::Gossip;
use dunlin_rpc::{Incoming, Rpc};
use dunlin_state::{Actor, Command, Format, Reply, State};
use dunlin_types::{Clock, ClusterId, MonoMillis, NodeId};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::addresses::Addresses;
use crate::bootstrap::{Plan, Seen};
use crate::certificate::Ballot;
use crate::cluster_time::{self, ClusterTime, LocalTime};
use crate::error::Error;
use crate::format::{self, FormatStatus};
use crate::freshness::Freshness;
use crate::identity::Identity;
use crate::machine::Published;
use crate::node::{Node, Running, discard_abandoned};
use crate::propose::{self, NoQuorum, ProposeError};
use crate::removal::{self, Allowed, RemoveError};
use crate::staleness::{self, Knowledge};
use crate::{addresses, autopilot, compaction, formation, hand_over, service};

/// What consensus needs to start.
pub struct Config {
    /// Where peers reach this node: host and port. A name is better than an address.
    pub advertise: String,
    /// Where to look for peers: host and port each. None: this node is a cluster of its own.
    pub seeds: Vec<String>,
    /// Voters of a new cluster, exactly; at least 1. Only matters until it has formed.
    pub bootstrap_expect: usize,
    /// The newest format of the log that this node goes by. What it gossips says the same.
    pub format: Format,
    /// Where background tasks run.
    pub tasks: TaskTracker,
    /// Ends them; cancelled by this crate if it can no longer keep its promises.
    pub stop: CancellationToken,
}

/// The calls of other nodes that this crate answers.
pub struct Calls {
    /// For `Service::Raft`.
    pub raft: mpsc::Receiver<Incoming>,
    /// For `Service::Propose`.
    pub propose: mpsc::Receiver<Incoming>,
    /// For `Service::Join`.
    pub join: mpsc::Receiver<Incoming>,
}

/// What a node is to its cluster at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It has not entered a cluster.
    Joining,
    /// It has all the state and no vote.
    Learner,
    /// It votes and follows.
    Follower,
    /// It stands for election.
    Candidate,
    /// It leads.
    Leader,
}

/// The cluster as this node knows it. May be stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The cluster entered, if any.
    pub cluster: Option<ClusterId>,
    /// Who leads, if known.
    pub leader: Option<NodeId>,
    /// The Raft term.
    pub term: u64,
    /// The index of the last entry in the published state.
    pub applied: u64,
    /// What this node is.
    pub role: Role,
    /// Who votes.
    pub voters: Vec<NodeId>,
    /// Who has the state without a vote.
    pub learners: Vec<NodeId>,
    /// When the leader last had a quorum, as this node heard from it or, as the leader, knows.
    pub leader_heard: Option<MonoMillis>,
    /// How far this node's clock is ahead of the cluster's time, in ms; below zero: behind.
    pub clock_skew_ms: i64,
    /// Bytes of log on this node's disk.
    pub log_bytes: u64,
    /// Bytes of the last snapshot; 0 for none.
    pub snapshot_bytes: u64,
}

/// The replicated state of the cluster and the only way to change it. Cheap to clone.
#[derive(Clone)]
pub struct Consensus {
    pub(crate) node: Arc<Node>,
}

impl Consensus {
    /// Starts on the current runtime, and returns at once: forming or joining goes on in the
    /// background. A node that has entered a cluster before reads its log first.
    ///
    /// # Errors
    /// The log is damaged, another node's, or has lost what was durable; see [`Error`].
    pub async fn start(
        config: Config,
        mut identity: Identity,
        clock: Clock,
        rpc: Rpc,
        gossip: Gossip,
        calls: Calls,
    ) -> Result<Self, Error> {
        discard_abandoned(&mut identity)?;
        let (me, epoch) = (identity.node, identity.epoch);
        let plan = Plan {
            me,
            address: config.advertise,
            expect: config.bootstrap_expect.max(1),
            seeds: config.seeds.len(),
        };
        let entered = identity.cluster.map(|cluster| (cluster, own_ballot(&identity)));
        let heard = identity.certificate().heard;
        let knowledge = Knowledge::new(clock.mono(), clock.unix(), heard);
        let node = Arc::new(Node {
            me,
            epoch,
            format: config.format,
            plan,
            seeds: config.seeds,
            clock,
            addresses: Arc::new(Addresses::new(rpc.clone(), me)),
            rpc,
            gossip,
            tasks: config.tasks,
            stop: config.stop,
            published: Arc::new(Published::new()),
            formed: watch::Sender::new(false),
            removed: watch::Sender::new(None),
            allowed: Allowed::default(),
            sequence: AtomicU64::new(1),
            in_flight: Semaphore::new(propose::IN_FLIGHT),
            identity: Mutex::new(identity),
            seen: Mutex::new(Seen::default()),
            refusals: formation::Refusals::default(),
            unheard: formation::Unheard::default(),
            tries: Mutex::default(),
            unread: Mutex::default(),
            freshness: Freshness::new(epoch),
            knowledge,
            time: ClusterTime::default(),
            running: OnceLock::new(),
        });
        if let Some((cluster, _)) = &entered {
            node.run(*cluster).await?;
        }
        node.spawn(service::serve(Arc::clone(&node), calls.raft, service::raft));
        node.spawn(service::serve(Arc::clone(&node), calls.propose, service::propose));
        node.spawn(service::serve(Arc::clone(&node), calls.join, service::join));
        node.spawn(addresses::keep(Arc::clone(&node)));
        node.spawn(live(Arc::clone(&node), entered));
        Ok(Self { node })
    }

    /// The published state: immutable, complete up to its `applied` index.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.node.published.state()
    }

    /// The index of the last entry in the published state, as it grows; 0 before any.
    #[must_use]
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.node.published.applied()
    }

    /// Waits until this node is a member of a formed cluster and its state says so.
    pub async fn formed(&self) {
        let mut formed = self.node.formed.subscribe();
        // The sender lives as long as this handle.
        drop(formed.wait_for(|formed| *formed).await);
    }

    /// Commits a command, wherever the leader is, and returns once [`Consensus::state`] holds it.
    /// Tries for up to 3 s, over changes of leader; the command takes effect at most once.
    ///
    /// # Errors
    /// [`ProposeError`] says for each cause whether the command may still take effect.
    pub async fn propose(&self, command: Command) -> Result<Reply, ProposeError> {
        propose::propose(&self.node, None, command).await
    }

    /// The same for someone: what the command changes is in the audit log under that name.
    ///
    /// # Errors
    /// As [`Consensus::propose`].
    pub async fn propose_as(&self, actor: Actor, command: Command) -> Result<Reply, ProposeError> {
        propose::propose(&self.node, Some(actor), command).await
    }

    /// Removes a node from the cluster for good: from then on every call of it is refused. A node
    /// that is alive is removed only with `force`. The node's operator is told `by`. True: it is
    /// out of the voters and learners too; otherwise the leader continues until it is.
    ///
    /// # Errors
    /// [`RemoveError`].
    pub async fn remove(
        &self,
        actor: Actor,
        by: String,
        node: NodeId,
        force: bool,
    ) -> Result<bool, RemoveError> {
        removal::remove(&self.node, (actor, by), node, force).await
    }

    /// Waits until this node was removed from its cluster, and says why and what to do.
    pub async fn removed(&self) -> String {
        let mut removed = self.node.removed.subscribe();
        let why = removed.wait_for(Option::is_some).await.map(|why| why.clone());
        // The sender lives as long as this handle.
        why.ok().flatten().unwrap_or_default()
    }

    /// Returns once [`Consensus::state`] holds all that was acknowledged anywhere before the call.
    ///
    /// # Errors
    /// No leader with a quorum was found within 3 s.
    pub async fn barrier(&self) -> Result<(), NoQuorum> {
        propose::barrier(&self.node).await
    }

    /// For how long something may have been decided that this node does not know of: the time since
    /// it last heard a leader with a quorum, or knew that there can be none elsewhere.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        self.node.staleness()
    }

    /// This node's clock, whose calendar is the cluster's: all nodes go by one time, whatever their
    /// own clocks say.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let (calendar, waits) = (Arc::clone(&self.node), self.node.clock.clone());
        Clock::new(move || calendar.time(), move || waits.mono())
    }

    /// Whether this node has just gone on after it stood still: within 3 s it should hear a leader, or
    /// find nodes that do.
    #[must_use]
    pub fn finds_back(&self) -> bool {
        self.node.finds_back()
    }

    /// Other nodes that say that they hear a leader now. Asks them, at most once a second, and waits
    /// half a second for their answers.
    pub async fn fresh_nodes(&self) -> Vec<NodeId> {
        self.node.fresh_nodes().await
    }

    /// Whether another node is heard, and takes clients as far as it says.
    #[must_use]
    pub fn takes_clients(&self, node: NodeId) -> bool {
        let view = self.node.gossip.view();
        let peer = view.peers.get(&node).filter(|peer| peer.alive);
        peer.and_then(|peer| peer.node.as_ref()).is_some_and(|fact| fact.ready && !fact.draining)
    }

    /// Which format the log has, and for whom the newest that this node knows waits.
    #[must_use]
    pub fn format(&self) -> FormatStatus {
        format::status(&self.node, self.node.format)
    }

    /// The cluster as this node knows it.
    #[must_use]
    pub fn status(&self) -> Status {
        let node = &self.node;
        let applied = *node.published.applied().borrow();
        let Some(running) = node.running() else {
            return Status {
                cluster: None,
                leader: None,
                term: 0,
                applied,
                role: Role::Joining,
                voters: Vec::new(),
                learners: Vec::new(),
                leader_heard: None,
                clock_skew_ms: 0,
                log_bytes: 0,
                snapshot_bytes: 0,
            };
        };
        let metrics = running.metrics();
        let membership = metrics.membership_config.membership();
        Status {
            cluster: Some(running.cluster),
            leader: metrics.current_leader.map(NodeId),
            term: metrics.current_term,
            applied,
            role: role(metrics.state),
            voters: membership.voter_ids().map(NodeId).collect(),
            learners: membership.learner_ids().map(NodeId).collect(),
            leader_heard: self.leader_heard(),
            clock_skew_ms: self.clock_skew_ms(),
            log_bytes: running.log.bytes(),
            snapshot_bytes: running.snapshots.bytes(),
        }
    }

    /// [`Status::cluster`] alone, for callers that poll.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.node.running().map(|running| running.cluster)
    }

    /// [`Status::clock_skew_ms`] alone, for callers that poll.
    #[must_use]
    pub fn clock_skew_ms(&self) -> i64 {
        let node = &self.node;
        node.running().map_or(0, |_| node.time.skew(LocalTime::now(&node.clock)))
    }

    /// [`Status::leader_heard`] alone, for callers that poll.
    #[must_use]
    pub fn leader_heard(&self) -> Option<MonoMillis> {
        let running = self.node.running()?;
        // Who has just been elected has heard the leader before it.
        let led = running.quorum_age().map(|age| self.node.ago(age));
        led.max(self.node.freshness.heard())
    }

    /// Before a planned stop: hands leadership to another voter, waiting at most 2 s.
    pub async fn leave(&self) {
        if let Some(running) = self.node.running() {
            // A cluster without another live voter elects for itself later.
            let handing = hand_over::hand_over(&self.node, running);
            drop(tokio::time::timeout(hand_over::HAND_OVER, handing).await);
        }
    }
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Learner => Role::Learner,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Leader => Role::Leader,
        ServerState::Shutdown => Role::Joining,
    }
}

/// The ballot this node is to initialise, if it entered its own and may have died before doing so.
fn own_ballot(identity: &Identity) -> Option<Ballot> {
    let standing = identity.standing();
    let promise = standing.promise.clone()?;
    (Some(promise.cluster) == standing.cluster && promise.initialiser() == identity.node)
        .then_some(promise)
}

/// The story of a node: enter a cluster, become its member, serve it, end in good order.
async fn live(node: Arc<Node>, entered: Option<(ClusterId, Option<Ballot>)>) {
    let lived = async {
        let (cluster, ballot) = match entered {
            Some(entered) => entered,
            None => formation::enter(&node).await?,
        };
        let running = match node.running() {
            Some(running) => running,
            None => node.run(cluster).await?,
        };
        if let Some(ballot) = ballot {
            node.initialise(running, &ballot).await?;
        }
        serve(&node, running).await
    };
    tokio::select! {
        lived = lived => if let Err(cause) = lived {
            error!(node.id = %node.me, "{cause}");
            node.stop.cancel();
        },
        () = node.stop.cancelled() => {}
    }
    if let Some(running) = node.running() {
        shut_down(&node, running).await;
    }
}

async fn serve(node: &Node, running: &Running) -> Result<(), Error> {
    let member = async {
        formation::become_member(node, running).await?;
        addresses::announce(node).await;
        std::future::pending::<Result<(), Error>>().await
    };
    tokio::select! {
        ended = member => ended,
        ended = removal::notice(node, running) => ended,
        ended = compaction::run(node, running) => ended,
        () = autopilot::run(node, running) => Ok(()),
        () = watch_core(node, running) => Ok(()),
        () = staleness::keep(node, running) => Ok(()),
        () = cluster_time::watch(node) => Ok(()),
    }
}

/// Ends the node when the Raft core has ended by itself.
async fn watch_core(node: &Node, running: &Running) {
    let mut metrics = running.raft.server_metrics();
    loop {
        if metrics.changed().await.is_err() {
            break;
        }
        if running.raft.metrics().borrow_watched().running_state.is_err() {
            break;
        }
    }
    if !node.stop.is_cancelled() {
        let state = running.metrics().running_state;
        error!(node.id = %node.me, ?state, "the raft core has stopped: this node exits");
        node.stop.cancel();
    }
}

/// Stops Raft, and writes down what its log holds.
async fn shut_down(node: &Node, running: &Running) {
    if let Err(cause) = running.raft.shutdown().await {
        warn!(error = %cause, "raft did not stop cleanly");
    }
    if let Err(cause) = compaction::write_floor(node, running) {
        warn!(error = %cause, "cannot update this node's certificate");
    }
}
