//! Answers what other nodes ask. `rpc` has checked who they are and which cluster they are of.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_rpc::{Incoming, Refused};
use dunlin_state::Format;
use dunlin_types::{ClusterId, NodeId};
use openraft::BasicNode;
use openraft::raft::AppendEntriesResponse;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::bootstrap;
use crate::cluster_time::LocalTime;
use crate::format;
use crate::node::{Node, Running};
use crate::removal;
use crate::staleness;
use crate::wire::{
    self, Answerer, JoinReply, JoinRequest, LeaderReply, LeaderRequest, RaftMessage,
};

/// Calls answered at a time, per service. More wait in `rpc`'s queue, and beyond it are refused.
const AT_ONCE: usize = 256;
/// How often it is said that messages are not understood.
const TELL_UNREAD_EVERY: Duration = Duration::from_secs(30);
/// How long the leader works for a caller before it says that it does not know.
const LEADER_PATIENCE: Duration = Duration::from_secs(3);

/// Answers calls with `answer` until the node stops.
pub(crate) async fn serve<F>(
    node: Arc<Node>,
    mut calls: mpsc::Receiver<Incoming>,
    answer: impl Fn(Arc<Node>, NodeId, Bytes) -> F,
) where
    F: Future<Output = Result<Bytes, Refused>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let call = tokio::select! {
            call = calls.recv() => call,
            () = node.stop.cancelled() => None,
        };
        let Some(call) = call else { return };
        let slot = Arc::clone(&slots).acquire_owned().await.expect("never closed");
        let answer = answer(Arc::clone(&node), call.from, call.body.clone());
        node.tasks.spawn(async move {
            let answer = answer.await;
            call.answer(answer);
            drop(slot);
        });
    }
}

fn refused(reason: impl ToString) -> Refused {
    Refused { reason: reason.to_string() }
}

fn running(node: &Node) -> Result<&Running, Refused> {
    node.running().ok_or_else(|| refused("this node has not started its log yet"))
}

/// A message of the Raft core.
pub(crate) async fn raft(node: Arc<Node>, from: NodeId, body: Bytes) -> Result<Bytes, Refused> {
    let running = running(&node)?;
    if node.removed.borrow().is_some() {
        return Err(refused("this node has left its cluster"));
    }
    let message = RaftMessage::decode(&body);
    match message.map_err(|reason| unread(&node, from, reason))? {
        RaftMessage::Append(append, word) => {
            if append.vote.leader_id.node_id != from.0 {
                return Err(refused("entries come from their leader only"));
            }
            let answer = running.raft.append_entries(append).await.map_err(refused)?;
            match answer {
                AppendEntriesResponse::HigherVote(_) => {}
                AppendEntriesResponse::Success
                | AppendEntriesResponse::PartialSuccess(_)
                | AppendEntriesResponse::Conflict => {
                    if let Some(word) = word
                        && let applied = *node.published.applied().borrow()
                        && let Some(asked) = node.freshness.hear(word, applied)
                    {
                        node.time.hear(word.time, asked, LocalTime::now(&node.clock));
                    }
                }
            }
            let moment = node.freshness.moment(node.clock.mono());
            Ok(wire::appended(Answerer { moment, clock: node.clock.unix() }, &answer))
        }
        RaftMessage::Vote(_) | RaftMessage::PreVote(_) if node.refusal_of(from).is_some() => {
            Err(refused(node.refusal_of(from).unwrap_or_default()))
        }
        RaftMessage::Vote(vote) => {
            running.raft.vote(vote).await.map_err(refused).map(|answer| wire::encode(&answer))
        }
        RaftMessage::PreVote(vote) => {
            running.raft.pre_vote(vote).await.map_err(refused).map(|answer| wire::encode(&answer))
        }
        RaftMessage::TransferLeader(to) => {
            let answer = running.raft.handle_transfer_leader(to).await.map_err(refused)?;
            Ok(wire::encode(&answer))
        }
        RaftMessage::Chunk(head, data) => {
            let (incoming, now) = (&running.incoming, node.clock.mono());
            incoming.take(&running.raft, (from, now), head, &data).await.map_err(refused)
        }
    }
}

/// A message of a node of another version, which this one does not understand. It is taken as if it
/// had not come: this node stays behind, and acknowledges nothing.
fn unread(node: &Node, from: NodeId, reason: String) -> Refused {
    let now = node.clock.mono();
    if node.unread.lock().expect("no holder panics").is_due(now, TELL_UNREAD_EVERY) {
        error!(
            node.id = %from,
            "node {from} sends what this version does not know ({reason}): this node stays behind \
             until it runs the version of the others"
        );
    }
    Refused { reason }
}

/// A command or a question for the leader.
pub(crate) async fn propose(node: Arc<Node>, _from: NodeId, body: Bytes) -> Result<Bytes, Refused> {
    let running = running(&node)?;
    let ask = wire::decode(&body).map_err(refused)?;
    Ok(wire::encode(&lead(&node, running, &ask, LEADER_PATIENCE).await))
}

/// What this node says to a command or a question, as the leader if it is one.
pub(crate) async fn lead(
    node: &Node,
    running: &Running,
    ask: &LeaderRequest,
    patience: Duration,
) -> LeaderReply {
    match ask {
        LeaderRequest::Write(entry) => running.write(node, Arc::new(entry.clone()), patience).await,
        LeaderRequest::ReadIndex => running.read_index(patience).await,
        LeaderRequest::Knowledge => staleness::told(node, running),
        LeaderRequest::MayRemove { node: target, force } => {
            let judged = removal::judge(node, running, *target, *force);
            timeout(patience, judged).await.unwrap_or(LeaderReply::NotLeader)
        }
    }
}

