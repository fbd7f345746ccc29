//! What passes between a node's purses and its edge: what a request needs and lacks, and what is to
//! be proposed and asked for.

use dunlin_types::{NanoUsd, PotId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::pot::{Holder, Want};
use crate::purse::Ticket;

/// Wants, returns and recalls told at a time. The others are told the next time.
pub const MAX_DUE: usize = 4_096;

/// What a request needs of one pot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// The pot. Each at most once in a request.
    pub pot: PotId,
    /// The period that is running, by this node's clock.
    pub period: UnixMillis,
    /// The limit, as this node sees it.
    pub limit: NanoUsd,
    /// What to hold. Nothing always fits.
    pub amount: NanoUsd,
    /// Whether less than the amount will not do.
    pub strict: bool,
}

/// What a request holds of one pot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The pot.
    pub pot: PotId,
    /// The period in which it will be charged.
    pub period: UnixMillis,
    /// How much.
    pub amount: NanoUsd,
}

/// Too little is available here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Short {
    /// The pots that lack, in the order of the demands.
    pub pots: Vec<Shortage>,
    /// There is no room for the books of a pot. What is left of it is not said.
    pub lacks_room: bool,
}

/// A pot that lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// The pot.
    pub pot: PotId,
    /// The period.
    pub period: UnixMillis,
    /// What was to be held.
    pub need: NanoUsd,
    /// What could be held here.
    pub available: NanoUsd,
    /// What could be held if every other node gave up all it has.
    pub reachable: NanoUsd,
    /// What lies on nodes that cannot be reached.
    pub withheld: NanoUsd,
    /// Whether less than the need will not do.
    pub strict: bool,
}

impl Shortage {
    /// True if no other node can help: there is no use in waiting.
    #[must_use]
    pub fn is_final(&self) -> bool {
        if self.strict { self.reachable < self.need } else { self.reachable == NanoUsd::ZERO }
    }
}

impl Short {
    /// True if no other node can help.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.lacks_room || self.is_spent()
    }

    /// True if that is because too little is left of a pot.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.pots.iter().any(Shortage::is_final)
    }
}

/// What to propose, and whom to ask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Due {
    /// To be granted. No more is wanted of a pot until [`crate::Purses::answered`].
    pub wants: Vec<(PotId, Want)>,
    /// To be given back, of that period, exactly once. Not available until [`crate::Purses::returned`].
    pub returns: Vec<(PotId, UnixMillis, NanoUsd)>,
    /// To be asked of the nodes of these lives: see [`crate::Purses::recall`]. What becomes of each
    /// question is told to [`crate::Purses::heard`].
    pub recalls: Vec<Recall>,
}

/// A request waits for money of a pot: give back what is not needed, and say what is committed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Recall {
    /// The pot.
    pub pot: PotId,
    /// The place of the request among all that wait.
    pub ticket: Ticket,
    /// What it lacks, with what those on its node lack that go before it.
    pub lacks: NanoUsd,
    /// Counts the asking node's questions about this pot. A question may arrive more than once.
    pub round: u64,
    /// The period that is asked about.
    pub period: UnixMillis,
    /// Who is asked.
    pub lives: Vec<Life>,
}

/// A life with a lease that is not used up, seen from another node that can ask it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Life {
    /// Whose lease.
    pub holder: Holder,
    /// What is left of it.
    pub unused: NanoUsd,
    /// How far its journal is settled, as the asking node knows.
    pub through: u64,
}

/// What a node has committed of a pot: held by its requests, or recorded, and not settled as far as
/// the asking node knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Answer {
    /// At every moment since it answered the round before; nothing if it did not.
    pub least: NanoUsd,
    /// Now.
    pub present: NanoUsd,
}

impl Due {
    pub(crate) fn is_full(&self) -> bool {
        self.wants.len() + self.returns.len() + self.recalls.len() >= MAX_DUE
    }
}
