//! What all nodes agree on about one pot of money: what is settled in its period, and what each
//! life of a node may spend of it. Every node that spends has a lease of its own, so a settlement
//! touches one lease, and what a dead life had not used is exactly known.

use dunlin_types::{Epoch, NanoUsd, NodeId, UnixMillis};

use crate::period::Period;

/// One life of a node.
pub type Holder = (NodeId, Epoch);

/// A pot in its present period.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Pot {
    /// When the period began; 0 for a pot that never resets.
    pub period: UnixMillis,
    /// What was spent in this period and is known to all.
    pub settled: NanoUsd,
    /// What is set aside, a lease for each life that spends. One that is used up is dropped.
    pub leases: Vec<Lease>,
    /// When the length of its periods was last changed while this one ran, which goes on until the next
    /// one begins by the new length; else 0.
    pub kept: UnixMillis,
}

/// Money set aside for one life of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lease {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub epoch: Epoch,
    /// All it was granted in this period and has not given back.
    pub granted: NanoUsd,
    /// What it has settled, less than what it was granted.
    pub used: NanoUsd,
}

/// What a node asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Want {
    /// Of which period. Of another than the pot's, nothing is granted.
    pub period: UnixMillis,
    /// What a waiting request lacks: granted in full, or else all that is free.
    pub least: NanoUsd,
    /// What would do for a while: granted up to half of what is free.
    pub amount: NanoUsd,
}

impl Lease {
    /// What is set aside and not used.
    #[must_use]
    pub fn unused(&self) -> NanoUsd {
        less(self.granted, self.used)
    }
}

impl Pot {
    /// When the period began that runs by the calendar as `by_calendar`; without one, its own.
    #[must_use]
    pub fn begun(&self, by_calendar: Option<Period>) -> UnixMillis {
        let goes_on = |period: &Period| (period.start..period.end).contains(&self.kept);
        match by_calendar {
            Some(period) if !goes_on(&period) => period.start.max(self.period),
            Some(_) | None => self.period,
        }
    }

    /// What of `limit` is neither settled nor set aside; [`u64::MAX`] where there is no limit.
    #[must_use]
    pub fn free(&self, limit: Option<NanoUsd>) -> NanoUsd {
        let set_aside: NanoUsd = self.leases.iter().map(Lease::unused).sum();
        limit.map_or(NanoUsd(u64::MAX), |limit| less(limit, self.settled + set_aside))
    }

    /// Begins a later period: nothing is settled in it, and the leases of the former one end, which
    /// are returned. The same or an earlier start changes nothing.
    pub fn turn(&mut self, start: UnixMillis) -> Vec<Lease> {
        if start <= self.period {
            return Vec::new();
        }
        std::mem::replace(self, Self { period: start, ..Self::default() }).leases
    }

    /// Sets money aside and returns how much: half of what is free at most, but what is asked for
    /// at least in full if there is that much, and else all that is left. Nothing for a period that
    /// is not the pot's.
    pub fn grant(&mut self, holder: Holder, limit: Option<NanoUsd>, want: &Want) -> NanoUsd {
        if want.period != self.period {
            return NanoUsd::ZERO;
        }
        let free = self.free(limit);
        let granted = want.amount.min(NanoUsd(free.0 / 2)).max(want.least.min(free));
        if granted > NanoUsd::ZERO {
            let lease = self.lease_mut(holder);
            lease.granted += granted;
        }
        granted
    }

    /// Counts a cost, whatever is left and whether the holder still has a lease. A cost of another
    /// period is none of this one.
    pub fn settle(&mut self, holder: Holder, period: UnixMillis, cost: NanoUsd) {
        if period != self.period {
            return;
        }
        self.settled += cost;
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.is_of(holder)) {
            lease.used += cost;
        }
        self.leases.retain(|lease| lease.unused() > NanoUsd::ZERO);
    }

    /// Frees what the holder does not need, never what it has used. Must be applied once for each
    /// time it was decided: a return that is repeated takes what is held.
    pub fn give_back(&mut self, holder: Holder, period: UnixMillis, amount: NanoUsd) {
        if period != self.period {
            return;
        }
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.is_of(holder)) {
            lease.granted = less(lease.granted, amount.min(lease.unused()));
        }
        self.leases.retain(|lease| lease.unused() > NanoUsd::ZERO);
    }

    /// Ends the leases of a node's lives up to one of them: what they had not used is free. Right
    /// only after all that those lives recorded was settled.
    pub fn close(&mut self, node: NodeId, up_to: Epoch) {
        self.leases.retain(|lease| lease.node != node || lease.epoch > up_to);
    }

    /// What lies unused on leases of lives that are not present.
    #[must_use]
    pub fn withheld(&self, present: impl Fn(NodeId, Epoch) -> bool) -> NanoUsd {
        let absent = self.leases.iter().filter(|lease| !present(lease.node, lease.epoch));
        absent.map(Lease::unused).sum()
    }

    /// The holder's lease, if it has one.
    #[must_use]
    pub fn lease(&self, holder: Holder) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.is_of(holder))
    }

    fn lease_mut(&mut self, holder: Holder) -> &mut Lease {
        let (node, epoch) = holder;
        let at = self.leases.iter().position(|lease| lease.is_of(holder)).unwrap_or_else(|| {
            let lease = Lease { node, epoch, granted: NanoUsd::ZERO, used: NanoUsd::ZERO };
            self.leases.push(lease);
            self.leases.len() - 1
        });
        &mut self.leases[at]
    }
}

impl Lease {
    fn is_of(&self, (node, epoch): Holder) -> bool {
        self.node == node && self.epoch == epoch
    }
}

/// `a - b`, nothing where `b` is more.
pub(crate) fn less(a: NanoUsd, b: NanoUsd) -> NanoUsd {
    NanoUsd(a.0.saturating_sub(b.0))
}
