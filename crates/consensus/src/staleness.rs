//! For how long something may have been decided that this node does not know of.
//!
//! Its clock runs only while a quorum could exist elsewhere. A node that hears a leader with a quorum
//! knows all; so does one that reaches so many voters that no quorum can be without one of them, if
//! none of those has more of the log than itself or has applied more of it: what was decided without
//! them cannot be. (What only a dead leader knew to be committed, nobody can tell.)

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use dunlin_rpc::Service;
use dunlin_types::{MonoMillis, NodeId, UnixMillis};
use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval};

use crate::node::{Node, Running};
use crate::wire::{self, LeaderReply, LeaderRequest};

/// How often a node looks how much it knows.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A leader that was not heard for so long is asked for at the other nodes.
const SILENT_AFTER: Duration = Duration::from_secs(1);
/// Another node knows enough to be sent clients if it is this far behind at most.
const FRESH: Duration = Duration::from_secs(2);
/// One question; a node that takes longer does not help a waiting client.
const ASK: Duration = Duration::from_millis(500);
/// The nodes that knew enough are asked again after so long.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// ... and sooner by a node that is finding back, if none did.
const ASKED_AGAIN_SOON: Duration = Duration::from_millis(100);
/// A node that has not looked for so long stood still: a look takes [`ASK`] at most.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// How long a node that stood still may take to hear a leader, or to find a node that does: its
/// connections broke meanwhile. Until then it is worth waiting for.
const FINDS_BACK: Duration = Duration::from_secs(3);

/// What this node knows of its own knowledge.
pub(crate) struct Knowledge {
    /// All that was decided until then is known here, by this node's clock in ms. Below zero: since
    /// before it started.
    until: AtomicI64,
    wake: Mutex<Wake>,
    /// Held by the task that asks the other nodes: one asks, and all that wait use its answer.
    fresh: tokio::sync::Mutex<()>,
    /// The nodes that knew enough when last asked, and when that was.
    fresh_nodes: Mutex<Option<(MonoMillis, Vec<NodeId>)>>,
}

/// Since when this node runs without a gap, as it notices itself.
#[derive(Clone, Copy)]
struct Wake {
    since: MonoMillis,
    looked: MonoMillis,
}

impl Wake {
    /// The node looks.
    fn look(&mut self, now: MonoMillis) {
        if now.since(self.looked) >= STOOD_STILL {
            self.since = now;
        }
        self.looked = now;
    }

    /// Whether it stood still so lately that it may still find back; also before it has noticed.
    fn finds_back(self, now: MonoMillis) -> bool {
        now.since(self.looked) >= STOOD_STILL || now.since(self.since) < FINDS_BACK
    }
}

impl Knowledge {
    /// That of a node which starts `now`. `heard` is what its last life wrote down: a node that was
    /// away knows as little of that time as one that was cut off.
    pub(crate) fn new(now: MonoMillis, unix: UnixMillis, heard: Option<UnixMillis>) -> Self {
        let away = heard.map_or(0, |heard| unix.0.saturating_sub(heard.0));
        Self {
            until: AtomicI64::new(signed(now.0).saturating_sub(signed(away))),
            wake: Mutex::new(Wake { since: now, looked: now }),
            fresh: tokio::sync::Mutex::default(),
            fresh_nodes: Mutex::default(),
        }
    }

    fn all_until(&self, moment: MonoMillis) {
        self.until.fetch_max(signed(moment.0), Ordering::Relaxed);
    }

    fn fresh_nodes(&self, now: MonoMillis) -> Option<Vec<NodeId>> {
        let known = self.fresh_nodes.lock().expect("no holder panics");
        let (asked, nodes) = known.as_ref()?;
        let hurried = nodes.is_empty() && self.finds_back(now);
        let lasts = if hurried { ASKED_AGAIN_SOON } else { ASKED_AGAIN_AFTER };
        (now.since(*asked) < lasts).then(|| nodes.clone())
    }

