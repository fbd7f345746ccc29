//! The time that all nodes go by: the leader stamps it into entries, and everywhere keys' expiries and
//! budgets' periods are judged by it. One clock that is off harms nobody: the leader goes by the
//! median of all nodes' clocks, as its followers tell it, and the others go by the leader.
//!
//! What is told is some time on its way. A clock that may be right for all that a message shows is
//! taken to be right: clocks that NTP keeps agree more closely than messages could make them.
//!
//! Between two words of a leader it goes on with the node's monotonic clock, and so it does under a
//! new leader until that one knows the clocks of two others. A node that never heard a leader has its
//! own clock only; of two nodes nobody can say which clock is off, so the first leader's counts.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use dunlin_types::{Clock, MonoMillis, NodeId, UnixMillis};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::node::Node;

/// A clock that is further off is reported, and its node does not lead.
pub(crate) const OFF_MS: u64 = 500;
/// What took longer to be told says too little of a clock.
const PROMPT: Duration = Duration::from_millis(250);
/// A clock that was told of longer ago does not count: its node may be gone, or its clock mended.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// How often a node compares its clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks in a row that must show a clock off before it is said: one may fall into a stall.
const LOOKS: u32 = 3;

/// This node's clocks at one moment.
#[derive(Clone, Copy)]
pub(crate) struct LocalTime {
    unix: UnixMillis,
    mono: MonoMillis,
}

impl LocalTime {
    pub(crate) fn now(clock: &Clock) -> Self {
        Self { unix: clock.unix(), mono: clock.mono() }
    }
}

/// What this node knows of the cluster's time.
pub(crate) struct ClusterTime {
    /// That time less this node's monotonic clock, in ms; [`UNKNOWN`] before it heard of it.
    ahead: AtomicI64,
    /// As the leader: how far the clocks of the others are ahead of this node's, in ms, and when
    /// they told.
    clocks: Mutex<BTreeMap<NodeId, (i64, MonoMillis)>>,
}

const UNKNOWN: i64 = i64::MIN;

impl Default for ClusterTime {
    fn default() -> Self {
        Self { ahead: AtomicI64::new(UNKNOWN), clocks: Mutex::default() }
    }
}

impl ClusterTime {
    /// The cluster's time now. Of the two clocks it reads the one that it goes by.
    fn now(&self, clock: &Clock) -> UnixMillis {
        self.by(|| clock.unix(), || clock.mono())
    }

    /// The cluster's time at that moment.
    pub(crate) fn at(&self, here: LocalTime) -> UnixMillis {
        self.by(|| here.unix, || here.mono)
    }

    fn by(
        &self,
        unix: impl FnOnce() -> UnixMillis,
        mono: impl FnOnce() -> MonoMillis,
    ) -> UnixMillis {
        match self.ahead.load(Ordering::Relaxed) {
            UNKNOWN => unix(),
            ahead => UnixMillis(mono().0.saturating_add_signed(ahead)),
        }
    }

    /// How far this node's clock is ahead of the cluster's time, in ms; below zero: behind.
    pub(crate) fn skew(&self, here: LocalTime) -> i64 {
        signed(here.unix.0).saturating_sub(signed(self.at(here).0))
    }

    /// The leader has told its time, after it had seen what this node told it at `asked`: by now it
    /// is no earlier, and later by no more than has passed since.
    pub(crate) fn hear(&self, time: UnixMillis, asked: MonoMillis, here: LocalTime) {
        let passed = here.mono.since(asked);
        if self.is_known() && passed > PROMPT {
            return;
        }
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let may_be = time.0..=time.0.saturating_add(passed);
        let now = if may_be.contains(&here.unix.0) { here.unix } else { time };
        self.ahead.store(signed(now.0).saturating_sub(signed(here.mono.0)), Ordering::Relaxed);
    }

