//! A pot as one life of a node sees it.

use dunlin_types::{NanoUsd, UnixMillis};

use crate::pot::{Holder, Pot};

/// What the replicated state says of a pot, seen from one life of a node. Read from the newest
/// state at the time of the call: an older one may show money that was given back since.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct View {
    /// When the pot's period began.
    pub period: UnixMillis,
    /// The limit, if the pot still has one.
    pub limit: Option<NanoUsd>,
    /// What is settled in the period, of all nodes.
    pub settled: NanoUsd,
    /// What this life's lease was granted.
    pub granted: NanoUsd,
    /// What this life's lease has used.
    pub used: NanoUsd,
    /// What is neither settled nor set aside.
    pub free: NanoUsd,
    /// What lies unused on the leases of nodes that can be asked for it.
    pub others: NanoUsd,
    /// What lies unused on all other leases, such as those of dead and cut-off lives.
    pub withheld: NanoUsd,
}

impl View {
    /// A pot as one life of a node sees it. `answers` says of another life whether it can be asked
    /// to give back.
    #[must_use]
    pub fn of(
        pot: &Pot,
        limit: Option<NanoUsd>,
        holder: Holder,
        answers: impl Fn(Holder) -> bool,
    ) -> Self {
        let own = pot.lease(holder);
        let others = pot.leases.iter().filter(|lease| (lease.node, lease.epoch) != holder);
        let (mut asked, mut silent) = (NanoUsd::ZERO, NanoUsd::ZERO);
        for lease in others {
            let answers = answers((lease.node, lease.epoch));
            *if answers { &mut asked } else { &mut silent } += lease.unused();
        }
        Self {
            period: pot.period,
            limit,
            settled: pot.settled,
            granted: own.map_or(NanoUsd::ZERO, |own| own.granted),
            used: own.map_or(NanoUsd::ZERO, |own| own.used),
            free: pot.free(limit),
            others: asked,
            withheld: silent,
        }
    }
}