    fn finds_back(&self, now: MonoMillis) -> bool {
        self.wake.lock().expect("no holder panics").finds_back(now)
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

impl Node {
    /// For how long something may have been decided elsewhere that this node does not know.
    pub(crate) fn staleness(&self) -> Duration {
        let heard = self.freshness.heard().map_or(i64::MIN, |at| signed(at.0));
        let until = self.knowledge.until.load(Ordering::Relaxed).max(heard);
        let behind = signed(self.clock.mono().0).saturating_sub(until);
        Duration::from_millis(u64::try_from(behind).unwrap_or(0))
    }

    /// When all was known here for the last time, by the calendar.
    pub(crate) fn known_until(&self) -> UnixMillis {
        let behind = u64::try_from(self.staleness().as_millis()).unwrap_or(u64::MAX);
        UnixMillis(self.clock.unix().0.saturating_sub(behind))
    }

    /// Whether this node has just gone on after it stood still, and may soon know more.
    pub(crate) fn finds_back(&self) -> bool {
        self.knowledge.finds_back(self.clock.mono())
    }

    /// Other nodes that hear a leader now, as they say.
    pub(crate) async fn fresh_nodes(&self) -> Vec<NodeId> {
        let Some(running) = self.running() else { return Vec::new() };
        let now = || self.clock.mono();
        if let Some(nodes) = self.knowledge.fresh_nodes(now()) {
            return nodes;
        }
        let _turn = self.knowledge.fresh.lock().await;
        if self.knowledge.fresh_nodes(now()).is_none() {
            look(self, running).await;
        }
        self.knowledge.fresh_nodes(now()).unwrap_or_default()
    }
}

/// Keeps the clock of a member, as its leader or without one.
pub(crate) async fn keep(node: &Node, running: &Running) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = node.clock.mono();
        node.knowledge.wake.lock().expect("no holder panics").look(now);
        if let Some(age) = running.quorum_age() {
            node.knowledge.all_until(node.ago(age));
        }
        if node.staleness() < SILENT_AFTER {
            continue;
        }
        if could_be_elsewhere(&quorums(running), &BTreeSet::from([node.me])) {
            node.fresh_nodes().await;
        } else {
            node.knowledge.all_until(now);
        }
    }
}

/// The sets of voters; two while they change.
fn quorums(running: &Running) -> Vec<BTreeSet<NodeId>> {
    let metrics = running.metrics();
    let sets = metrics.membership_config.membership().get_joint_config();
    sets.iter().map(|voters| voters.iter().copied().map(NodeId).collect()).collect()
}

/// Whether a quorum could exist among those who are not `reached`.
fn could_be_elsewhere(quorums: &[BTreeSet<NodeId>], reached: &BTreeSet<NodeId>) -> bool {
    let elsewhere = |voters: &BTreeSet<NodeId>| voters.difference(reached).count();
    quorums.iter().all(|voters| elsewhere(voters) > voters.len() / 2)
}

/// Asks all members what they know.
async fn look(node: &Node, running: &Running) {
    let asked = node.clock.mono();
    let metrics = running.metrics();
    let members = metrics.membership_config.membership();
    let peers: Vec<_> =
        members.nodes().map(|(id, _)| NodeId(*id)).filter(|id| *id != node.me).collect();
    let question = wire::encode(&LeaderRequest::Knowledge);
    let answers = peers.into_iter().map(|peer| {
        let question = question.clone();
        async move {
            let told = node.rpc.call(peer, Service::Propose, question, ASK).await.ok()?;
            Some((peer, wire::decode::<LeaderReply>(&told).ok()?))
        }
    });
    let answers = join_all(answers).await.into_iter().flatten();
    let (own, own_applied) = (running.last_log(), *node.published.applied().borrow());
    let (mut reached, mut fresh) = (BTreeSet::from([node.me]), Vec::new());
    for (peer, answer) in answers {
        let LeaderReply::Knowledge { stale_ms, last, applied } = answer else { continue };
        if last <= own && applied <= own_applied {
            reached.insert(peer);
        }
        if Duration::from_millis(stale_ms) <= FRESH {
            fresh.push(peer);
        }
    }
    if !could_be_elsewhere(&quorums(running), &reached) {
        node.knowledge.all_until(asked);
    }
    *node.knowledge.fresh_nodes.lock().expect("no holder panics") =
        Some((node.clock.mono(), fresh));
}

