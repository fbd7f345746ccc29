//! One node's journal and its settling, as `dunlin-admission` does it: a stretch is proposed
//! unchanged until the state shows it, older lives first.

use std::collections::{BTreeMap, VecDeque};

use dunlin_state::{Charge, Command, Day, DaySums, Facets, State, Totals};
use dunlin_types::{EntityId, Epoch, Line, NanoUsd, NodeId, PotId, UnixMillis};

/// Records in one stretch: few, so that there are many stretches.
const MAX_RECORDS: usize = 24;
const AGAIN_MS: u64 = 500;

/// What one request cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) key: EntityId,
    pub(crate) cost: NanoUsd,
}

/// The records of each life, numbered from 1. Survives the process.
pub(crate) type Journal = BTreeMap<Epoch, Vec<Record>>;

#[derive(Debug)]
pub(crate) struct Settler {
    me: NodeId,
    epoch: Epoch,
    older: VecDeque<Epoch>,
    /// Up to where the life at hand is settled; `None`: to be read from the state.
    from: Option<u64>,
    stretch: Option<Stretch>,
}

#[derive(Debug)]
struct Stretch {
    epoch: Epoch,
    from: u64,
    to: u64,
    charges: Vec<Charge>,
    days: DaySums,
    proposed: u64,
}

impl Settler {
    pub(crate) fn new(me: NodeId, epoch: Epoch, journal: &Journal) -> Self {
        let older = journal.keys().copied().filter(|life| *life < epoch).collect();
        Self { me, epoch, older, from: None, stretch: None }
    }

    /// What is to be proposed now, if anything.
    pub(crate) fn due(&mut self, journal: &Journal, state: &State, now: u64) -> Option<Command> {
        let (life, settled) = state.settled(self.me);
        if let Some(stretch) = &mut self.stretch {
            if life == stretch.epoch && settled > stretch.from {
                self.from = Some(settled);
            } else if life > stretch.epoch {
                self.from = Some(stretch.to);
            } else if now - stretch.proposed < AGAIN_MS {
                return None;
            } else {
                stretch.proposed = now;
                return Some(stretch.command(self.me));
            }
            self.stretch = None;
        }
        loop {
            let epoch = self.older.front().copied().unwrap_or(self.epoch);
            let records = journal.get(&epoch).map(Vec::as_slice).unwrap_or_default();
            let from = self.from.unwrap_or(match epoch.cmp(&life) {
                std::cmp::Ordering::Less => records.len() as u64,
                std::cmp::Ordering::Equal => settled,
                std::cmp::Ordering::Greater => 0,
            });
            self.from = Some(from);
            let rest = &records[usize::try_from(from).expect("few records")..];
            let rest = &rest[..rest.len().min(MAX_RECORDS)];
            if !rest.is_empty() {
                let to = from + rest.len() as u64;
                let (charges, days) = (sums(rest), days(rest, state));
                let stretch = Stretch { epoch, from, to, charges, days, proposed: now };
                return Some(self.stretch.insert(stretch).command(self.me));
            }
            self.older.pop_front()?;
            self.from = None;
        }
    }
}

impl Stretch {
    fn command(&self, node: NodeId) -> Command {
        let Self { epoch, from, to, .. } = *self;
        let (charges, days) = (self.charges.clone(), self.days.clone());
        Command::Settle { node, epoch, from, to, charges, days, claimed: Vec::new() }
    }
}

fn sums(records: &[Record]) -> Vec<Charge> {
    let mut by_key: BTreeMap<EntityId, Charge> = BTreeMap::new();
    for Record { key, cost } in records {
        let pot = PotId { of: *key, line: Line::Main };
        let none = Charge { pot, period: UnixMillis(0), cost: NanoUsd::ZERO, requests: 0 };
        let sum = by_key.entry(*key).or_insert(none);
        sum.cost += *cost;
        sum.requests += 1;
    }
    by_key.into_values().collect()
}

/// The records have no time of their own: all are of the present day.
fn days(records: &[Record], state: &State) -> DaySums {
    let names: Vec<_> = records.iter().map(|record| name(record.key)).collect();
    DaySums::of(records.iter().zip(&names).map(|(record, name)| {
        let totals = Totals { cost: record.cost, successful: 1, ..Totals::default() };
        let of = Facets { key: Some(name.as_str()), ..Facets::default() };
        (Day::of(state.at()), of, totals)
    }))
}

/// How the daily totals call a key here.
pub(super) fn name(key: EntityId) -> String {
    key.0.to_string()
}
