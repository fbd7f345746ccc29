//! What must hold, whatever was done to the cluster. One file each; every one reads a [`History`]
//! and nothing else, so the same ones judge simulated and real nodes.

mod acknowledged_writes;
mod agreement;
mod blocked_keys;
mod counts;
mod failures;
mod limits;
mod new_keys;
mod settled_once;
mod streams;

use crate::history::History;

/// A promise that can be checked.
pub struct Invariant {
    /// One word for it.
    pub name: &'static str,
    /// What is promised.
    pub promise: &'static str,
    /// Judges a run.
    pub check: fn(&History) -> Verdict,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How much there was to look at. A run that shows nothing proves nothing.
    pub looked_at: usize,
    /// The figure, in words.
    pub figure: String,
    /// Each thing that must not be.
    pub broken: Vec<String>,
}

/// All of them.
pub static ALL: &[Invariant] = &[
    acknowledged_writes::INVARIANT,
    agreement::INVARIANT,
    blocked_keys::INVARIANT,
    counts::INVARIANT,
    failures::INVARIANT,
    limits::INVARIANT,
    new_keys::INVARIANT,
    settled_once::INVARIANT,
    streams::INVARIANT,
];

/// Judges a run by all of them that are about it.
#[must_use]
pub fn judge(history: &History) -> Vec<(&'static Invariant, Verdict)> {
    let fits = |known: &&Invariant| history.streams || known.name != streams::INVARIANT.name;
    ALL.iter().filter(fits).map(|known| (known, (known.check)(history))).collect()
}

#[cfg(test)]
mod tests;
