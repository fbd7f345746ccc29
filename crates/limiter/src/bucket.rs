//! A bucket: what was taken in the last minute, in slots of one second.
//!
//! A slot comes back 60 s after its *last* take, so a token may come back up to a second late and
//! never early: if every take keeps [`Bucket::taken`] at N or below, no window of 60 s holds more.
//!
//! Slots are told apart by the clock of who takes, also where another node keeps the bucket: what is
//! given back finds the slot it was taken from, however long either message was on its way.

use std::collections::VecDeque;
use std::time::Duration;

use dunlin_types::MonoMillis;

/// How long a taken token stays away.
pub const WINDOW: Duration = Duration::from_mins(1);
const SLOT_MS: u64 = 1000;

/// What was taken of a limit. The limit is not here: it bounds the sum of several buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// By time, at most one for each second, at most 61 that count.
    slots: VecDeque<Slot>,
    sum: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slot {
    /// By the clock of who takes.
    second: u64,
    /// By the clock of who keeps the bucket.
    last: MonoMillis,
    amount: u64,
}

impl Bucket {
    /// What is taken and has not come back at `now`.
    pub fn taken(&mut self, now: MonoMillis) -> u64 {
        let before = self.slots.len();
        while self.slots.front().is_some_and(|slot| slot.last.plus(WINDOW) <= now) {
            self.slots.pop_front();
        }
        if self.slots.len() < before {
            self.add_up();
        }
        self.sum
    }

    /// Anew: where the sum was more than can be counted, what is left says more than a difference.
    fn add_up(&mut self) {
        self.sum = self.slots.iter().fold(0, |sum, slot| sum.saturating_add(slot.amount));
    }

    /// Takes `amount` at a moment which may lie ahead, for a lease.
    pub fn take(&mut self, amount: u64, at: MonoMillis) {
        self.take_in(second(at), amount, at);
    }

    /// Takes what another node took: in the slot `second` by its clock, and no later than `at` by
    /// this node's.
    pub(crate) fn take_in(&mut self, second: u64, amount: u64, at: MonoMillis) {
        if amount == 0 {
            return;
        }
        self.sum = self.sum.saturating_add(amount);
        // Nearly every take is in the newest slot or after it.
        let after = self.slots.iter().rposition(|slot| slot.second <= second);
        if let Some(slot) = after.map(|index| &mut self.slots[index])
            && slot.second == second
        {
            slot.amount = slot.amount.saturating_add(amount);
            slot.last = slot.last.max(at);
        } else {
            let index = after.map_or(0, |index| index + 1);
            self.slots.insert(index, Slot { second, last: at, amount });
        }
    }

    /// Gives back up to `amount` of what was taken at `at`.
    pub fn give_back(&mut self, amount: u64, at: MonoMillis, now: MonoMillis) {
        self.give_back_in(second(at), amount, now);
    }

    /// Gives back up to `amount` of what was taken in the slot `second`. Taken from that slot or an
    /// older one, so that nothing comes back too early; credit for what has come back already is
    /// dropped.
    pub(crate) fn give_back_in(&mut self, second: u64, amount: u64, now: MonoMillis) {
        self.taken(now);
        let mut left = amount;
        for slot in self.slots.iter_mut().rev().filter(|slot| slot.second <= second) {
            let credit = left.min(slot.amount);
            slot.amount -= credit;
            left -= credit;
        }
        self.slots.retain(|slot| slot.amount > 0);
        self.add_up();
    }

