//! What the tasks of this crate share: who this node is, what it has published, and, once it has
//! entered a cluster, its running log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use dunlin_gossip::Gossip;
use dunlin_metrics::vital;
use dunlin_rpc::Rpc;
use dunlin_state::Format;
use dunlin_types::{Clock, ClusterId, Epoch, MonoMillis, NodeId, Seldom};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{BasicNode, Instant};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::addresses::Addresses;
use crate::bootstrap::{Introduction, Plan, Seen};
use crate::certificate::Ballot;
use crate::cluster_time::ClusterTime;
use crate::error::Error;
use crate::formation::{Refusals, Unheard};
use crate::freshness::Freshness;
use crate::identity::{Identity, LOG};
use crate::incoming::IncomingSnapshot;
use crate::log_store::{LogReader, LogStore, Opening, Owner};
use crate::machine::{Machine, Published};
use crate::network::Network;
use crate::raft::{self, LogId, Metrics, Raft};
use crate::removal::Allowed;
use crate::snapshot::Snapshots;
use crate::staleness::Knowledge;

/// The directory of snapshots inside the data directory.
pub(crate) const SNAPSHOTS: &str = "snapshot";

/// One node's share of consensus.
pub(crate) struct Node {
    pub(crate) me: NodeId,
    pub(crate) epoch: Epoch,
    /// The newest format of the log that it knows.
    pub(crate) format: Format,
    pub(crate) plan: Plan,
    pub(crate) seeds: Vec<String>,
    pub(crate) clock: Clock,
    pub(crate) rpc: Rpc,
    pub(crate) gossip: Gossip,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) published: Arc<Published>,
    pub(crate) formed: watch::Sender<bool>,
    /// Why this node is a member no more; none while it is, or may become one.
    pub(crate) removed: watch::Sender<Option<String>>,
    pub(crate) allowed: Allowed,
    /// The next command's number in this epoch.
    pub(crate) sequence: AtomicU64,
    pub(crate) in_flight: Semaphore,
    pub(crate) identity: Mutex<Identity>,
    pub(crate) seen: Mutex<Seen>,
    pub(crate) refusals: Refusals,
    pub(crate) unheard: Unheard,
    /// What the autopilot could not do yet was said.
    pub(crate) tries: Mutex<Seldom>,
    /// That messages are of another version was said.
    pub(crate) unread: Mutex<Seldom>,
    pub(crate) freshness: Freshness,
    pub(crate) knowledge: Knowledge,
    pub(crate) time: ClusterTime,
    pub(crate) running: OnceLock<Running>,
}

/// The Raft core of an entered cluster and what belongs to it.
pub(crate) struct Running {
    pub(crate) cluster: ClusterId,
    pub(crate) raft: Raft,
    pub(crate) log: LogReader,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) incoming: IncomingSnapshot,
}

impl Running {
    /// A copy: a guard of openraft's watch held over an await would stop its core.
    pub(crate) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow_watched().clone()
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.raft.metrics().borrow_watched().current_leader.map(NodeId)
    }

    /// The last entry in this node's log, committed or not.
    pub(crate) fn last_log(&self) -> Option<LogId> {
        self.log.last()
    }

    /// How long ago a quorum answered this node as its leader; `None` if none has, if it does not
    /// lead, or does not know yet what was decided before it led. A leader that was cut off takes
    /// itself for the leader still: only this tells.
    pub(crate) fn quorum_age(&self) -> Option<Duration> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let knows_all =
            metrics.last_applied.is_some_and(|last| last.leader_id.term == metrics.current_term);
        if !metrics.state.is_leader() || !knows_all {
            return None;
        }
        // openraft dates a lone voter's quorum by its learners' answers.
        if metrics.membership_config.membership().voter_ids().eq([metrics.id]) {
            return Some(Duration::ZERO);
        }
        metrics.last_quorum_acked.map(|at| at.elapsed())
    }
}

impl Node {
    /// Whether it is to be said, once in `every`, that the autopilot could not do something yet.
    pub(crate) fn is_due_to_tell(&self, every: Duration) -> bool {
        self.tries.lock().expect("no holder panics").is_due(self.clock.mono(), every)
    }

    /// Begins a task without which the node stops.
    pub(crate) fn spawn<F>(&self, task: F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(vital(task, move || stop.cancel()));
    }

