//! A cluster around the real pots and purses: an atomic log with a memory of what it applied, and
//! nodes that see it late, lose their answers and die.

use std::collections::BTreeMap;

use dunlin_ledger::{Answer, Demand, Due, Holder, Life, Pot, Purses, Recall, Short, View, Want};
use dunlin_types::{
    EntityId, Epoch, Line, MonoMillis, NanoUsd, NodeId, PotId, RequestId, UnixMillis,
};

/// The pot of an entity with that number.
pub(crate) fn pot(number: u64) -> PotId {
    PotId { of: EntityId(number), line: Line::Main }
}

/// What is replicated: pots with their limits, and how far each node's lives are settled and what
/// they asked for. Commands change it as `state` does.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Log {
    pub(crate) at: UnixMillis,
    pub(crate) pots: BTreeMap<PotId, (NanoUsd, Pot)>,
    pub(crate) settled: BTreeMap<NodeId, (Epoch, u64)>,
    pub(crate) leased: BTreeMap<NodeId, (Epoch, u64)>,
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
pub(crate) type Record = Vec<(PotId, UnixMillis, NanoUsd)>;

/// What a node proposes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Command {
    /// The number, within a life, of returns and wants.
    Lease { number: u64, returns: Vec<(PotId, UnixMillis, NanoUsd)>, wants: Vec<(PotId, Wanted)> },
    /// What followed a record of a life.
    Settle { after: u64, records: Vec<Record> },
}

/// A [`Want`] in an order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Wanted(pub(crate) UnixMillis, pub(crate) NanoUsd, pub(crate) NanoUsd);

impl Log {
    pub(crate) fn with_pots(limit: u64, pots: u64, period: UnixMillis) -> Self {
        let pot_of = |number| (pot(number), (NanoUsd(limit), Pot { period, ..Pot::default() }));
        Self { at: period, pots: (1..=pots).map(pot_of).collect(), ..Self::default() }
    }

    pub(crate) fn view(&self, pot: &PotId, holder: Holder) -> View {
        let Some((limit, pot)) = self.pots.get(pot) else { return View::default() };
        View::of(pot, Some(*limit), holder, |_| true)
    }

    /// Whom a life can ask about a pot.
    pub(crate) fn lives(&self, pot: &PotId, asking: Holder) -> Vec<Life> {
        let leases = self.pots.get(pot).map_or(&[][..], |(_, pot)| &pot.leases);
        let others = leases.iter().filter(|lease| lease.node != asking.0);
        let life = |lease: &dunlin_ledger::Lease| Life {
            holder: (lease.node, lease.epoch),
            unused: lease.unused(),
            through: self.through((lease.node, lease.epoch)),
        };
        others.map(life).collect()
    }

    pub(crate) fn apply(&mut self, holder: Holder, command: &Command) {
        match command {
            Command::Lease { number, returns, wants } => {
                let known = self.leased.get(&holder.0).copied().unwrap_or_default();
                if (holder.1, *number) > known {
                    self.leased.insert(holder.0, (holder.1, *number));
                    self.lease(holder, returns, wants);
                }
            }
            Command::Settle { after, records } => {
                let (epoch, through) = self.settled.get(&holder.0).copied().unwrap_or_default();
                let is_next = (holder.1, *after) == (epoch, through);
                if is_next || (holder.1 > epoch && *after == 0) {
                    let to = after + count(records);
                    self.settled.insert(holder.0, (holder.1, to));
                    self.settle(holder, records);
                }
            }
        }
    }

    fn lease(
        &mut self,
        holder: Holder,
        returns: &[(PotId, UnixMillis, NanoUsd)],
        wants: &[(PotId, Wanted)],
    ) {
        for (pot, period, amount) in returns {
            if let Some((_, pot)) = self.pots.get_mut(pot) {
                pot.give_back(holder, *period, *amount);
            }
        }
        for (pot, Wanted(period, least, amount)) in wants {
            let pot = self.pots.get_mut(pot).filter(|_| *period <= self.at);
            if let Some((limit, pot)) = pot {
                pot.turn(*period);
                let want = Want { period: *period, least: *least, amount: *amount };
                pot.grant(holder, Some(*limit), &want);
            }
        }
    }

