//! Whether copies hold all that a node has settled.

use std::collections::BTreeMap;

use dunlin_journal::Run;
use dunlin_types::Epoch;

/// Whether `runs`, from whichever holders, hold all records up to the last settled one of that life,
/// as far back as the log goes. What an older life has settled last is not known: of it, only a gap is
/// seen.
pub(crate) fn covers(runs: &[Run], (life, settled): (Epoch, u64)) -> bool {
    let mut lives: BTreeMap<Epoch, Vec<(u64, u64)>> = BTreeMap::new();
    for (epoch, first, last) in runs {
        lives.entry(*epoch).or_default().push((*first, *last));
    }
    let newest = lives.get_mut(&life).map_or(0, |runs| gapless(runs).unwrap_or(0));
    newest >= settled && lives.values_mut().all(|runs| gapless(runs).is_some())
}

/// The last record of runs between which nothing is missing. `None`: something is.
fn gapless(runs: &mut [(u64, u64)]) -> Option<u64> {
    runs.sort_unstable();
    let mut end = runs.first()?.0.saturating_sub(1);
    for (first, last) in runs {
        if *first > end + 1 {
            return None;
        }
        end = end.max(*last);
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_covers_what_it_holds_without_a_gap_up_to_the_last_settled_record() {
        let one = Epoch(1);
        let two = Epoch(2);
        let cases: &[(&[Run], (Epoch, u64), bool)] = &[
            (&[], (Epoch(0), 0), true),
            (&[], (one, 0), true),
            (&[], (one, 1), false),
            (&[(one, 1, 10)], (one, 10), true),
            (&[(one, 1, 10)], (one, 11), false),
            (&[(one, 1, 10), (one, 11, 12)], (one, 12), true),
            (&[(one, 11, 12), (one, 1, 10)], (one, 12), true),
            (&[(one, 1, 10), (one, 12, 13)], (one, 13), false),
            // Two holders, one of them of a part.
            (&[(one, 1, 10), (one, 1, 4), (one, 8, 14)], (one, 14), true),
            // The beginning was let go as too old.
            (&[(one, 100, 110)], (one, 110), true),
            (&[(one, 1, 10)], (two, 0), true),
            (&[(one, 1, 10)], (two, 3), false),
            (&[(one, 1, 10), (one, 12, 12), (two, 1, 3)], (two, 3), false),
            (&[(one, 1, 10), (two, 1, 3)], (two, 3), true),
        ];
        for (runs, settled, expected) in cases {
            assert_eq!(covers(runs, *settled), *expected, "{runs:?} up to {settled:?}");
        }
    }
}