/// Forming and joining.
pub(crate) async fn join(node: Arc<Node>, from: NodeId, body: Bytes) -> Result<Bytes, Refused> {
    let told = match wire::decode(&body).map_err(refused)? {
        JoinRequest::Introduce => JoinReply::Introduction(node.introduction()),
        JoinRequest::Promise(ballot) if ballot.initialiser() == from => promise(&node, &ballot),
        JoinRequest::Promise(_) => JoinReply::Withheld("only its initialiser may ask".to_owned()),
        JoinRequest::AddMe { address, cluster, member, format } => {
            let own = node.identity().cluster;
            match stranger(own, cluster) {
                Some(reply) => reply,
                None => add(&node, (from, Format(format)), address, member).await,
            }
        }
    };
    Ok(wire::encode(&told))
}

/// The answer to who asks to be added to another cluster than this node's, if it is another. A node of
/// no cluster may be about to become one of that: nodes that form one learn of it one after the other.
fn stranger(own: Option<ClusterId>, asked: ClusterId) -> Option<JoinReply> {
    match own {
        None => Some(JoinReply::NoLeader),
        Some(own) if own == asked => None,
        Some(_) => Some(JoinReply::Refused(format!("the node there is not of cluster {asked}"))),
    }
}

fn promise(node: &Node, ballot: &crate::certificate::Ballot) -> JoinReply {
    let seen = node.seen();
    let mut identity = node.identity();
    let standing = match bootstrap::grant(&node.plan, identity.standing(), &seen, ballot) {
        Ok(standing) => standing,
        Err(withheld) => return JoinReply::Withheld(withheld.to_string()),
    };
    match identity.amend(|certificate| certificate.standing = standing) {
        Ok(()) => {
            let initialiser = ballot.initialiser();
            info!(cluster.id = %ballot.cluster, "committed to the cluster that node {initialiser} forms");
            JoinReply::Promised
        }
        Err(cause) => {
            node.fail("the promise cannot be made durable", &cause);
            JoinReply::Withheld("its disk failed".to_owned())
        }
    }
}

async fn add(
    node: &Node,
    (from, knows): (NodeId, Format),
    address: String,
    member: bool,
) -> JoinReply {
    let Some(running) = node.running() else { return JoinReply::NoLeader };
    if let Some(why) = node.refusal_of(from) {
        warn!(node.id = %from, "a removed node asked to come back: refused, {why}");
        return JoinReply::Removed(why);
    }
    let metrics = running.metrics();
    match metrics.current_leader {
        Some(leader) if leader == node.me.0 => {}
        Some(leader) => return leader_at(node, NodeId(leader)),
        None => return JoinReply::NoLeader,
    }
    let membership = metrics.membership_config.membership();
    let known = membership.get_node(&from.0);
    if member && known.is_none() {
        // A leader that was deposed may not know of it yet; the answer is for ever.
        if !matches!(running.read_index(LEADER_PATIENCE).await, LeaderReply::ReadAt(_)) {
            return JoinReply::NoLeader;
        }
        warn!(node.id = %from, "a removed node asked to come back: refused");
        return JoinReply::Removed(
            "it was removed from the cluster; move its data directory away to join as a new node"
                .to_owned(),
        );
    }
    if !member && membership.voter_ids().any(|voter| voter == from.0) && node.is_listed(from) {
        warn!(node.id = %from, "refused a node that asked to join under a voter's id");
        return JoinReply::Refused(
            "its id is that of a voter: its data directory was copied or has lost data".to_owned(),
        );
    }
    if known.is_some_and(|known| known.addr == address) {
        return JoinReply::Added;
    }
    if known.is_none() {
        // A leader that does not know yet what was decided before it cannot tell the format.
        if running.quorum_age().is_none() {
            return JoinReply::NoLeader;
        }
        if let Some(why) = format::refusal(node.published.state().format(), knows) {
            if node.refusals.is_due(&address, node.clock.mono()) {
                warn!(node.id = %from, %address, "refused a node that asked to join: {why}");
            }
            return JoinReply::Refused(why);
        }
    }
    info!(node.id = %from, %address, "adding a node to the cluster");
    node.addresses.suggest(from, &address);
    let learner = BasicNode { addr: address };
    match running.raft.add_learner(from.0, learner, false).await {
        Ok(_) => JoinReply::Added,
        Err(cause) => {
            info!(node.id = %from, error = %cause, "the node could not be added yet");
            JoinReply::NoLeader
        }
    }
}

fn leader_at(node: &Node, leader: NodeId) -> JoinReply {
    match node.published.state().nodes().get(&leader) {
        Some(member) => JoinReply::Leader(leader, member.address.clone()),
        None => JoinReply::NoLeader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_of_no_cluster_yet_refuses_nobody_for_good() {
        let asked = ClusterId(7);
        assert!(matches!(stranger(None, asked), Some(JoinReply::NoLeader)));
        assert!(stranger(Some(asked), asked).is_none());
        assert!(matches!(stranger(Some(ClusterId(8)), asked), Some(JoinReply::Refused(_))));
    }
}
