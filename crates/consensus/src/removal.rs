//! Removing a member for good. One entry of the log decides it; the leader at that time takes the
//! node out of Raft's membership, one step at a time (`autopilot.rs`). Here: whether the removal is
//! allowed, as the leader sees it, and what a node does that learns of its own removal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use dunlin_state::{Actor, Command, RemovedNode};
use dunlin_types::{ClusterId, MonoMillis, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::autopilot::{self, QUORUM_LOST};
use crate::error::Error;
use crate::formation;
use crate::hand_over::hand_over;
use crate::node::{Node, Running};
use crate::propose::{self, NoQuorum, ProposeError};
use crate::wire::{LeaderReply, LeaderRequest};

/// How long a removal that was allowed counts as made: the one who asked proposes it in this time.
const ALLOWED_FOR: Duration = Duration::from_secs(5);
/// How long the one who removes a node waits until the node is out of Raft's membership.
const OUT_WITHIN: Duration = Duration::from_secs(5);
/// A node that hears no leader asks so often whether it was removed.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How often it looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why a node is not removed. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RemovalRefused {
    /// It is heard, and nobody said that it be removed all the same.
    #[error(
        "node {node} is alive: stop it first, so that it finishes its requests and settles its \
         spend, then remove it. To remove it while it runs: `--force` on the command line, \
         `\"force\": true` over the API"
    )]
    Alive {
        /// The node.
        node: NodeId,
    },
    /// Nothing would be left.
    #[error("node {node} is the only voter: without it there is no cluster")]
    LastVoter {
        /// The node.
        node: NodeId,
    },
    /// What is left could decide nothing.
    #[error(
        "without node {node} the cluster has {voters} voters, of which {heard} are heard: that is \
         no majority. Start the silent ones, or a new node, and wait until it is a voter"
    )]
    LosesQuorum {
        /// The node.
        node: NodeId,
        /// The voters that would be left.
        voters: usize,
        /// As many of them are heard.
        heard: usize,
    },
}

/// Why a removal has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The leader does not allow it.
    #[error(transparent)]
    Refused(RemovalRefused),
    /// No leader could be asked. Nothing was done.
    #[error(transparent)]
    NoQuorum(NoQuorum),
    /// It was allowed, and then not committed.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Removals that were allowed by this node as the leader and may not be committed yet. As many as
/// are asked for within [`ALLOWED_FOR`].
#[derive(Default)]
pub(crate) struct Allowed(Mutex<BTreeMap<NodeId, MonoMillis>>);

impl Allowed {
    fn add(&self, node: NodeId, now: MonoMillis) {
        self.0.lock().expect("no holder panics").insert(node, now.plus(ALLOWED_FOR));
    }

    fn at(&self, now: MonoMillis) -> BTreeSet<NodeId> {
        let mut allowed = self.0.lock().expect("no holder panics");
        allowed.retain(|_, until| *until > now);
        allowed.keys().copied().collect()
    }
}

/// Removes a node for someone. True: it is out of Raft's membership too, as far as this node sees
/// within a while; the leader goes on until it is.
pub(crate) async fn remove(
    node: &Node,
    (actor, by): (Actor, String),
    target: NodeId,
    force: bool,
) -> Result<bool, RemoveError> {
    let removed = node.published.state().removed_node(target).is_some();
    if !removed {
        let ask = LeaderRequest::MayRemove { node: target, force };
        let judged = propose::ask_leader(node, &ask, LeaderReply::removal).await;
        judged.map_err(RemoveError::NoQuorum)?.map_err(RemoveError::Refused)?;
    }
    propose::propose(node, Some(actor), Command::RemoveNode { node: target, by }).await?;
    if target == node.me {
        // Nobody tells it that it is out.
        return Ok(false);
    }
    let out = timeout(OUT_WITHIN, async {
        while node.running().is_some_and(|running| is_in(running, target)) {
            sleep(Duration::from_millis(50)).await;
        }
    });
    Ok(out.await.is_ok())
}

fn is_in(running: &Running, node: NodeId) -> bool {
    running.metrics().membership_config.membership().get_node(&node.0).is_some()
}

/// The leader's word on a removal. One that is allowed counts as made from here on, so that two at a
/// time cannot take the quorum that each leaves. A leader that is to go hands over first.
pub(crate) async fn judge(
    node: &Node,
    running: &Running,
    target: NodeId,
    force: bool,
) -> LeaderReply {
    match running.quorum_age() {
        None => return LeaderReply::NotLeader,
        Some(age) if age >= QUORUM_LOST => return LeaderReply::NoQuorum,
        Some(_) => {}
    }
    let metrics = running.metrics();
    let voters: BTreeSet<NodeId> =
        metrics.membership_config.membership().voter_ids().map(NodeId).collect();
    let now = node.clock.mono();
    let mut gone = node.allowed.at(now);
    gone.extend(node.published.state().removed().map(|(id, _)| id));
    let heard = |id: NodeId| id == node.me || autopilot::is_heard(node, &metrics, id);
    let judged = check(target, &voters, &gone, heard, force);
    if judged.is_ok() {
        if target == node.me {
            hand_over(node, running).await;
            return LeaderReply::NotLeader;
        }
        node.allowed.add(target, now);
    }
    LeaderReply::Removal(judged)
}

