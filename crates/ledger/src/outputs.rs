//! How long answers have been lately, by key and model: what is held for a request that names no
//! maximum.

use std::collections::BTreeMap;
use std::mem;

use dunlin_types::{EntityId, Tokens};

/// Pairs of a key and a model that are remembered at most; the longest unused go first. Of those
/// forgotten, the model's answers to all keys are the measure. About 20 MB.
pub const MAX_LEARNED: usize = 100_000;
/// Models that are remembered at most, in the same way.
pub const MAX_LEARNED_MODELS: usize = 4_096;
/// Fewer answers than this say nothing.
const FEWEST: u16 = 20;
/// So many answers are remembered; then each counts half, so that the latest weigh most.
const MOST: u16 = 400;
/// Four lengths for each doubling, up to 2¹⁸ tokens: what is told is at most a quarter too long.
const LENGTHS: usize = 72;

/// What was learned. One node's own; nothing is lost with it but some precision.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    by_key: Generations<EntityId>,
    by_model: Generations<()>,
}

/// Two halves: when the newer is full, the older is forgotten. What is used moves to the newer.
#[derive(Clone, Debug, Default)]
struct Generations<Of> {
    newer: BTreeMap<Of, BTreeMap<Box<str>, Lengths>>,
    older: BTreeMap<Of, BTreeMap<Box<str>, Lengths>>,
    in_newer: usize,
    in_older: usize,
}

/// How many answers had about which length.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    counts: [u16; LENGTHS],
    all: u16,
}

impl Outputs {
    /// Remembers the length of one answer.
    pub fn learn(&mut self, key: EntityId, model: &str, output: Tokens) {
        self.by_key.entry(key, model, MAX_LEARNED / 2).add(output);
        self.by_model.entry((), model, MAX_LEARNED_MODELS / 2).add(output);
    }

    /// What 99 of 100 answers to that key did not exceed, or to all keys while it is new. Nothing
    /// if that is unknown, too.
    #[must_use]
    pub fn expected(&self, key: EntityId, model: &str) -> Option<Tokens> {
        let own = self.by_key.find(&key, model).and_then(Lengths::p99);
        own.or_else(|| self.by_model.find(&(), model).and_then(Lengths::p99))
    }

    /// Pairs of a key and a model that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.in_newer + self.by_key.in_older
    }

    /// Nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<Of: Ord + Copy + Default> Generations<Of> {
    fn find(&self, of: &Of, model: &str) -> Option<&Lengths> {
        let newer = self.newer.get(of).and_then(|models| models.get(model));
        newer.or_else(|| self.older.get(of).and_then(|models| models.get(model)))
    }

    fn entry(&mut self, of: Of, model: &str, most: usize) -> &mut Lengths {
        let is_there = self.newer.get(&of).is_some_and(|models| models.contains_key(model));
        if !is_there {
            if self.in_newer >= most {
                self.older = mem::take(&mut self.newer);
                self.in_older = mem::take(&mut self.in_newer);
            }
            let known = self.older.get_mut(&of).and_then(|models| models.remove(model));
            self.in_older -= usize::from(known.is_some());
            self.newer.entry(of).or_default().insert(model.into(), known.unwrap_or_default());
            self.in_newer += 1;
        }
        let lengths = self.newer.get_mut(&of).and_then(|models| models.get_mut(model));
        lengths.expect("it was there or has just been put there")
    }
}

impl Default for Lengths {
    fn default() -> Self {
        Self { counts: [0; LENGTHS], all: 0 }
    }
}

impl Lengths {
    fn add(&mut self, output: Tokens) {
        if self.all >= MOST {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.all = self.counts.iter().sum();
        }
        self.counts[length(output.0)] += 1;
        self.all += 1;
    }

    fn p99(&self) -> Option<Tokens> {
        if self.all < FEWEST {
            return None;
        }
        let mut beyond = self.all / 100;
        let counts = self.counts.iter().enumerate().rev();
        for (at, count) in counts {
            if *count > beyond {
                return Some(Tokens(longest(at)));
            }
            beyond -= count;
        }
        None
    }
}

/// The exponent and the next two bits: the fewer tokens, the finer.
fn length(tokens: u64) -> usize {
    let tokens = tokens.clamp(1, longest(LENGTHS - 1));
    let exponent = tokens.ilog2();
    let quarter = ((tokens << 2) >> exponent) & 3;
    usize::try_from(u64::from(exponent) << 2 | quarter).expect("below LENGTHS")
}

fn longest(length: usize) -> u64 {
    let (exponent, quarter) = (length >> 2, u64::try_from(length & 3).expect("below 4"));
    (((quarter + 5) << exponent) - 1) >> 2
}
