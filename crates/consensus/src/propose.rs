//! Commands and reads on their way to the leader and back.
//!
//! A command keeps its id over every retry, so it takes effect once. Its outcome is learned from
//! this node's own state machine, whoever was the leader and whatever became of its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_rpc::{CallError, Service};
use dunlin_state::{Actor, Command, CommandId, Entry, Rejected, Reply};
use dunlin_types::NodeId;
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::format::{self, NeedsFormat};
use crate::machine::Outcome;
use crate::node::{Node, Running};
use crate::raft::Stamped;
use crate::service;
use crate::wire::{self, LeaderReply, LeaderRequest};

/// Proposals a node may have under way; more wait for their turn within [`PATIENCE`].
pub(crate) const IN_FLIGHT: usize = 1024;
/// How long a proposal or a barrier looks for a leader with a quorum.
const PATIENCE: Duration = Duration::from_secs(3);
/// One try; the leader may be dying.
const TRY: Duration = Duration::from_secs(1);
/// Between two tries: about half a heartbeat.
const PAUSE: Duration = Duration::from_millis(25);
/// The largest command. The log replicates a command as a whole, in one message.
const MAX_COMMAND_BYTES: usize = 8 * 1024 * 1024;

/// No leader with a quorum could be found in time. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no quorum: no leader answered within {} ms", waited.as_millis())]
pub struct NoQuorum {
    /// How long was tried.
    pub waited: Duration,
}

/// Why a proposal has no reply.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The state refused the command; every node refuses it alike.
    #[error(transparent)]
    Rejected(Rejected),
    /// Nothing was sent to a leader that could have committed it.
    #[error(transparent)]
    NoQuorum(NoQuorum),
    /// It was sent, and may still take effect.
    #[error("no answer within {} ms: the change may still take effect", waited.as_millis())]
    Unknown {
        /// How long was waited.
        waited: Duration,
    },
    /// This node is not in a cluster yet.
    #[error("this node has not formed or joined a cluster yet")]
    NotFormed,
    /// The command is larger than a log entry may be.
    #[error("a command of {bytes} bytes is too large, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The log cannot hold it yet.
    #[error(transparent)]
    NeedsFormat(NeedsFormat),
    /// This node is stopping, and has sent nothing.
    #[error("this node is stopping: nothing was changed")]
    Stopping,
}

/// Commits a command; returns once this node's published state holds it.
pub(crate) async fn propose(
    node: &Node,
    actor: Option<Actor>,
    command: Command,
) -> Result<Reply, ProposeError> {
    let running = node.running().ok_or(ProposeError::NotFormed)?;
    let needs = command.format();
    // A state that lies behind has no newer format than the log.
    if needs > node.published.state().format() {
        let status = format::status(node, needs);
        return Err(ProposeError::NeedsFormat(NeedsFormat { needs, status }));
    }
    let sequence = node.sequence.fetch_add(1, Ordering::Relaxed);
    let id = CommandId { node: node.me, epoch: node.epoch, seq: sequence };
    let entry = Arc::new(Entry { id, actor: actor.map(Box::new), command });
    let ask = wire::encode(&LeaderRequest::Write(Entry::clone(&entry)));
    if ask.len() > MAX_COMMAND_BYTES {
        return Err(ProposeError::TooLarge { bytes: ask.len(), limit: MAX_COMMAND_BYTES });
    }
    let started = node.clock.mono();
    let deadline = started.plus(PATIENCE);
    let no_quorum =
        || ProposeError::NoQuorum(NoQuorum { waited: node.clock.mono().since(started) });
    let unknown = || ProposeError::Unknown { waited: node.clock.mono().since(started) };
    let turn = timeout(PATIENCE, node.in_flight.acquire()).await.map_err(|_| no_quorum())?;
    let _turn = turn.map_err(|_| ProposeError::Stopping)?;

    let mut outcome = node.published.outcome_of(sequence);
    let mut sent = false;
    loop {
        let left = deadline.since(node.clock.mono());
        if left.is_zero() {
            return Err(if sent { unknown() } else { no_quorum() });
        }
        if node.stop.is_cancelled() {
            return Err(if sent { unknown() } else { ProposeError::Stopping });
        }
        let attempt = async {
            let told = attempt(node, running, &entry, &ask, left.min(TRY)).await;
            if let LeaderReply::Applied(index) = told {
                wait_applied(node, index, deadline.since(node.clock.mono())).await;
            } else {
                sleep(PAUSE).await;
            }
            told
        };
        tokio::select! {
            biased;
            outcome = &mut outcome => {
                let waited = node.clock.mono().since(started);
                return reply(outcome.map_err(|_| unknown())?, waited);
            }
            // An attempt is under way.
            () = node.stop.cancelled() => return Err(unknown()),
            told = attempt => sent |= matches!(told, LeaderReply::Applied(_) | LeaderReply::Unknown),
        }
    }
}

fn reply(outcome: Outcome, waited: Duration) -> Result<Reply, ProposeError> {
    match outcome {
        Ok(reply) => Ok(reply),
        // So many later commands overtook it that nobody knows whether it was applied before.
        Err(Rejected::Forgotten) => Err(ProposeError::Unknown { waited }),
        Err(rejected) => Err(ProposeError::Rejected(rejected)),
    }
}

