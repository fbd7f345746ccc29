//! How fresh a leader's word is. Whoever hears a message late, because it stood still or the network
//! did, must not take it for news: so a follower puts a moment of its own clock into every answer,
//! the leader sends back the last one it has seen, and the follower counts from there. What it is
//! told was true after that moment, however long the message has been on its way.

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
    /// The cluster's time then, by the leader.
    pub(crate) time: UnixMillis,
}

/// What this node knows as a follower, and what it has to echo as a leader.
pub(crate) struct Freshness {
    epoch: Epoch,
    /// When the leader last had a quorum, as `MonoMillis` plus one; 0 for never.
    heard: AtomicU64,
    /// One per member: who answers appends was sent some.
    moments: Mutex<BTreeMap<NodeId, Moment>>,
}

impl Freshness {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, heard: AtomicU64::new(0), moments: Mutex::default() }
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

    /// The leader has spoken. A moment of an earlier life, by another clock, says nothing. Gives the
    /// moment after which all of it was true.
    pub(crate) fn hear(&self, word: Word) -> Option<MonoMillis> {
        let is_of_this_life = word.echo.epoch == self.epoch;
        if is_of_this_life {
            let age = u64::try_from(word.quorum_age.as_millis()).unwrap_or(u64::MAX);
            let at = word.echo.at.0.saturating_sub(age);
            self.heard.fetch_max(at + 1, Ordering::Relaxed);
        }
        is_of_this_life.then_some(word.echo.at)
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
        Word { echo, quorum_age: Duration::from_millis(quorum_age_ms), time: UnixMillis(0) }
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
        follower.hear(word(&leader, 20));
        assert_eq!(follower.heard(), Some(MonoMillis(1_030)));
        follower.hear(old);
        assert_eq!(follower.heard(), Some(MonoMillis(1_030)));
        assert_eq!(leader.echo(LEADER), None);
    }

    #[test]
    fn a_word_for_an_earlier_life_says_nothing() {
        let (leader, earlier) = (Freshness::new(Epoch(9)), Freshness::new(LIFE));
        leader.answered(FOLLOWER, earlier.moment(MonoMillis(900_000)));
        let follower = Freshness::new(Epoch(LIFE.0 + 1));
        follower.hear(word(&leader, 0));
        assert_eq!(follower.heard(), None);
        leader.answered(FOLLOWER, follower.moment(MonoMillis(7)));
        follower.hear(word(&leader, 0));
        assert_eq!(follower.heard(), Some(MonoMillis(7)));
    }
}
