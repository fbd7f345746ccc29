//! One node's copy of the replicated log. A model of Raft's promises, not of its ways: followers
//! take what the leader of the newest term sends, entries that were not on a majority may vanish
//! with their leader, those that were stay. Elections are held by the world, which sees all logs.

use std::collections::BTreeMap;

use dunlin_state::Entry;
use dunlin_types::UnixMillis;

/// Entries in one message.
const IN_MESSAGE: usize = 64;

/// An entry of the log. Without a command it begins a leader's term.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) term: u64,
    pub(crate) at: UnixMillis,
    pub(crate) entry: Option<Entry>,
}

/// From a leader: what follows `after`, which is of `after_term`.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) term: u64,
    pub(crate) after: usize,
    pub(crate) after_term: u64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) commit: usize,
    /// When it was sent, by the leader's clock.
    pub(crate) sent: u64,
    /// How long before that a majority last answered the leader.
    pub(crate) quorum_age: u64,
    /// The follower's last moment that the leader has seen: what it says was true after that.
    pub(crate) echo: Option<u64>,
    /// Whether the leader has committed in its term: all that was committed before is in `commit`.
    pub(crate) sure: bool,
}

/// From a follower: how far its log is the leader's; `None`: not even so far.
#[derive(Clone, Debug)]
pub(crate) struct Appended {
    pub(crate) term: u64,
    pub(crate) matched: Option<usize>,
    /// When the leader had sent what this answers, and when it was answered, by each one's clock.
    /// Here a clock goes on over its node's lives; a real one is named with its epoch.
    pub(crate) sent: u64,
    pub(crate) moment: u64,
}

/// A log and its node's part in it.
#[derive(Debug, Default)]
pub(crate) struct Replica {
    term: u64,
    slots: Vec<Slot>,
    commit: usize,
    leader: Option<usize>,
    leading: Option<BTreeMap<usize, Follower>>,
    heard: Option<u64>,
    /// Whether this life has learned what was committed before it.
    pub(crate) caught_up_at: Option<usize>,
}

/// A follower as its leader sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Follower {
    matched: usize,
    next: usize,
    /// When the last message was sent that it has answered.
    heard: u64,
    moment: Option<u64>,
}

impl Replica {
    /// A log that all nodes begin with.
    pub(crate) fn begin(slots: Vec<Slot>) -> Self {
        let commit = slots.len();
        Self { term: 1, slots, commit, ..Self::default() }
    }

    /// The process is gone: what was not on disk is forgotten.
    pub(crate) fn crash(&mut self, applied: usize) {
        self.commit = applied;
        (self.leader, self.leading, self.heard, self.caught_up_at) = (None, None, None, None);
    }

    pub(crate) fn commit(&self) -> usize {
        self.commit
    }

