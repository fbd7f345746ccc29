//! What a node says to others that are short of a pot: what it has committed, and the least that it
//! had since they asked before. A node that heard both from all knows what was committed at one
//! moment between, though it heard them one after the other.

use std::time::Duration;

use dunlin_types::{MonoMillis, NanoUsd, NodeId, UnixMillis};

use crate::demand::Recall;
use crate::pot::less;

/// A node that does not ask again for this long is forgotten.
const WATCHED: Duration = Duration::from_secs(1);

/// The nodes that have asked lately, one entry each.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Watches(Vec<Watch>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Watch {
    by: NodeId,
    round: u64,
    period: UnixMillis,
    /// Since its question was answered.
    least: NanoUsd,
    at: MonoMillis,
}

impl Watches {
    /// The least that was committed since the round before was answered: nothing where it was not,
    /// or where this round was answered before and the answer may be lost.
    pub(crate) fn answer(
        &mut self,
        by: NodeId,
        recall: &Recall,
        committed: NanoUsd,
        now: MonoMillis,
    ) -> NanoUsd {
        let Recall { round, period, .. } = *recall;
        let known = self.0.iter().position(|watch| watch.by == by);
        let known = known.map(|at| self.0.swap_remove(at));
        self.0.retain(|watch| now.since(watch.at) < WATCHED);
        let (least, next) = match known {
            Some(known) if known.period == period && known.round == round => {
                (NanoUsd::ZERO, known.least)
            }
            Some(known) if known.period == period && known.round + 1 == round => {
                (known.least, committed)
            }
            Some(_) | None => (NanoUsd::ZERO, committed),
        };
        self.0.push(Watch { by, round, period, least: next, at: now });
        least
    }

    /// Less may be committed than before.
    pub(crate) fn note(&mut self, committed: impl Fn(UnixMillis) -> NanoUsd) {
        for watch in &mut self.0 {
            watch.least = watch.least.min(committed(watch.period));
        }
    }

    /// What was recorded before counts as settled from here on.
    pub(crate) fn settled(&mut self, period: UnixMillis, cost: NanoUsd) {
        for watch in self.0.iter_mut().filter(|watch| watch.period == period) {
            watch.least = less(watch.least, cost);
        }
    }
}
