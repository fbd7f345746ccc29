//! What goes wrong in a simulated run, and when: drawn from the seed before it begins.

use crate::random::Random;

/// The first fault comes when all have met and the limits have owners.
const CALM_MS: u64 = 4_000;
/// The last one is over by then.
pub(super) const OVER_MS: u64 = 70_000;
/// Most of a minute: what was admitted before must come back while a node is apart.
const LONGEST_MS: u64 = 45_000;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node dies and comes back.
    Crash,
    /// The leader dies and comes back.
    CrashLeader,
    /// All nodes die at once and come back one by one.
    CrashAll,
    /// A node stands still, then goes on where it was.
    Pause,
    /// A node hears nobody and nobody hears it.
    Isolate,
    /// The smaller half of the nodes is cut off from the larger one.
    Split,
    /// Messages are lost and late.
    Lossy,
}

/// All of them, with what is said of each in lists.
pub static ALL: &[(Fault, &str, &str)] = &[
    (Fault::Crash, "crash", "a node dies and comes back"),
    (Fault::CrashLeader, "crash-leader", "the leader dies and comes back"),
    (Fault::CrashAll, "crash-all", "all nodes die at once and come back one by one"),
    (Fault::Pause, "pause", "a node stands still, then goes on"),
    (Fault::Isolate, "isolate", "a node hears nobody and nobody hears it"),
    (Fault::Split, "split", "the smaller half of the nodes is cut off"),
    (Fault::Lossy, "lossy", "messages are lost and late"),
];

/// One fault at its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    /// When it begins, in milliseconds.
    pub at: u64,
    /// When it is over.
    pub until: u64,
    /// What goes wrong.
    pub fault: Fault,
    /// Whom it meets, where that is not the leader or all.
    pub victim: usize,
}

/// The faults of one run: most after one another, some at the same time. Each run has only some
/// kinds, for what one allows may hide what another breaks.
pub(super) fn plan(random: &mut Random, nodes: usize) -> Vec<Planned> {
    let mut kinds: Vec<Fault> = ALL.iter().map(|(fault, ..)| *fault).collect();
    random.shuffle(&mut kinds);
    kinds.truncate(usize::try_from(random.between(1, 4)).expect("few kinds"));
    let mut planned = Vec::new();
    let mut at = CALM_MS + random.below(6_000);
    loop {
        let lasts = match random.below(3) {
            0 => random.between(300, 2_500),
            1 => random.between(1_500, 6_000),
            _ => random.between(6_000, LONGEST_MS),
        };
        let until = at + lasts;
        if until > OVER_MS {
            return planned;
        }
        let fault = *random.pick(&kinds).expect("there are faults");
        let victim = usize::try_from(random.below(nodes as u64)).expect("few nodes");
        planned.push(Planned { at, until, fault, victim });
        at = if random.percent(25) {
            at + random.between(100, lasts)
        } else {
            until + random.between(500, 9_000)
        };
    }
}