    /// The clock of who takes begins anew: all that was taken is older than what will be.
    pub(crate) fn begin_anew(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.second = 0);
    }

    /// What was taken in the second of `now` and the one before it.
    #[must_use]
    pub fn lately(&self, now: MonoMillis) -> u64 {
        let newest =
            self.slots.iter().rev().take_while(|slot| second(slot.last) + 1 >= second(now));
        newest.fold(0, |sum, slot| sum.saturating_add(slot.amount))
    }

    /// What comes back and when, the oldest first: no slot before those of earlier seconds.
    pub fn returns(&self) -> impl Iterator<Item = (MonoMillis, u64)> {
        let mut latest = MonoMillis(0);
        self.slots.iter().map(move |slot| {
            latest = latest.max(slot.last.plus(WINDOW));
            (latest, slot.amount)
        })
    }

    /// The slots as (second, age at `now` in ms, amount), to tell another node.
    #[must_use]
    pub fn to_ages(&self, now: MonoMillis) -> Vec<(u64, u64, u64)> {
        let told = |slot: &Slot| (slot.second, now.0.saturating_sub(slot.last.0), slot.amount);
        self.slots.iter().map(told).collect()
    }

    /// The bucket another node told of, `late_ms` ago.
    #[must_use]
    pub fn from_ages(ages: &[(u64, u64, u64)], late_ms: u64, now: MonoMillis) -> Self {
        let mut bucket = Self::default();
        for (second, age, amount) in ages {
            bucket.take_in(*second, *amount, ago(now, age.saturating_add(late_ms)));
        }
        bucket
    }
}

/// `ms` before `now`; the beginning of time if that was later.
pub(crate) fn ago(now: MonoMillis, ms: u64) -> MonoMillis {
    MonoMillis(now.0.saturating_sub(ms))
}

