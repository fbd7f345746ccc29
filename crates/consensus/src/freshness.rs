//! How fresh a leader's word is. Whoever hears a message late, because it stood still or the network
//! did, must not take it for news: so a follower puts a moment of its own clock into every answer,
//! the leader sends back the last one it has seen, and the follower counts from there. What it is
//! told was true after that moment, however long the message has been on its way. It counts once the
//! follower has applied what the leader had: who was away hears the leader before it knows what was
//! decided meanwhile.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_types::{Epoch, MonoMillis, NodeId, UnixMillis};

/// A moment in one life of a node, by its own clock. To others it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) epoch: Epoch,
    pub(crate) at: MonoMillis,
}

/// What a leader says of itself with every message of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    /// The hearer's last moment that the leader has seen, read before `quorum_age`.
    pub(crate) echo: Moment,
    /// How long ago a quorum last answered the leader, when it sent this.
    pub(crate) quorum_age: Duration,
    /// The last entry the leader had applied: all that was acknowledged before is in it.
    pub(crate) applied: u64,
    /// The cluster's time then, by the leader.
    pub(crate) time: UnixMillis,
}

/// What this node knows as a follower, and what it has to echo as a leader.
pub(crate) struct Freshness {
    epoch: Epoch,
    /// When the leader last had a quorum, as `MonoMillis` plus one; 0 for never.
    heard: AtomicU64,
    /// The next such moment, and the entry to be applied before it counts.
    awaited: Mutex<Option<(u64, MonoMillis)>>,
    /// One per member: who answers appends was sent some.
    moments: Mutex<BTreeMap<NodeId, Moment>>,
}

impl Freshness {
    pub(crate) fn new(epoch: Epoch) -> Self {
        let (heard, awaited, moments) = Default::default();
        Self { epoch, heard, awaited, moments }
    }

    /// The moment to put into an answer that is given `now`.
    pub(crate) fn moment(&self, now: MonoMillis) -> Moment {
        Moment { epoch: self.epoch, at: now }
    }

    /// A follower has answered. Answers may overtake each other.
    pub(crate) fn answered(&self, from: NodeId, moment: Moment) {
        let mut moments = self.moments.lock().expect("no holder panics");
        let last = moments.entry(from).or_insert(moment);
        *last = moment.max(*last);
    }

    /// The follower's last moment that this node has seen.
    pub(crate) fn echo(&self, to: NodeId) -> Option<Moment> {
        self.moments.lock().expect("no holder panics").get(&to).copied()
    }

    /// Other nodes are no members any more.
    pub(crate) fn forget_all_but(&self, is_member: impl Fn(NodeId) -> bool) {
        self.moments.lock().expect("no holder panics").retain(|node, _| is_member(*node));
    }

    /// The leader has spoken to this node, which has applied entries up to `applied`. A moment of an
    /// earlier life, by another clock, says nothing. Gives the moment after which all of it was true.
    pub(crate) fn hear(&self, word: Word, applied: u64) -> Option<MonoMillis> {
        if word.echo.epoch != self.epoch {
            return None;
        }
        let age = u64::try_from(word.quorum_age.as_millis()).unwrap_or(u64::MAX);
        let told = (word.applied, MonoMillis(word.echo.at.0.saturating_sub(age)));
        let mut awaited = self.awaited.lock().expect("no holder panics");
        // The older one is not given up for the newer: entries may come faster than words.
        let (entry, at) = awaited.take().unwrap_or(told);
        if entry > applied {
            *awaited = Some((entry, at));
        } else if told.0 > applied {
            self.count(at);
            *awaited = Some(told);
        } else {
            self.count(told.1);
        }
        Some(word.echo.at)
    }

    fn count(&self, at: MonoMillis) {
        self.heard.fetch_max(at.0 + 1, Ordering::Relaxed);
    }

    /// When a leader heard by this node last had a quorum, at the earliest; `None` for never. Until
    /// then, none other led.
    pub(crate) fn heard(&self) -> Option<MonoMillis> {
        self.heard.load(Ordering::Relaxed).checked_sub(1).map(MonoMillis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: NodeId = NodeId(1);
    const FOLLOWER: NodeId = NodeId(2);
    const LIFE: Epoch = Epoch(3);

    fn word(leader: &Freshness, quorum_age_ms: u64) -> Word {
        let echo = leader.echo(FOLLOWER).expect("it has answered");
        let quorum_age = Duration::from_millis(quorum_age_ms);
        Word { echo, quorum_age, applied: 7, time: UnixMillis(0) }
    }

    #[test]
    fn a_word_counts_from_what_the_leader_had_seen_whenever_it_comes() {
        let (leader, follower) = (Freshness::new(Epoch(9)), Freshness::new(LIFE));
        assert_eq!((leader.echo(FOLLOWER), follower.heard()), (None, None));
        leader.answered(FOLLOWER, follower.moment(MonoMillis(1_000)));
        let old = word(&leader, 30);
        leader.answered(FOLLOWER, follower.moment(MonoMillis(1_050)));
        // An answer that was overtaken does not set it back.
        leader.answered(FOLLOWER, follower.moment(MonoMillis(1_020)));
        follower.hear(word(&leader, 20), 7);
        assert_eq!(follower.heard(), Some(MonoMillis(1_030)));
        follower.hear(old, 7);
        assert_eq!(follower.heard(), Some(MonoMillis(1_030)));
        assert_eq!(leader.echo(LEADER), None);
    }

    #[test]
    fn a_word_counts_once_all_is_applied_that_the_leader_had_applied() {
        let (leader, follower) = (Freshness::new(Epoch(9)), Freshness::new(LIFE));
        let hear = |at, leaders, own| {
            leader.answered(FOLLOWER, follower.moment(MonoMillis(at)));
            follower.hear(Word { applied: leaders, ..word(&leader, 0) }, own);
            follower.heard().map(|at| at.0)
        };
        assert_eq!(hear(100, 50, 50), Some(100));
        // It was away: the leader is heard before what it had decided has come.
        assert_eq!(hear(90_000, 900, 50), Some(100));
        assert_eq!(hear(90_050, 901, 600), Some(100));
        // There is always one more, and yet it knows more and more.
        assert_eq!(hear(90_100, 902, 900), Some(90_000));
        assert_eq!(hear(90_150, 903, 902), Some(90_100));
        assert_eq!(hear(90_200, 903, 903), Some(90_200));
    }

    #[test]
    fn a_word_for_an_earlier_life_says_nothing() {
        let (leader, earlier) = (Freshness::new(Epoch(9)), Freshness::new(LIFE));
        leader.answered(FOLLOWER, earlier.moment(MonoMillis(900_000)));
        let follower = Freshness::new(Epoch(LIFE.0 + 1));
        follower.hear(word(&leader, 0), 7);
        assert_eq!(follower.heard(), None);
        leader.answered(FOLLOWER, follower.moment(MonoMillis(7)));
        follower.hear(word(&leader, 0), 7);
        assert_eq!(follower.heard(), Some(MonoMillis(7)));
    }
}