    /// The entry at `index`, counted from 1.
    pub(crate) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index - 1]
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.leader
    }

    pub(crate) fn leads(&self) -> bool {
        self.leading.is_some()
    }

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// What an election compares.
    pub(crate) fn reach(&self) -> (u64, usize) {
        (self.slots.last().map_or(0, |slot| slot.term), self.slots.len())
    }

    /// The vote of a term went to somebody: older leaders are not followed any more.
    pub(crate) fn follow(&mut self, term: u64, leader: Option<usize>) {
        if term > self.term {
            self.term = term;
            self.leading = None;
            self.leader = leader;
        } else if leader.is_some() {
            self.leader = leader;
        }
    }

    /// This node won `term`.
    pub(crate) fn lead(&mut self, me: usize, term: u64, peers: &[usize], now: (u64, UnixMillis)) {
        self.follow(term, Some(me));
        let next = self.slots.len() + 1;
        let follower = Follower { matched: 0, next, heard: now.0, moment: None };
        self.leading = Some(peers.iter().map(|peer| (*peer, follower)).collect());
        self.propose(None, now.1);
        self.caught_up_at = self.caught_up_at.or(Some(self.slots.len()));
    }

    /// Puts a command into the log of the leader, under its time, which never goes back.
    pub(crate) fn propose(&mut self, entry: Option<Entry>, unix: UnixMillis) {
        let last = self.slots.last().map_or(UnixMillis(0), |slot| slot.at);
        self.slots.push(Slot { term: self.term, at: unix.max(last), entry });
    }

    /// What to send to each follower.
    pub(crate) fn appends(&self, now: u64) -> Vec<(usize, Append)> {
        let Some(followers) = &self.leading else { return Vec::new() };
        let (term, commit) = (self.term, self.commit);
        let quorum_age = now - self.leader_heard(now).expect("who votes has answered");
        let sure = self.commit.checked_sub(1).is_some_and(|c| self.slots[c].term == self.term);
        let to = |(peer, follower): (&usize, &Follower)| {
            let after = follower.next - 1;
            let slots = self.slots[after..].iter().take(IN_MESSAGE).cloned().collect();
            let after_term = after.checked_sub(1).map_or(0, |last| self.slots[last].term);
            let (sent, echo) = (now, follower.moment);
            let append =
                Append { term, after, after_term, slots, commit, sent, quorum_age, echo, sure };
            (*peer, append)
        };
        followers.iter().map(to).collect()
    }

    /// A leader speaks.
    pub(crate) fn append(&mut self, from: usize, append: Append, now: u64) -> Appended {
        let sent = append.sent;
        let answer = |term, matched| Appended { term, matched, sent, moment: now };
        if append.term < self.term {
            return answer(self.term, None);
        }
        self.follow(append.term, Some(from));
        let heard = append.echo.map(|echo| echo.saturating_sub(append.quorum_age));
        self.caught_up_at = self.caught_up_at.or(append.sure.then_some(append.commit));
        let known = append.after.checked_sub(1).map(|last| self.slots.get(last));
        let fits = known.is_none_or(|slot| slot.is_some_and(|s| s.term == append.after_term));
        if !fits {
            return answer(self.term, None);
        }
        let matched = append.after + append.slots.len();
        for (index, slot) in (append.after..).zip(append.slots) {
            match self.slots.get(index) {
                Some(ours) if ours.term == slot.term => {}
                Some(_) => {
                    assert!(index >= self.commit, "what is committed stays");
                    self.slots.truncate(index);
                    self.slots.push(slot);
                }
                None => self.slots.push(slot),
            }
        }
        self.commit = self.commit.max(append.commit.min(matched));
        // Who was away hears the leader before it knows what was decided meanwhile.
        if append.sure && self.commit >= append.commit {
            self.heard = self.heard.max(heard);
        }
        answer(self.term, Some(matched))
    }

    /// A follower answers.
    pub(crate) fn appended(&mut self, from: usize, appended: &Appended) {
        if appended.term > self.term {
            self.follow(appended.term, None);
        }
        let term = self.term;
        let Some(followers) = &mut self.leading else { return };
        let follower = followers.get_mut(&from).expect("leaders know all nodes");
        if appended.term < term {
            return;
        }
        follower.heard = follower.heard.max(appended.sent);
        follower.moment = follower.moment.max(Some(appended.moment));
        match appended.matched {
            Some(matched) => {
                follower.matched = follower.matched.max(matched);
                follower.next = follower.matched + 1;
            }
            // It lacks some, or has others: go back, quickly.
            None => {
                let back = follower.next.saturating_sub(IN_MESSAGE / 2).max(follower.matched + 1);
                follower.next = back.min(follower.next);
            }
        }
        let mut matched: Vec<usize> = followers.values().map(|f| f.matched).collect();
        matched.push(self.slots.len());
        matched.sort_unstable();
        let on_majority = matched[(matched.len() - 1) / 2];
        if on_majority > self.commit && self.slots[on_majority - 1].term == term {
            self.commit = on_majority;
        }
    }

    /// When a majority last answered the leader, as this node knows.
    pub(crate) fn leader_heard(&self, now: u64) -> Option<u64> {
        let Some(followers) = &self.leading else { return self.heard };
        let mut heard: Vec<u64> = followers.values().map(|follower| follower.heard).collect();
        heard.push(now);
        heard.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
        heard.get(heard.len() / 2).copied()
    }

    /// For how long the leader has not heard each follower.
    pub(crate) fn silences(&self, now: u64) -> Vec<(usize, u64)> {
        let followers = self.leading.iter().flatten();
        followers.map(|(peer, follower)| (*peer, now - follower.heard)).collect()
    }
}