/// Whether `target` may go from among `voters`, of whom `gone` are as good as gone.
fn check(
    target: NodeId,
    voters: &BTreeSet<NodeId>,
    gone: &BTreeSet<NodeId>,
    heard: impl Fn(NodeId) -> bool,
    force: bool,
) -> Result<(), RemovalRefused> {
    if voters.contains(&target) {
        let left: Vec<_> =
            voters.iter().filter(|id| **id != target && !gone.contains(id)).collect();
        let live = left.iter().filter(|id| heard(***id)).count();
        if left.is_empty() {
            return Err(RemovalRefused::LastVoter { node: target });
        }
        if live * 2 <= left.len() {
            let (node, voters) = (target, left.len());
            return Err(RemovalRefused::LosesQuorum { node, voters, heard: live });
        }
    }
    if heard(target) && !force { Err(RemovalRefused::Alive { node: target }) } else { Ok(()) }
}

/// Why a removed node is refused, in words for the person who runs it.
pub(crate) fn reason(removed: &RemovedNode) -> String {
    let RemovedNode { at, by, .. } = removed;
    format!(
        "it was removed from this cluster at {} by {by}; move its data directory away to join as a \
         new node",
        utc(*at)
    )
}

/// `2026-11-21 03:57:21 UTC`.
pub(crate) fn utc(at: UnixMillis) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

impl Node {
    /// Why `node` may not take part any more; none if it may.
    pub(crate) fn refusal_of(&self, node: NodeId) -> Option<String> {
        self.published.state().removed_node(node).map(reason)
    }

    /// Writes down that this node was removed, so that it does not start again.
    pub(crate) fn write_removal(&self, why: &str) -> Result<(), Error> {
        self.identity().amend(|certificate| certificate.removed = Some(why.to_owned()))
    }
}

impl Node {
    /// Ends this node's part: its cluster lost its majority, and `other` goes on in its place.
    pub(crate) fn leave_for(&self, other: ClusterId) {
        if self.removed.borrow().is_some() {
            return;
        }
        let why = format!(
            "it lost its majority, and cluster {other} continues in its place from a survivor \
             (dunlin recover); move this node's data directory away to join that one as a new node"
        );
        match self.write_removal(&why) {
            Ok(()) => drop(self.removed.send_replace(Some(why))),
            Err(cause) => self.fail("what became of the cluster cannot be written down", &cause),
        }
    }
}

/// Whether a member hears no leader. The node it considers the leader proves nothing: it may have
/// read that in its log.
fn is_left_alone(node: &Node, running: &Running) -> bool {
    let silent = |heard: MonoMillis| node.clock.mono().since(heard) >= ASK_EVERY;
    running.quorum_age().is_none()
        && node.freshness.heard().is_none_or(silent)
        && node.identity().certificate().member
}

/// Tells the rest of the node once it was removed. A node that was away learns it from the nodes it
/// asks.
pub(crate) async fn notice(node: &Node, running: &Running) -> Result<(), Error> {
    let mut applied = node.published.applied();
    let mut asked = node.clock.mono();
    let why = loop {
        if let Some(why) = node.refusal_of(node.me) {
            // Its vote may be needed to let it go.
            let out = async {
                while is_in(running, node.me) {
                    sleep(Duration::from_millis(50)).await;
                }
            };
            drop(timeout(OUT_WITHIN, out).await);
            break why;
        }
        let now = node.clock.mono();
        if is_left_alone(node, running) && now.since(asked) >= ASK_EVERY {
            match formation::ask_to_be_added(node, running, None).await {
                Err(Error::Removed { why, .. }) => break why,
                other => drop(other?),
            }
            asked = node.clock.mono();
        }
        tokio::select! {
            _ = applied.changed() => {}
            () = sleep(LOOK_EVERY) => {}
        }
    };
    node.write_removal(&why)?;
    node.removed.send_replace(Some(why));
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().map(|id| NodeId(*id)).collect()
    }

    #[test]
    fn what_is_left_must_be_able_to_decide() {
        let node = NodeId(3);
        let loses = |voters, heard| Err(RemovalRefused::LosesQuorum { node, voters, heard });
        for (voters, gone, heard, force, expected) in [
            // A dead one of three, of five, of two.
            (&[1, 2, 3][..], &[][..], &[1, 2][..], false, Ok(())),
            (&[1, 2, 3, 4, 5], &[], &[1, 2, 4], false, Ok(())),
            (&[1, 3], &[], &[1], false, Ok(())),
            // One that is alive.
            (&[1, 2, 3], &[], &[1, 2, 3], false, Err(RemovalRefused::Alive { node })),
            (&[1, 2, 3], &[], &[1, 2, 3], true, Ok(())),
            (&[1, 2, 4], &[], &[1, 2, 3, 4], false, Err(RemovalRefused::Alive { node })),
            // The last one, and one of the last that are heard.
            (&[3], &[], &[3], true, Err(RemovalRefused::LastVoter { node })),
            (&[1, 2, 3], &[], &[1, 3], true, loses(2, 1)),
            (&[1, 2, 3, 4, 5], &[], &[1, 2, 3], true, loses(4, 2)),
            // Another one goes at the same time.
            (&[1, 2, 3], &[2], &[1, 2, 3], true, Ok(())),
            (&[1, 2, 3], &[1, 2], &[1, 2, 3], true, Err(RemovalRefused::LastVoter { node })),
            // A learner is no loss.
            (&[1, 2], &[], &[1], false, Ok(())),
        ] {
            let heard = ids(heard);
            let found = check(node, &ids(voters), &ids(gone), |id| heard.contains(&id), force);
            assert_eq!(found, expected, "{voters:?} without {gone:?}, {heard:?} heard, {force}");
        }
    }

    #[test]
    fn a_removal_that_was_allowed_counts_for_a_while() {
        let allowed = Allowed::default();
        allowed.add(NodeId(3), MonoMillis(1_000));
        assert_eq!(allowed.at(MonoMillis(5_999)), ids(&[3]));
        assert_eq!(allowed.at(MonoMillis(6_000)), ids(&[]));
    }
}
