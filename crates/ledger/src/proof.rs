//! What shows that too little of a pot is left: a round of answers of all nodes that have a lease.
//!
//! Nodes answer one after the other, and money moves meanwhile: the sum of what each had committed
//! when it answered may never have been committed at one time. So each also says the least that it
//! had since the round before. A round begins after all answers to the one before have come; at
//! that moment each node had at least that, and what is settled by then is spent whatever comes.
//! What of a lease is neither committed nor given back may be on its way: nothing is taken for
//! committed that nobody said.

use std::collections::BTreeSet;

use dunlin_types::{NanoUsd, NodeId, UnixMillis};

use crate::demand::{Answer, Life};
use crate::pot::{Holder, less};
use crate::view::View;

/// The questions about one pot, while requests wait for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Proof {
    rounds: u64,
    round: Option<Round>,
    shown: Option<Shown>,
    /// Who answered the last whole round, and who did not.
    answered: BTreeSet<NodeId>,
    silent: BTreeSet<NodeId>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Round {
    period: UnixMillis,
    limit: NanoUsd,
    /// Settled, on nodes that cannot be asked, and committed here, when it began.
    known: NanoUsd,
    withheld: NanoUsd,
    asked: Vec<(Life, Heard)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Heard {
    NotYet,
    Nothing,
    /// What that life has committed; nothing of one that is over, for its lease is on its way.
    Said(Answer),
}

/// What a whole round showed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Shown {
    round: u64,
    period: UnixMillis,
    limit: NanoUsd,
    /// What was settled, committed and out of reach when it began, at least.
    pub(crate) least: NanoUsd,
    /// What of it is out of reach.
    pub(crate) silent: NanoUsd,
    /// What is settled, committed and out of reach, as far as anybody can say.
    present: NanoUsd,
}

impl Proof {
    pub(crate) fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Whether no answer is waited for.
    pub(crate) fn is_whole(&self) -> bool {
        self.round.is_none()
    }

    /// Whom the present round asks.
    pub(crate) fn lives(&self) -> Vec<Life> {
        let asked = self.round.iter().flat_map(|round| &round.asked);
        asked.map(|(life, _)| *life).collect()
    }

    /// Begins a round, or asks the present one's question again. True if nobody is to be waited for.
    pub(crate) fn ask(
        &mut self,
        view: &View,
        limit: NanoUsd,
        own: NanoUsd,
        lives: Vec<Life>,
    ) -> (u64, bool) {
        if self.round.is_none() {
            self.rounds += 1;
            self.round = Some(Round {
                period: view.period,
                limit,
                known: view.settled + view.withheld + own,
                withheld: view.withheld,
                asked: lives.into_iter().map(|life| (life, Heard::NotYet)).collect(),
            });
        }
        (self.rounds, self.conclude())
    }

    /// A node said what it has committed, or nothing. True if it was the last of a round.
    pub(crate) fn heard(
        &mut self,
        round: u64,
        from: NodeId,
        answer: Option<(Holder, Answer)>,
    ) -> bool {
        let Some(present) = self.round.as_mut().filter(|_| round == self.rounds) else {
            return false;
        };
        let of =
            |(life, heard): &&mut (Life, Heard)| life.holder.0 == from && *heard == Heard::NotYet;
        for (life, heard) in present.asked.iter_mut().filter(|asked| of(asked)) {
            *heard = match answer {
                Some((holder, answer)) if holder == life.holder => Heard::Said(answer),
                Some(_) => Heard::Said(Answer::default()),
                None => Heard::Nothing,
            };
        }
        self.conclude()
    }

    fn conclude(&mut self) -> bool {
        let is_whole = |round: &Round| round.asked.iter().all(|(_, heard)| *heard != Heard::NotYet);
        let Some(round) = self.round.take_if(|round| is_whole(round)) else { return false };
        let (mut least, mut present, mut silent) = (round.known, round.known, round.withheld);
        let (answered, was_silent) =
            (std::mem::take(&mut self.answered), std::mem::take(&mut self.silent));
        for (life, heard) in &round.asked {
            let node = life.holder.0;
            match heard {
                Heard::Said(answer) => {
                    present += answer.present;
                    if answered.contains(&node) {
                        least += answer.least;
                    }
                    self.answered.insert(node);
                }
                // Once may be a broken connection.
                Heard::NotYet | Heard::Nothing => {
                    present += life.unused;
                    if was_silent.contains(&node) {
                        least += life.unused;
                        silent += life.unused;
                    }
                    self.silent.insert(node);
                }
            }
        }
        let Round { period, limit, .. } = round;
        self.shown = Some(Shown { round: self.rounds, period, limit, least, silent, present });
        true
    }

    /// What a round showed that began after `round`.
    pub(crate) fn shown(&self, round: u64, period: UnixMillis, limit: NanoUsd) -> Option<&Shown> {
        let shown = self.shown.as_ref();
        shown.filter(|shown| shown.round > round && shown.period == period && shown.limit == limit)
    }

    /// What nobody had committed, as the last whole round says.
    pub(crate) fn room(&self) -> Option<NanoUsd> {
        self.shown.as_ref().map(|shown| less(shown.limit, shown.present))
    }
}