    /// A follower has told its own clock, in the answer to what was sent at `sent`.
    pub(crate) fn told(&self, by: NodeId, clock: UnixMillis, sent: MonoMillis, here: LocalTime) {
        let took = here.mono.since(sent);
        if took > PROMPT {
            return;
        }
        let halfway = i64::try_from(took.as_millis() / 2).unwrap_or(0);
        let ahead = signed(clock.0).saturating_add(halfway).saturating_sub(signed(here.unix.0));
        // Both clocks count whole milliseconds.
        let ahead = if ahead.abs() <= halfway + 1 { 0 } else { ahead };
        self.clocks.lock().expect("no holder panics").insert(by, (ahead, here.mono));
        self.steer(here);
    }

    /// Whether it goes by more than this node's own clock.
    pub(crate) fn is_known(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) != UNKNOWN
    }

    /// As the leader: goes by the median of all clocks, this one's included, if two others are known.
    /// Gives the others whose clocks are close to it, if this one's is not.
    pub(crate) fn steer(&self, here: LocalTime) -> Option<Vec<NodeId>> {
        let mut clocks = self.clocks.lock().expect("no holder panics");
        clocks.retain(|_, (_, told)| here.mono.since(*told) < TOLD_WITHIN);
        if clocks.len() < 2 {
            return None;
        }
        let mut all: Vec<i64> = clocks.values().map(|(ahead, _)| *ahead).chain([0]).collect();
        all.sort_unstable();
        // Of an even number, the one of the middle two that is closer to this node's own clock.
        let middle = [all[(all.len() - 1) / 2], all[all.len() / 2]];
        let median = middle.into_iter().min_by_key(|ahead| ahead.unsigned_abs()).unwrap_or(0);
        let time = signed(here.unix.0).saturating_add(median);
        self.ahead.store(time.saturating_sub(signed(here.mono.0)), Ordering::Relaxed);
        let close = |ahead: i64| ahead.abs_diff(median) <= OFF_MS;
        let others = clocks.iter().filter(|(_, (ahead, _))| close(*ahead));
        (!close(0)).then(|| others.map(|(node, _)| *node).collect())
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

impl Node {
    /// The cluster's time, never before what was stamped into the last entry.
    pub(crate) fn time(&self) -> UnixMillis {
        self.time.now(&self.clock).max(self.published.state().at())
    }
}

/// Says when this node's clock is off, and when it is well again.
pub(crate) async fn watch(node: &Node) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut said) = (0, false);
    loop {
        ticks.tick().await;
        let skew = node.time.skew(LocalTime::now(&node.clock));
        looks = if (skew.unsigned_abs() > OFF_MS) == said { 0 } else { looks + 1 };
        if looks < LOOKS {
            continue;
        }
        (looks, said) = (0, !said);
        if said {
            let side = if skew > 0 { "ahead of" } else { "behind" };
            warn!(
                node.id = %node.me, skew_ms = skew,
                "this node's clock is {} ms {side} cluster time, which is used instead: correct \
                 the clock (is NTP running?)", skew.unsigned_abs()
            );
        } else {
            info!(node.id = %node.me, skew_ms = skew, "this node's clock is correct again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const NOON: u64 = 1_700_000_000_000;

    /// A node's clocks `at` ms after it began at noon, with a clock that is `ahead`.
    fn here(at: u64, ahead: i64) -> LocalTime {
        LocalTime {
            unix: UnixMillis((NOON + at).saturating_add_signed(ahead)),
            mono: MonoMillis(at),
        }
    }

    fn time(of: &ClusterTime, here: LocalTime) -> i64 {
        signed(of.at(here).0) - signed(NOON)
    }

    #[test]
    fn a_follower_goes_by_its_leader_and_by_its_own_clock_before_it_hears_one() {
        let (follower, ahead) = (ClusterTime::default(), signed(HOUR));
        assert_eq!(time(&follower, here(100, ahead)), 100 + ahead);
        follower.hear(UnixMillis(NOON + 200), MonoMillis(190), here(200, ahead));
        assert_eq!(time(&follower, here(1_000, ahead)), 1_000);
        assert_eq!(follower.skew(here(1_000, ahead)), ahead);
        // Its clock is set: that changes nothing.
        assert_eq!(time(&follower, here(1_000, -5)), 1_000);
        assert_eq!(follower.skew(here(1_000, -5)), -5);
        // What was long on its way is not the time.
        follower.hear(UnixMillis(NOON + 2_000), MonoMillis(2_000), here(9_000, ahead));
        assert_eq!(time(&follower, here(9_000, ahead)), 9_000);
    }

    #[test]
    fn a_clock_that_may_be_right_is_gone_by() {
        // The leader's word is between 0 and 10 ms old.
        for (ahead, expected) in [(0, 0), (8, 8), (10, 10), (11, 0), (-1, 0)] {
            let follower = ClusterTime::default();
            follower.hear(UnixMillis(NOON + 200), MonoMillis(190), here(200, ahead));
            assert_eq!(time(&follower, here(300, ahead)), 300 + expected, "{ahead} ms ahead");
        }
        // An answer that came back within 20 ms does not tell which of two clocks is 11 ms ahead.
        assert_eq!(led(0, &[11, 11]), (0, None));
        assert_eq!(led(0, &[12, 12]), (12, None));
    }

    /// A leader whose clock is `own` ahead hears of others', each `ahead`: by how much its time is
    /// then ahead, and to which node it should hand over.
    fn led(own: i64, others: &[i64]) -> (i64, Option<Vec<u64>>) {
        let leader = ClusterTime::default();
        for (node, ahead) in (2..).zip(others) {
            leader.told(NodeId(node), here(40, *ahead).unix, MonoMillis(30), here(50, own));
        }
        let heirs = leader.steer(here(50, own));
        let heirs = heirs.map(|heirs| heirs.iter().map(|node| node.0).collect());
        (time(&leader, here(50, own)) - 50, heirs)
    }

    #[test]
    fn a_leader_goes_by_the_median_and_gives_way_if_its_clock_is_off() {
        let hour = signed(HOUR);
        assert_eq!(led(0, &[0, 0]), (0, None));
        assert_eq!(led(hour, &[0, 3]), (3, Some(vec![2, 3])));
        assert_eq!(led(-hour, &[hour, 0, 0, 2]), (0, Some(vec![3, 4, 5])));
        assert_eq!(led(0, &[hour, 0]), (0, None), "another's clock is off");
        assert_eq!(led(400, &[0, 0]), (0, None), "not far enough");
        assert_eq!(led(0, &[hour, hour, 0]), (0, None), "two against two");
        assert_eq!(led(0, &[hour]), (0, None), "one against one");
        assert_eq!(led(hour, &[]), (hour, None));
    }

    #[test]
    fn a_new_leader_goes_on_with_the_old_ones_time_until_it_knows_the_clocks() {
        let (heir, ahead) = (ClusterTime::default(), signed(HOUR));
        heir.hear(UnixMillis(NOON + 200), MonoMillis(190), here(200, ahead));
        assert_eq!(heir.steer(here(300, ahead)), None);
        assert_eq!(time(&heir, here(300, ahead)), 300);
        heir.told(NodeId(2), here(300, 0).unix, MonoMillis(300), here(300, ahead));
        heir.told(NodeId(3), here(300, 0).unix, MonoMillis(20), here(300, ahead));
        assert_eq!(heir.steer(here(300, ahead)), None, "one of the answers took too long");
        heir.told(NodeId(3), here(310, 0).unix, MonoMillis(310), here(310, ahead));
        assert_eq!(heir.steer(here(310, ahead)), Some(vec![NodeId(2), NodeId(3)]));
        assert_eq!(time(&heir, here(400, ahead)), 400);
        assert_eq!(heir.steer(here(20_000, ahead)), None, "both were told long ago");
    }
}
