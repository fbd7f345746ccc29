//! Which datagrams were seen before. By (incarnation, counter) of each sender and by no clock:
//! clocks differ between machines, and a sender's own count does not.
//!
//! A receiver that has restarted has forgotten what it saw. Replaying old datagrams to it brings
//! back old facts at most until the sender's next datagram, which is of a later incarnation or
//! counter; chitchat ignores versions and heartbeats older than those it has.

use std::collections::BTreeMap;

use dunlin_types::NodeId;

use crate::seal::Stamp;

/// Senders remembered; for one more, that is forgotten which was silent the longest. Each holds the
/// cluster secret, so strangers cannot fill this up, but a node whose disk was lost comes as another.
const MAX_SENDERS: usize = 4096;

/// How far behind its newest datagram a sender's older one may arrive: about a second's worth.
const REACH: u64 = u128::BITS as u64;

/// What was seen of each sender.
#[derive(Default)]
pub(crate) struct Replay {
    senders: BTreeMap<NodeId, Window>,
    /// Datagrams that were opened so far.
    opened: u64,
}

/// The newest counter of one sender, and which of the [`REACH`] up to it were seen.
struct Window {
    incarnation: u64,
    newest: u64,
    /// Bit n stands for `newest - n`.
    seen: u128,
    /// When the sender was last heard, in datagrams opened.
    heard: u64,
}

impl Replay {
    /// Whether an opened datagram is seen for the first time. Remembers it.
    pub(crate) fn admit(&mut self, stamp: Stamp) -> bool {
        self.opened += 1;
        if let Some(window) = self.senders.get_mut(&stamp.sender) {
            window.heard = self.opened;
            return window.admit(stamp.incarnation, stamp.counter);
        }
        if self.senders.len() >= MAX_SENDERS {
            let silent = self.senders.iter().min_by_key(|(_, window)| window.heard);
            let silent = silent.map(|(sender, _)| *sender).expect("there are many");
            self.senders.remove(&silent);
        }
        let window = Window::of(stamp.incarnation, stamp.counter);
        self.senders.insert(stamp.sender, Window { heard: self.opened, ..window });
        true
    }
}

impl Window {
    fn of(incarnation: u64, counter: u64) -> Self {
        Self { incarnation, newest: counter, seen: 1, heard: 0 }
    }

    fn admit(&mut self, incarnation: u64, counter: u64) -> bool {
        if incarnation != self.incarnation {
            let newer = incarnation > self.incarnation;
            if newer {
                *self = Self { heard: self.heard, ..Self::of(incarnation, counter) };
            }
            return newer;
        }
        if counter > self.newest {
            let ahead = counter - self.newest;
            self.seen = if ahead < REACH { self.seen << ahead | 1 } else { 1 };
            self.newest = counter;
            return true;
        }
        let behind = self.newest - counter;
        if behind >= REACH {
            return false;
        }
        let bit = 1 << behind;
        let fresh = self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stamps of one sender as (incarnation, counter), and whether each must be admitted.
    fn check(story: &[(u64, u64, bool)]) {
        let mut replay = Replay::default();
        for (at, &(incarnation, counter, admitted)) in story.iter().enumerate() {
            let stamp = Stamp { sender: NodeId(1), incarnation, counter };
            assert_eq!(replay.admit(stamp), admitted, "step {at} of {story:?}");
        }
    }

    #[test]
    fn in_order_and_reordered_datagrams_pass_once() {
        check(&[(1, 1, true), (1, 2, true), (1, 2, false), (1, 1, false)]);
        check(&[(1, 10, true), (1, 7, true), (1, 8, true), (1, 7, false), (1, 11, true)]);
        check(&[(1, 0, true), (1, 0, false)]);
    }

    #[test]
    fn what_is_too_old_to_be_known_is_refused() {
        check(&[(1, 1, true), (1, 128, true), (1, 1, false), (1, 2, true)]);
        check(&[(1, 5, true), (1, 5 + 128, true), (1, 5, false), (1, 6, true)]);
        check(&[(1, 1, true), (1, 1_000_000, true), (1, 999_873, true), (1, 999_872, false)]);
        check(&[(1, u64::MAX, true), (1, 0, false), (1, u64::MAX - 1, true)]);
    }

    #[test]
    fn a_later_incarnation_counts_anew_and_ends_the_one_before() {
        check(&[(1, 50, true), (2, 1, true), (1, 51, false), (2, 1, false), (2, 2, true)]);
    }

    #[test]
    fn senders_do_not_share_windows_and_are_bounded() {
        let mut replay = Replay::default();
        let stamp = |sender, counter| Stamp { sender: NodeId(sender), incarnation: 1, counter };
        let most = MAX_SENDERS as u64;
        (0..most).for_each(|sender| assert!(replay.admit(stamp(sender, 1))));
        assert!(!replay.admit(stamp(0, 1)), "it was heard last");
        assert!(replay.admit(stamp(most, 1)), "a node that is new is heard");
        assert_eq!(replay.senders.len(), MAX_SENDERS);
        assert!(!replay.senders.contains_key(&NodeId(1)), "it was silent the longest");
        assert!(!replay.admit(stamp(0, 1)) && !replay.admit(stamp(most, 1)));
    }
}
