//! Whether copies hold all that a node has settled, as the replicated state has it.

use dunlin_journal::Run;
use dunlin_state::{Day, Settled, Stretch};
use dunlin_types::UnixMillis;

/// Of which time records are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Since {
    /// The query asks for no older ones.
    pub(crate) from: Option<UnixMillis>,
    /// Older ones are not kept.
    pub(crate) kept: Option<UnixMillis>,
}

impl Since {
    /// Whether a record of that time can be asked for.
    pub(crate) fn reaches(&self, at: UnixMillis) -> bool {
        self.from.is_none_or(|from| at >= from) && self.kept.is_none_or(|kept| at >= kept)
    }
}

/// Whether `runs`, from whichever holders, hold all settled records that are asked for.
pub(crate) fn covers(runs: &[Run], settled: &Settled, since: Since) -> bool {
    // No record is of a later time than it is settled.
    let is_asked = |at: UnixMillis| since.reaches(at);
    let mut asked = settled.stretches().filter(|stretch| is_asked(stretch.at));
    !settled.forgotten().is_some_and(is_asked) && asked.all(|stretch| holds(runs, stretch, since))
}

fn holds(runs: &[Run], stretch: Stretch, since: Since) -> bool {
    let Stretch { epoch, after, last, at } = stretch;
    let of_life = runs.iter().filter(|(life, _, end)| *life == epoch && *end > after);
    let mut runs: Vec<_> = of_life.map(|(_, first, last)| (*first, *last)).collect();
    runs.sort_unstable();
    // On the day from which on records are kept, the first ones are too old already.
    let is_oldest = since.kept.is_some_and(|kept| Day::of(at).start() <= kept);
    let begins = runs.first().map_or(0, |(first, _)| first - 1);
    let from = if is_oldest { after.max(begins) } else { after };
    let end = runs.iter().fold(
        from,
        |end, (first, last)| {
            if *first > end + 1 { end } else { end.max(*last) }
        },
    );
    end >= last && !(is_oldest && runs.is_empty())
}

#[cfg(test)]
mod tests {
    use dunlin_state::{Command, CommandId, DaySums, Entry, State};
    use dunlin_types::{Epoch, NodeId};

    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;
    const ONE: Epoch = Epoch(1);
    const TWO: Epoch = Epoch(2);

    /// A node of which so many records of so many lives are settled, each on a day at noon.
    fn settled(stretches: &[(Epoch, u64, u64)]) -> Settled {
        let (node, mut state) = (NodeId(7), State::new());
        let mut run = |at: UnixMillis, command| {
            let (index, seq) = (state.applied() + 1, state.applied());
            let id = CommandId { node, epoch: ONE, seq };
            state.apply(index, at, &Entry { id, actor: None, command }).expect("taken");
        };
        run(UnixMillis(0), Command::AddNode { node, address: "n:1".to_owned() });
        let mut before = (Epoch(0), 0);
        for (epoch, to, day) in stretches.iter().copied() {
            let from = if before.0 == epoch { before.1 } else { 0 };
            let (charges, days) = (Vec::new(), DaySums::default());
            let settle =
                Command::Settle { node, epoch, from, to, charges, days, claimed: Vec::new() };
            run(UnixMillis(day * DAY + DAY / 2), settle);
            before = (epoch, to);
        }
        state.journals().next().map(|(_, settled)| settled.clone()).unwrap_or_default()
    }

    #[test]
    fn a_copy_covers_what_it_holds_without_a_gap_up_to_the_last_settled_record() {
        let life = |to| settled(&[(ONE, to, 40)]);
        let lives = settled(&[(ONE, 12, 40), (TWO, 3, 41)]);
        let cases: &[(&[Run], Settled, bool)] = &[
            (&[], settled(&[]), true),
            (&[], life(1), false),
            (&[(ONE, 1, 10)], life(10), true),
            (&[(ONE, 1, 10)], life(11), false),
            (&[(ONE, 1, 10), (ONE, 11, 12)], life(12), true),
            (&[(ONE, 11, 12), (ONE, 1, 10)], life(12), true),
            (&[(ONE, 1, 10), (ONE, 12, 13)], life(13), false),
            // Two holders, one of them of a part.
            (&[(ONE, 1, 10), (ONE, 1, 4), (ONE, 8, 14)], life(14), true),
            // A later holder has only what was written last.
            (&[(ONE, 100, 110)], life(110), false),
            (&[(ONE, 1, 12), (TWO, 1, 3)], lives.clone(), true),
            (&[(TWO, 1, 3)], lives.clone(), false),
            (&[(ONE, 1, 11), (TWO, 1, 3)], lives.clone(), false),
            (&[(ONE, 1, 12)], lives, false),
        ];
        for (runs, settled, expected) in cases {
            let since = Since::default();
            assert_eq!(covers(runs, settled, since), *expected, "{runs:?} of {settled:?}");
        }
    }

    #[test]
    fn what_is_too_old_to_be_asked_for_or_to_be_kept_is_not_missed() {
        let days = settled(&[(ONE, 10, 40), (ONE, 20, 41), (ONE, 30, 42)]);
        let at = |day: u64, hour: u64| Some(UnixMillis(day * DAY + hour * DAY / 24));
        let (newest, part): (&[Run], &[Run]) = (&[(ONE, 21, 30)], &[(ONE, 15, 30)]);
        for (runs, from, kept, expected) in [
            (newest, None, None, false),
            (newest, at(41, 13), None, true),
            (newest, at(41, 12), None, false),
            (part, at(41, 12), None, false),
            (newest, None, at(41, 13), true),
            // Of the oldest day's, the first ones may be gone already, and the last one not.
            (part, None, at(41, 11), true),
            (&[(ONE, 15, 19), (ONE, 21, 30)], None, at(41, 11), false),
            (&[(ONE, 15, 19)], None, at(41, 11), false),
            (&[], None, at(42, 11), false),
            (&[], None, at(42, 13), true),
            (&[], at(42, 13), None, true),
        ] {
            let since = Since { from, kept };
            assert_eq!(covers(runs, &days, since), expected, "{runs:?} {since:?}");
        }
    }
}