/// One try, here or at the leader.
async fn attempt(
    node: &Node,
    running: &Running,
    entry: &Arc<Entry>,
    ask: &bytes::Bytes,
    patience: Duration,
) -> LeaderReply {
    match running.leader() {
        Some(leader) if leader == node.me => running.write(node, Arc::clone(entry), patience).await,
        Some(leader) => forward(node, leader, ask.clone(), patience).await,
        None => LeaderReply::NotLeader,
    }
}

async fn forward(
    node: &Node,
    leader: NodeId,
    ask: bytes::Bytes,
    patience: Duration,
) -> LeaderReply {
    match node.rpc.call(leader, Service::Propose, ask, patience).await {
        Ok(told) => wire::decode(&told).unwrap_or(LeaderReply::Unknown),
        Err(CallError::TimedOut { .. } | CallError::Lost { .. }) => LeaderReply::Unknown,
        Err(
            CallError::Unreachable { .. }
            | CallError::UnknownPeer { .. }
            | CallError::Refused { .. }
            | CallError::WrongCluster { .. }
            | CallError::WrongSecret { .. }
            | CallError::WrongTarget { .. }
            | CallError::Itself
            | CallError::Busy
            | CallError::TooLarge { .. }
            | CallError::Stopping,
        ) => LeaderReply::NotLeader,
    }
}

/// Waits until this node has applied `index`, at most `patience`.
async fn wait_applied(node: &Node, index: u64, patience: Duration) {
    let mut applied = node.published.applied();
    // Running out of time is for the caller to notice.
    drop(timeout(patience, reach(&mut applied, index)).await);
}

async fn reach(applied: &mut watch::Receiver<u64>, index: u64) -> bool {
    applied.wait_for(|applied| *applied >= index).await.is_ok()
}

/// Returns once this node's state holds everything that was acknowledged before the call.
pub(crate) async fn barrier(node: &Node) -> Result<(), NoQuorum> {
    let started = node.clock.mono();
    let index = ask_leader(node, &LeaderRequest::ReadIndex, LeaderReply::read_at).await?;
    let mut applied = node.published.applied();
    let left = started.plus(PATIENCE).since(node.clock.mono());
    if timeout(left, reach(&mut applied, index)).await == Ok(true) {
        return Ok(());
    }
    Err(NoQuorum { waited: node.clock.mono().since(started) })
}

/// Asks the leader, across changes of leader, until one with a quorum answers as `read` has it.
pub(crate) async fn ask_leader<T>(
    node: &Node,
    question: &LeaderRequest,
    read: impl Fn(LeaderReply) -> Option<T>,
) -> Result<T, NoQuorum> {
    let started = node.clock.mono();
    let deadline = started.plus(PATIENCE);
    let bytes = wire::encode(question);
    loop {
        let left = deadline.since(node.clock.mono());
        if left.is_zero() || node.stop.is_cancelled() {
            return Err(NoQuorum { waited: node.clock.mono().since(started) });
        }
        let told = match node.running() {
            None => LeaderReply::NotLeader,
            Some(running) => match running.leader() {
                Some(leader) if leader == node.me => {
                    service::lead(node, running, question, left.min(TRY)).await
                }
                Some(leader) => forward(node, leader, bytes.clone(), left.min(TRY)).await,
                None => LeaderReply::NotLeader,
            },
        };
        match read(told) {
            Some(answer) => return Ok(answer),
            None => sleep(PAUSE).await,
        }
    }
}

impl Running {
    /// Commits an entry as the leader, stamped with the time. Does nothing on another node.
    pub(crate) async fn write(
        &self,
        node: &Node,
        entry: Arc<Entry>,
        patience: Duration,
    ) -> LeaderReply {
        match timeout(patience, self.raft.client_write(Stamped { at: node.time(), entry })).await {
            Err(_) => LeaderReply::Unknown,
            Ok(Ok(committed)) => LeaderReply::Applied(committed.log_id.index),
            Ok(Err(RaftError::APIError(
                ClientWriteError::ForwardToLeader(_)
                | ClientWriteError::ChangeMembershipError(_)
                | ClientWriteError::PreconditionFailed(_),
            ))) => LeaderReply::NotLeader,
            Ok(Err(
                RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) | RaftError::Fatal(_),
            )) => LeaderReply::Unknown,
        }
    }

    /// Up to where a reader must have applied, as the leader confirmed by a quorum.
    pub(crate) async fn read_index(&self, patience: Duration) -> LeaderReply {
        let reading = self.raft.get_read_linearizer(ReadPolicy::ReadIndex);
        match timeout(patience, reading).await {
            Ok(Ok(linearizer)) => LeaderReply::ReadAt(linearizer.read_log_id().index()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_))))
            | Ok(Err(RaftError::Fatal(_))) => LeaderReply::NotLeader,
            Err(_) | Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => {
                LeaderReply::NoQuorum
            }
        }
    }
}