    fn settle(&mut self, holder: Holder, records: &[Record]) {
        for (pot, period, cost) in records.iter().flatten() {
            if let Some((_, pot)) = self.pots.get_mut(pot) {
                pot.turn(*period);
                pot.settle(holder, *period, *cost);
            }
        }
    }

    /// The lives of a node up to one are over and settled.
    pub(crate) fn close(&mut self, node: NodeId, up_to: Epoch) {
        let leased = self.leased.entry(node).or_default();
        *leased = (*leased).max((up_to, u64::MAX));
        self.pots.values_mut().for_each(|(_, pot)| pot.close(node, up_to));
    }

    /// How far a life is settled.
    pub(crate) fn through(&self, (node, life): Holder) -> u64 {
        match self.settled.get(&node) {
            Some((epoch, through)) if *epoch == life => *through,
            Some(_) | None => 0,
        }
    }
}

pub(crate) fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).expect("few")
}

impl Node {
    pub(crate) fn new(id: u64) -> Self {
        let purses = Purses::new(1_000);
        Self { id: NodeId(id), epoch: Epoch(1), purses, journal: Vec::new() }
    }

    pub(crate) fn holder(&self) -> Holder {
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

    /// Who of those that wait should look again.
    pub(crate) fn ready(&mut self, log: &Log, now: u64) -> Vec<RequestId> {
        let holder = self.holder();
        let view = |pot: &PotId| log.view(pot, holder);
        self.purses.ready(&view, MonoMillis(now))
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
        let view = |pot: &PotId| log.view(pot, holder);
        self.purses.due(&view, &|pot| log.lives(pot, holder), MonoMillis(now))
    }

    /// What it says to a node that asks it, as the life that it is.
    pub(crate) fn answer(&mut self, by: NodeId, recall: &Recall, now: u64) -> (Holder, Answer) {
        let holder = self.holder();
        let asked = recall.lives.iter().find(|life| life.holder == holder);
        let through = asked.map_or(0, |life| life.through);
        (holder, self.purses.recall(by, recall, through, MonoMillis(now)))
    }

    /// Records what a request cost of all that it holds.
    pub(crate) fn settle(&mut self, request: u128, cost: NanoUsd) {
        let held = self.purses.held(RequestId(request));
        let charges: Record = held.into_iter().map(|held| (held.pot, held.period, cost)).collect();
        self.journal.push(charges.clone());
        self.purses.settle(RequestId(request), &charges, count(&self.journal));
    }

    /// What is due as a command, and whom to ask.
    pub(crate) fn command(
        &mut self,
        log: &Log,
        number: u64,
        now: u64,
    ) -> (Option<Command>, Vec<Recall>) {
        let Due { wants, returns, recalls } = self.due(log, now);
        if wants.is_empty() && returns.is_empty() {
            return (None, recalls);
        }
        let wants = wants
            .into_iter()
            .map(|(pot, Want { period, least, amount })| (pot, Wanted(period, least, amount)));
        (Some(Command::Lease { number, returns, wants: wants.collect() }), recalls)
    }

    /// The state that it sees shows what became of a command of this life.
    pub(crate) fn answered(&mut self, command: &Command, now: u64) {
        if let Command::Lease { returns, wants, .. } = command {
            for (pot, period, amount) in returns {
                self.purses.returned(pot, *period, *amount);
            }
            for (pot, _) in wants {
                self.purses.answered(pot, MonoMillis(now));
            }
        }
    }

    /// Applies what is due at once and returns whom to ask.
    pub(crate) fn propose(&mut self, log: &mut Log, now: u64) -> Vec<Recall> {
        let (_, number) = log.leased.get(&self.id).copied().unwrap_or_default();
        let (command, recalls) = self.command(log, number + 1, now);
        if let Some(command) = command {
            log.apply(self.holder(), &command);
            self.answered(&command, now);
        }
        recalls
    }

    /// Settles all it has recorded.
    pub(crate) fn settle_journal(&mut self, log: &mut Log) {
        let after = log.through(self.holder());
        let from = usize::try_from(after).expect("few records");
        let records = self.journal[from..].to_vec();
        log.apply(self.holder(), &Command::Settle { after, records });
        self.purses.settled_through(log.through(self.holder()));
    }
}
