//! When which node was in which trouble, read from what was done to the cluster.

use super::{Act, Bounds, History};

/// What is wrong with a node for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ill {
    /// Its process was killed.
    Killed,
    /// Its process was asked to stop.
    Stopped,
    /// Its process stands still.
    Paused,
    /// It cannot speak with the others.
    CutOff,
    /// What it says and hears is lost or late.
    Lossy,
}

/// One node, one trouble.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// Which node.
    pub node: usize,
    /// What is wrong.
    pub ill: Ill,
    /// Since when.
    pub from: u64,
    /// When it was over; the end of time if it never was.
    pub until: u64,
}

/// All troubles of a run.
#[derive(Clone, Debug)]
pub struct Troubles {
    all: Vec<Trouble>,
    nodes: usize,
    bounds: Bounds,
}

impl Troubles {
    /// Those of a history.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let mut found = Self { all: Vec::new(), nodes: history.nodes, bounds: history.bounds };
        for (at, act) in history.acts() {
            match act {
                Act::Killed { node } => found.begin(*node, Ill::Killed, at),
                Act::Stopped { node } => found.begin(*node, Ill::Stopped, at),
                Act::Paused { node } => found.begin(*node, Ill::Paused, at),
                Act::CutOff { nodes } => {
                    nodes.iter().for_each(|node| found.begin(*node, Ill::CutOff, at));
                }
                Act::Lossy => (0..history.nodes).for_each(|n| found.begin(n, Ill::Lossy, at)),
                Act::Back { node } => {
                    found.end(at, |t| {
                        t.node == *node && matches!(t.ill, Ill::Killed | Ill::Stopped)
                    });
                }
                Act::Resumed { node } => {
                    found.end(at, |t| t.node == *node && t.ill == Ill::Paused);
                }
                Act::Connected => found.end(at, |t| t.ill == Ill::CutOff),
                Act::Steady => found.end(at, |t| t.ill == Ill::Lossy),
                Act::BackendIll { .. } | Act::BackendWell { .. } => {}
            }
        }
        found
    }

    fn begin(&mut self, node: usize, ill: Ill, from: u64) {
        self.all.push(Trouble { node, ill, from, until: u64::MAX });
    }

    fn end(&mut self, at: u64, ended: impl Fn(&Trouble) -> bool) {
        for trouble in self.all.iter_mut().filter(|t| t.until == u64::MAX && ended(t)) {
            trouble.until = at;
        }
    }

    /// What the run's promises allow.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Those that overlap a time, the time to get over them included.
    pub fn during(&self, from: u64, to: u64) -> impl Iterator<Item = &Trouble> {
        let after = self.bounds.rejoin_ms;
        self.all.iter().filter(move |t| t.from <= to && from <= t.until.saturating_add(after))
    }

    /// How long a change may take that is made at `from` and looked for on `node` at `to`; `None`
    /// if the node or the majority was out of reach in between.
    #[must_use]
    pub fn spread_ms(&self, node: usize, from: u64, to: u64) -> Option<u64> {
        if self.during(from, to).any(|trouble| trouble.node == node) {
            return None;
        }
        let mut others: Vec<usize> = self.during(from, to).map(|trouble| trouble.node).collect();
        others.sort_unstable();
        others.dedup();
        let majority = self.nodes / 2 + 1;
        let reached = self.nodes - others.len() >= majority;
        let election = if others.is_empty() { 0 } else { self.bounds.election_ms };
        reached.then_some(self.bounds.spread_ms + election)
    }

    /// Whether `node` was gone, or had not come back, at some moment of this time.
    #[must_use]
    pub fn was_gone(&self, node: usize, from: u64, to: u64) -> bool {
        let gone = |t: &Trouble| t.node == node && matches!(t.ill, Ill::Killed | Ill::Stopped);
        self.all.iter().any(|t| gone(t) && t.from <= to && from <= t.until)
    }

    /// Whether `node` was killed, or had not come back from it, at some moment of this time.
    #[must_use]
    pub fn was_killed(&self, node: usize, from: u64, to: u64) -> bool {
        let killed = |t: &Trouble| t.node == node && t.ill == Ill::Killed;
        self.all.iter().any(|t| killed(t) && t.from <= to && from <= t.until)
    }
}