/// The answer to [`LeaderRequest::Knowledge`].
pub(crate) fn told(node: &Node, running: &Running) -> LeaderReply {
    let stale_ms = u64::try_from(node.staleness().as_millis()).unwrap_or(u64::MAX);
    let applied = *node.published.applied().borrow();
    LeaderReply::Knowledge { stale_ms, last: running.last_log(), applied }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: impl IntoIterator<Item = u64>) -> BTreeSet<NodeId> {
        ids.into_iter().map(NodeId).collect()
    }

    #[test]
    fn no_quorum_is_elsewhere_once_half_of_the_voters_are_reached() {
        let check = |voters: u64, reached: u64, expected: bool| {
            let quorums = [ids(1..=voters)];
            let could_be = could_be_elsewhere(&quorums, &ids(1..=reached));
            assert_eq!(could_be, expected, "{reached} of {voters}");
        };
        check(1, 1, false);
        check(1, 0, true);
        check(2, 1, false);
        check(3, 1, true);
        check(3, 2, false);
        check(4, 1, true);
        check(4, 2, false);
        check(5, 2, true);
        check(5, 3, false);
    }

    #[test]
    fn while_voters_change_a_quorum_needs_both_sets() {
        let quorums = [ids([1, 2, 3]), ids([1, 2, 3, 4, 5])];
        assert!(could_be_elsewhere(&quorums, &ids([1])));
        assert!(!could_be_elsewhere(&quorums, &ids([1, 2])));
        assert!(!could_be_elsewhere(&quorums, &ids([1, 4, 5])));
        assert!(could_be_elsewhere(&quorums, &ids([4, 5])));
    }

    #[test]
    fn a_node_that_stood_still_is_worth_waiting_for_while_it_may_find_back() {
        let mut wake = Wake { since: MonoMillis(0), looked: MonoMillis(0) };
        for at in (0..60_000).step_by(250).map(MonoMillis) {
            wake.look(at);
            assert_eq!(wake.finds_back(at), at.0 < 3_000, "{at:?}");
        }
        // It has not looked yet.
        assert!(wake.finds_back(MonoMillis(150_000)));
        wake.look(MonoMillis(150_010));
        assert!(wake.finds_back(MonoMillis(150_020)));
        for at in (150_250..153_010).step_by(250).map(MonoMillis) {
            wake.look(at);
            assert!(wake.finds_back(at), "{at:?}");
        }
        assert!(!wake.finds_back(MonoMillis(153_010)));
    }

    #[test]
    fn a_node_that_finds_back_asks_again_soon_until_somebody_knows_enough() {
        let is_known = |since: u64, nodes: &[u64], now: u64| {
            let (since, asked) = (MonoMillis(since), MonoMillis(10_000));
            let knowledge = Knowledge::new(since, UnixMillis(0), None);
            *knowledge.wake.lock().expect("nobody panics") = Wake { since, looked: asked };
            let nodes = nodes.iter().copied().map(NodeId).collect();
            *knowledge.fresh_nodes.lock().expect("nobody panics") = Some((asked, nodes));
            knowledge.fresh_nodes(MonoMillis(now)).is_some()
        };
        for (since, nodes, lasts) in [
            (10_000, &[][..], 100),
            (10_000, &[2][..], 1_000),
            // It has run for long, and nobody knew enough.
            (0, &[][..], 1_000),
        ] {
            assert!(is_known(since, nodes, 10_000 + lasts - 1), "{since} {nodes:?}");
            assert!(!is_known(since, nodes, 10_000 + lasts), "{since} {nodes:?}");
        }
    }

    #[test]
    fn the_time_a_node_was_away_counts() {
        let until = |heard| {
            let known = Knowledge::new(MonoMillis(5), UnixMillis(100_000), heard);
            known.until.load(Ordering::Relaxed)
        };
        assert_eq!(until(None), 5);
        assert_eq!(until(Some(UnixMillis(40_000))), 5 - 60_000);
        assert_eq!(until(Some(UnixMillis(200_000))), 5, "a clock that went back");
    }
}