    pub(crate) fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().expect("no holder panics")
    }

    /// What the last round of asking showed.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("no holder panics").clone()
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        self.running.get()
    }

    pub(crate) fn introduction(&self) -> Introduction {
        let standing = self.identity().standing().clone();
        // A node that left its cluster must not lead others into it.
        let formed = standing.cluster.is_some()
            && self.published.state().cluster().is_some()
            && self.removed.borrow().is_none();
        Introduction { address: self.plan.address.clone(), standing, formed }
    }

    pub(crate) fn ago(&self, age: Duration) -> MonoMillis {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        MonoMillis(self.clock.mono().0.saturating_sub(age))
    }

    /// Whether the replicated state lists a node as a member.
    pub(crate) fn is_listed(&self, node: NodeId) -> bool {
        self.published.state().nodes().contains_key(&node)
    }

    /// Ends the node: it cannot keep its promises any more.
    pub(crate) fn fail(&self, what: &str, cause: &dyn std::error::Error) {
        error!(node.id = %self.me, error = %cause, "{what}: this node exits");
        self.stop.cancel();
    }

    /// Opens the log of the cluster this node has entered, and starts Raft on it.
    pub(crate) async fn run(self: &Arc<Self>, cluster: ClusterId) -> Result<&Running, Error> {
        let node = Arc::clone(self);
        let opening = tokio::task::spawn_blocking(move || node.open(cluster));
        let opened = opening.await.map_err(|e| Error::Raft { reason: e.to_string() })??;
        let (store, machine, snapshots) = opened;
        let log = store.reader();
        let network = Network {
            rpc: self.rpc.clone(),
            me: self.me.0,
            node: Arc::downgrade(self),
            addresses: Arc::clone(&self.addresses),
        };
        self.rpc.enter_cluster(cluster);
        let raft = Raft::new(self.me.0, raft::config(), network, store, machine)
            .await
            .map_err(|e| Error::Raft { reason: e.to_string() })?;
        info!(node.id = %self.me, cluster.id = %cluster, "raft is running");
        let running =
            Running { cluster, raft, log, snapshots, incoming: IncomingSnapshot::default() };
        assert!(self.running.set(running).is_ok(), "a node enters one cluster in its life");
        Ok(self.running().expect("just set"))
    }

    fn open(&self, cluster: ClusterId) -> Result<(LogStore, Machine, Arc<Snapshots>), Error> {
        let (dir, certificate) = {
            let identity = self.identity();
            (identity.data_dir().to_owned(), identity.certificate().clone())
        };
        let owner = Owner { node: self.me, cluster };
        let opening = Opening::new(owner, certificate.stored);
        let store = LogStore::open(&dir.join(LOG), opening, &self.tasks, self.stop.clone())?;
        let snapshots =
            Arc::new(Snapshots::open(dir.join(SNAPSHOTS), cluster, self.clock.clone())?);
        let published = Arc::clone(&self.published);
        let machine = Machine::open((self.me, self.epoch), Arc::clone(&snapshots), published)?;
        let log = store.reader();
        log.check(&dir.join(LOG), certificate.floor, machine.next_index())?;
        let floor = log.floor();
        self.identity().amend(|certificate| {
            certificate.stored = true;
            certificate.floor = floor;
        })?;
        Ok((store, machine, snapshots))
    }

    /// Begins the cluster of this node's own ballot, unless that was done in an earlier life.
    pub(crate) async fn initialise(&self, running: &Running, ballot: &Ballot) -> Result<(), Error> {
        let failed = |reason: String| Error::Raft { reason };
        if running.raft.is_initialized().await.map_err(|e| failed(e.to_string()))? {
            return Ok(());
        }
        let voters: BTreeMap<u64, BasicNode> = ballot
            .members
            .iter()
            .map(|(id, address)| (id.0, BasicNode { addr: address.clone() }))
            .collect();
        info!(cluster.id = %ballot.cluster, voters = voters.len(), "forming the cluster");
        running.raft.initialize(voters).await.map_err(|e| failed(e.to_string()))
    }
}

/// Removes the log of a cluster that was given up before it committed anything.
pub(crate) fn discard_abandoned(identity: &mut Identity) -> Result<(), Error> {
    if identity.cluster.is_some() || !identity.certificate().stored {
        return Ok(());
    }
    let dir = identity.data_dir().to_owned();
    for name in [LOG, SNAPSHOTS] {
        remove_dir(&dir.join(name))?;
    }
    identity.amend(|certificate| {
        certificate.stored = false;
        certificate.floor = crate::certificate::Floor::default();
    })
}

fn remove_dir(dir: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", dir)(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}
