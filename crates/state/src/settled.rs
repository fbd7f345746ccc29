//! How far a node's journal is settled: of each of its lives, and day by day, so that whoever holds
//! copies of it can be told what must be in them.

use dunlin_types::{Epoch, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::command::Day;

/// So many marks of one node are kept, each of a day of one life. Of more, the oldest day counts as the
/// next one of that life; where no life has two, the oldest life is forgotten, and only when.
const MAX_MARKS: usize = 128;

/// The records of one life that were settled on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    epoch: Epoch,
    /// The last one.
    last: u64,
    /// When it was settled.
    at: UnixMillis,
}

/// What of a node's journal is settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// In the order of lives, and of days.
    marks: Vec<Mark>,
    /// When the last record of a life that is forgotten was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten: Option<UnixMillis>,
}

/// Records of a node that were settled on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// In which of its lives they were made.
    pub epoch: Epoch,
    /// The first follows this one.
    pub after: u64,
    /// The last one.
    pub last: u64,
    /// When that was settled: the others earlier on the same day, in UTC.
    pub at: UnixMillis,
}

impl Settled {
    /// The last settled record, and of which life; zeros before the first.
    #[must_use]
    pub fn last(&self) -> (Epoch, u64) {
        self.marks.last().map(|mark| (mark.epoch, mark.last)).unwrap_or_default()
    }

    /// All that is settled, oldest first.
    pub fn stretches(&self) -> impl Iterator<Item = Stretch> {
        let befores = [None].into_iter().chain(self.marks.iter().map(Some));
        befores.zip(&self.marks).map(|(before, mark)| {
            let Mark { epoch, last, at } = *mark;
            let before = before.filter(|before| before.epoch == epoch);
            Stretch { epoch, after: before.map_or(0, |before| before.last), last, at }
        })
    }

    /// When the last record was settled of those lives of which it is not known any more how far they
    /// went.
    #[must_use]
    pub fn forgotten(&self) -> Option<UnixMillis> {
        self.forgotten
    }

    /// Record `last` of life `epoch` is settled, and all before it.
    pub(crate) fn add(&mut self, (epoch, last): (Epoch, u64), at: UnixMillis) {
        let next = Mark { epoch, last, at };
        match self.marks.last_mut() {
            Some(mark) if mark.epoch == epoch && Day::of(mark.at) == Day::of(at) => *mark = next,
            _ => self.marks.push(next),
        }
        if self.marks.len() > MAX_MARKS {
            let of_one_life = self.marks.windows(2).position(|two| two[0].epoch == two[1].epoch);
            let gone = self.marks.remove(of_one_life.unwrap_or(0));
            if of_one_life.is_none() {
                self.forgotten = self.forgotten.max(Some(gone.at));
            }
        }
    }

    /// Only how far it goes: nobody asks any more what copies of it must hold.
    pub(crate) fn forget(&mut self) {
        self.marks.drain(..self.marks.len().saturating_sub(1));
        self.forgotten = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn settled(marks: impl IntoIterator<Item = (u64, u64, u64)>) -> Settled {
        let mut settled = Settled::default();
        for (epoch, last, day) in marks {
            settled.add((Epoch(epoch), last), UnixMillis(day * DAY + 7));
        }
        settled
    }

    fn stretches(settled: &Settled) -> Vec<(u64, u64, u64, u64)> {
        let each = settled.stretches();
        each.map(|one| (one.epoch.0, one.after, one.last, one.at.0 / DAY)).collect()
    }

    #[test]
    fn what_was_settled_on_a_day_of_a_life_is_one_stretch() {
        let settled = settled([(1, 5, 3), (1, 9, 3), (1, 12, 4), (3, 2, 4), (3, 8, 9)]);
        assert_eq!(settled.last(), (Epoch(3), 8));
        let expected = [(1, 0, 9, 3), (1, 9, 12, 4), (3, 0, 2, 4), (3, 2, 8, 9)];
        assert_eq!(stretches(&settled), expected);
        assert_eq!(settled.forgotten(), None);
    }

    #[test]
    fn there_are_never_more_than_so_many_marks_and_no_record_is_passed_over() {
        let most = MAX_MARKS as u64;
        let of_one_life = settled((1..=most + 5).map(|day| (1, 10 * day, day)));
        let told = stretches(&of_one_life);
        assert_eq!(told.len(), MAX_MARKS);
        assert_eq!(told[0], (1, 0, 60, 6), "the first six days count as the sixth");
        assert_eq!(of_one_life.forgotten(), None);

        let of_many = settled((1..=most + 5).map(|life| (life, 10, life)));
        let told = stretches(&of_many);
        assert_eq!((told.len(), told[0]), (MAX_MARKS, (6, 0, 10, 6)));
        assert_eq!(of_many.forgotten(), Some(UnixMillis(5 * DAY + 7)));
    }
}