/// The slot of a moment, by the same clock.
pub(crate) fn second(at: MonoMillis) -> u64 {
    at.0 / SLOT_MS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 20;

    #[test]
    fn tokens_come_back_a_minute_after_they_were_taken() {
        let mut bucket = Bucket::default();
        bucket.take(2, MonoMillis(10_100));
        bucket.take(1, MonoMillis(10_900));
        bucket.take(4, MonoMillis(11_000));
        for (now, taken) in [(69_999, 7), (70_899, 7), (70_900, 4), (70_999, 4), (71_000, 0)] {
            assert_eq!(bucket.taken(MonoMillis(now)), taken, "at {now}");
        }
    }

    #[test]
    fn credit_goes_to_where_it_was_taken_and_late_credit_is_dropped() {
        let mut bucket = Bucket::default();
        bucket.take(5, MonoMillis(1_000));
        bucket.take(5, MonoMillis(30_000));
        bucket.give_back(3, MonoMillis(1_200), MonoMillis(30_000));
        assert_eq!(bucket.taken(MonoMillis(30_000)), 7);
        assert_eq!(bucket.taken(MonoMillis(61_000)), 5);
        bucket.give_back(2, MonoMillis(1_200), MonoMillis(61_000));
        assert_eq!(bucket.taken(MonoMillis(61_000)), 5);
    }

    #[test]
    fn what_is_still_taken_comes_back_later_than_now() {
        let mut bucket = Bucket::default();
        // Told late: the earlier second was kept until after the later one.
        bucket.take_in(11, 2, MonoMillis(11_500));
        bucket.take_in(10, 1, MonoMillis(12_000));
        assert_eq!(bucket.taken(MonoMillis(71_700)), 3);
        let returns: Vec<_> = bucket.returns().collect();
        assert_eq!(returns, [(MonoMillis(72_000), 1), (MonoMillis(72_000), 2)]);
        assert_eq!(bucket.taken(MonoMillis(72_000)), 0);
    }

    /// A provider may say that an answer had any number of tokens.
    #[test]
    fn more_than_can_be_counted_comes_back_like_everything_else() {
        let mut bucket = Bucket::default();
        for second in 1..=3 {
            bucket.take(u64::MAX - 5, MonoMillis(second * 1_000));
        }
        bucket.take(7, MonoMillis(4_000));
        let expected =
            [(60_999, u64::MAX), (61_000, u64::MAX), (62_000, u64::MAX), (63_000, 7), (64_000, 0)];
        let mut given_back = bucket.clone();
        for (now, taken) in expected {
            assert_eq!(bucket.taken(MonoMillis(now)), taken, "at {now}");
        }
        given_back.give_back(u64::MAX, MonoMillis(2_000), MonoMillis(4_000));
        assert_eq!(given_back.taken(MonoMillis(4_000)), u64::MAX, "of three");
        assert_eq!(given_back.taken(MonoMillis(63_000)), 7);
    }

    #[test]
    fn slots_stay_few() {
        let mut bucket = Bucket::default();
        for at in (0..300_000).step_by(7).map(MonoMillis) {
            bucket.taken(at);
            bucket.take(1, at);
            assert!(bucket.slots.len() <= 61);
        }
    }

    proptest! {
        /// Takes now, takes ahead as leases do, credits: whatever they are, no minute holds more
        /// than the limit of what was used and not given back.
        #[test]
        fn no_minute_holds_more_than_the_limit(
            steps in prop::collection::vec((0u64..4_000, 1u64..6, 0u64..500, 0u8..4), 1..400),
        ) {
            let mut bucket = Bucket::default();
            let mut now = MonoMillis(0);
            let mut used: Vec<(u64, u64)> = Vec::new();
            for (pause, amount, ahead, kind) in steps {
                now = MonoMillis(now.0 + pause);
                if kind == 0 && let Some((at, last)) = used.last_mut().filter(|(_, last)| *last > 0) {
                    bucket.give_back(1, MonoMillis(*at), now);
                    *last -= u64::from(*at + 60_000 > now.0);
                } else if bucket.taken(now) + amount <= LIMIT {
                    let at = if kind == 1 { now.0 + ahead } else { now.0 };
                    bucket.take(amount, MonoMillis(at));
                    used.push((at, amount));
                }
            }
            for (start, _) in &used {
                let minute = used.iter().filter(|(at, _)| (*start..start + 60_000).contains(at));
                prop_assert!(minute.map(|(_, amount)| amount).sum::<u64>() <= LIMIT);
            }
        }

        /// A bucket kept at another node, which hears of takes and credits late: no minute holds
        /// more than the limit of what was not given back, and what was given back is free again.
        #[test]
        fn a_credit_finds_its_take_however_late_either_is_heard_of(
            steps in prop::collection::vec((0u64..3_000, 1u64..6, 0u64..400, 0u64..900, any::<bool>()), 1..300),
        ) {
            let mut bucket = Bucket::default();
            let (mut now, mut heard, mut kept) = (MonoMillis(0), MonoMillis(0), Vec::new());
            for (pause, amount, late, later, undone) in steps {
                now = MonoMillis(now.0 + pause);
                heard = heard.max(now.plus(Duration::from_millis(late)));
                if bucket.taken(heard) + amount > LIMIT {
                    continue;
                }
                bucket.take_in(second(now), amount, heard);
                if undone {
                    let before = bucket.taken(heard);
                    heard = heard.plus(Duration::from_millis(later));
                    bucket.give_back_in(second(now), amount, heard);
                    prop_assert!(bucket.sum <= before - amount);
                } else {
                    kept.push((heard.0, amount));
                }
            }
            for (start, _) in &kept {
                let minute = kept.iter().filter(|(at, _)| (*start..start + 60_000).contains(at));
                prop_assert!(minute.map(|(_, amount)| amount).sum::<u64>() <= LIMIT);
            }
        }

        #[test]
        fn a_bucket_told_is_no_younger_than_it_was(
            takes in prop::collection::vec((0u64..60_000, 1u64..9), 0..50),
            late in 0u64..3_000,
        ) {
            let now = MonoMillis(100_000);
            let mut bucket = Bucket::default();
            takes.iter().for_each(|(at, amount)| bucket.take(*amount, MonoMillis(40_001 + at)));
            let mut told = Bucket::from_ages(&bucket.to_ages(now), late, now.plus(Duration::from_millis(late)));
            for at in (100_000..170_000).step_by(500).map(MonoMillis) {
                prop_assert!(told.taken(at) >= bucket.taken(at));
            }
        }
    }
}
