//! A cluster around the real pots and purses: an atomic log with a memory of what it applied, and
//! nodes that see it late, lose their answers and die.

use std::collections::BTreeMap;

use dunlin_ledger::{Demand, Due, Pot, Purses, Short, Ticket, View, Want};
use dunlin_types::{
    EntityId, Epoch, Line, MonoMillis, NanoUsd, NodeId, PotId, RequestId, UnixMillis,
};

/// The pot of an entity with that number.
pub(crate) fn pot(number: u64) -> PotId {
    PotId { of: EntityId(number), line: Line::Main }
}

/// What is replicated: pots with their limits, and how far each life of a node is settled.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Log {
    pub(crate) pots: BTreeMap<PotId, (NanoUsd, Pot)>,
    pub(crate) settled: BTreeMap<NodeId, (Epoch, u64)>,
}

/// One life of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) purses: Purses,
    /// What it recorded: on disk, so it survives a crash.
    pub(crate) journal: Vec<Record>,
}

/// One record: what a request cost, by pot and period.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Record {
    pub(crate) charges: Vec<(PotId, UnixMillis, NanoUsd)>,
}

impl Log {
    pub(crate) fn view(&self, pot: &PotId, holder: (NodeId, Epoch)) -> View {
        let Some((limit, pot)) = self.pots.get(pot) else { return View::default() };
        let own = pot.lease(holder).copied();
        let others = pot.leases.iter().filter(|lease| (lease.node, lease.epoch) != holder);
        View {
            period: pot.period,
            limit: Some(*limit),
            settled: pot.settled,
            granted: own.map_or(NanoUsd::ZERO, |own| own.granted),
            used: own.map_or(NanoUsd::ZERO, |own| own.used),
            free: pot.free(Some(*limit)),
            others: others.map(|lease| lease.unused()).sum(),
        }
    }

    pub(crate) fn grant(&mut self, holder: (NodeId, Epoch), pot: &PotId, want: &Want) {
        if let Some((limit, pot)) = self.pots.get_mut(pot) {
            pot.turn(want.period);
            pot.grant(holder, Some(*limit), want);
        }
    }

    pub(crate) fn give_back(
        &mut self,
        holder: (NodeId, Epoch),
        (pot, period, amount): &(PotId, UnixMillis, NanoUsd),
    ) {
        if let Some((_, pot)) = self.pots.get_mut(pot) {
            pot.give_back(holder, *period, *amount);
        }
    }

    /// Settles what follows the watermark of a life; what is not of its newest is settled already.
    pub(crate) fn settle(&mut self, holder: (NodeId, Epoch), journal: &[Record]) {
        let (epoch, through) = self.settled.get(&holder.0).copied().unwrap_or_default();
        assert!(holder.1 >= epoch, "lives settle in their order");
        let from = if epoch == holder.1 { through } else { 0 };
        for (pot, period, cost) in journal.iter().skip(index(from)).flat_map(|it| &it.charges) {
            if let Some((_, pot)) = self.pots.get_mut(pot) {
                pot.settle(holder, *period, *cost);
            }
        }
        let through = u64::try_from(journal.len()).expect("few records");
        self.settled.insert(holder.0, (holder.1, through));
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("few records")
}

impl Node {
    pub(crate) fn new(id: u64) -> Self {
        let purses = Purses::new();
        Self { id: NodeId(id), epoch: Epoch(1), purses, journal: Vec::new() }
    }

    pub(crate) fn holder(&self) -> (NodeId, Epoch) {
        (self.id, self.epoch)
    }

    pub(crate) fn hold(
        &mut self,
        log: &Log,
        request: u128,
        demands: &[Demand],
        now: u64,
    ) -> Result<(), Short> {
        let holder = self.holder();
        let view = |pot: &PotId| log.view(pot, holder);
        self.purses.hold(RequestId(request), demands, &view, MonoMillis(now))
    }

    pub(crate) fn hold_rest(
        &mut self,
        log: &Log,
        request: u128,
        demands: &[Demand],
        now: u64,
    ) -> Result<(), Short> {
        let holder = self.holder();
        let view = |pot: &PotId| log.view(pot, holder);
        self.purses.hold_rest(RequestId(request), demands, &view, MonoMillis(now))
    }

    pub(crate) fn due(&mut self, log: &Log, now: u64) -> Due {
        let holder = self.holder();
        self.purses.due(&|pot: &PotId| log.view(pot, holder), MonoMillis(now))
    }

    /// Records what a request cost of all that it holds.
    pub(crate) fn settle(&mut self, request: u128, cost: NanoUsd) {
        let held = self.purses.held(RequestId(request));
        let charges: Vec<_> = held.into_iter().map(|held| (held.pot, held.period, cost)).collect();
        self.journal.push(Record { charges: charges.clone() });
        let seq = u64::try_from(self.journal.len()).expect("few records");
        self.purses.settle(RequestId(request), &charges, seq);
    }

    /// Applies what is due at once and returns whom to ask.
    pub(crate) fn propose(&mut self, log: &mut Log, now: u64) -> Vec<(PotId, Ticket)> {
        let due = self.due(log, now);
        for back in &due.returns {
            log.give_back(self.holder(), back);
            self.purses.returned(&back.0, back.1, back.2);
        }
        for (pot, want) in &due.wants {
            log.grant(self.holder(), pot, want);
            self.purses.answered(pot, MonoMillis(now));
        }
        due.recalls
    }

    /// Settles all it has recorded.
    pub(crate) fn settle_journal(&mut self, log: &mut Log) {
        log.settle(self.holder(), &self.journal);
        let (_, through) = log.settled[&self.id];
        self.purses.settled_through(through);
    }
}
