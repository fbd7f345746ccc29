//! Everything that can happen to nodes around the log, in steps that a checker may take in any
//! order: nodes see the log late, commands wait, come twice or after their proposer died, asking
//! messages wait, nodes crash and are cut off.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_ledger::{Answer, Demand, Held, Holder, Recall};
use dunlin_types::{Epoch, NanoUsd, NodeId, PotId, RequestId, UnixMillis};

use crate::world::{Command, Log, Node, Record, count};

pub(crate) const FIRST: UnixMillis = UnixMillis(1);
pub(crate) const SECOND: UnixMillis = UnixMillis(2);

/// What there is and what may happen in one check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) limit: u64,
    pub(crate) pots: u64,
    /// Whether a request that is short is let in on the last money.
    pub(crate) lenient: bool,
    /// What the requests of each node hold, one after the other.
    pub(crate) asks: Vec<Vec<u64>>,
    /// What requests may cost; more than they asked for is cut to it.
    pub(crate) costs: Vec<u64>,
    pub(crate) crashes: u8,
    pub(crate) cuts: u8,
    pub(crate) midnights: u8,
    pub(crate) deletions: u8,
    pub(crate) ticks: u8,
    /// Limits that are set, in this order.
    pub(crate) limits: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Cluster {
    pub(crate) log: Log,
    pub(crate) nodes: Vec<Peer>,
    /// Commands of lives that are over, which may still come.
    pub(crate) late: BTreeSet<(NodeId, Epoch, Command)>,
    pub(crate) now: u64,
    pub(crate) faults: Faults,
    /// What answers cost beyond what was held for them.
    over: u64,
    pub(crate) broken: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Faults {
    crashes: u8,
    cuts: u8,
    midnights: u8,
    deletions: u8,
    ticks: u8,
    limits: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Peer {
    pub(crate) node: Node,
    /// Journals of former lives.
    pub(crate) former: BTreeMap<Epoch, Vec<Record>>,
    /// The last life that is closed.
    closed: Epoch,
    pub(crate) sees: Log,
    /// The highest limit since what it sees.
    pub(crate) most: u64,
    pub(crate) is_up: bool,
    pub(crate) is_cut: bool,
    pub(crate) asked: usize,
    pub(crate) waits: BTreeMap<u128, u64>,
    pub(crate) holds: BTreeMap<u128, u64>,
    number: u64,
    leasing: Option<Command>,
    settling: Option<Command>,
    /// Those whose time is over, and whether there has been enough for them ever since.
    insists: BTreeMap<u128, bool>,
    pub(crate) recalls: BTreeSet<(NodeId, Recall)>,
    answers: BTreeSet<Told>,
}

/// What became of a question: about which pot, of which round, asked of whom, and the answer.
type Told = (PotId, u64, NodeId, Option<(Holder, Answer)>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Ask(usize),
    Retry(usize, u128),
    Insist(usize, u128),
    GiveUp(usize, u128),
    Finish(usize, u128, u64),
    Void(usize, u128),
    Due(usize),
    ApplyLease(usize),
    ApplySettle(usize),
    ApplyLate,
    Recall(usize),
    Silence(usize),
    Heard(usize),
    Settle(usize),
    See(usize),
    Crash(usize),
    Restart(usize),
    Close(usize),
    Cut(usize),
    Heal(usize),
    Limit,
    Midnight,
    Delete,
    Tick,
}

impl Peer {
    pub(crate) fn is_connected(&self) -> bool {
        self.is_up && !self.is_cut
    }

    /// Its client has left.
    pub(crate) fn forget(&mut self, request: u128) {
        self.waits.remove(&request);
        self.insists.remove(&request);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.former.keys().all(|epoch| *epoch <= self.closed)
    }

    pub(crate) fn journals(&self) -> impl Iterator<Item = (Epoch, &Vec<Record>)> {
        let former = self.former.iter().map(|(epoch, journal)| (*epoch, journal));
        former.chain([(self.node.epoch, &self.node.journal)])
    }
}

impl Cluster {
    pub(crate) fn new(plan: &Plan) -> Self {
        let log = Log::with_pots(plan.limit, plan.pots, FIRST);
        let peer = |number: usize| Peer {
            node: Node::new(number as u64 + 1),
            former: BTreeMap::new(),
            closed: Epoch(0),
            sees: log.clone(),
            most: plan.limit,
            is_up: true,
            is_cut: false,
            asked: 0,
            waits: BTreeMap::new(),
            holds: BTreeMap::new(),
            number: 0,
            leasing: None,
            settling: None,
            insists: BTreeMap::new(),
            recalls: BTreeSet::new(),
            answers: BTreeSet::new(),
        };
        let nodes = (0..plan.asks.len()).map(peer).collect();
        let (late, faults) = (BTreeSet::new(), Faults::default());
        Self { log, nodes, late, now: 0, faults, over: 0, broken: None }
    }

    pub(crate) fn actions(&self, plan: &Plan) -> Vec<Action> {
        let mut actions = Vec::new();
        for (at, peer) in self.nodes.iter().enumerate() {
            if peer.is_up {
                self.of_requests(at, plan, &mut actions);
                self.of_node(at, plan, &mut actions);
            } else {
                actions.push(Action::Restart(at));
            }
        }
        if !self.late.is_empty() {
            actions.push(Action::ApplyLate);
        }
        let faults = [
            (self.faults.limits < plan.limits.len(), Action::Limit),
            (self.faults.midnights < plan.midnights, Action::Midnight),
            (self.faults.deletions < plan.deletions, Action::Delete),
            (self.faults.ticks < plan.ticks, Action::Tick),
        ];
        actions.extend(faults.into_iter().filter(|(may, _)| *may).map(|(_, fault)| fault));
        actions
    }

    fn of_requests(&self, at: usize, plan: &Plan, actions: &mut Vec<Action>) {
        let peer = &self.nodes[at];
        if peer.asked < plan.asks[at].len() {
            actions.push(Action::Ask(at));
        }
        for request in peer.waits.keys() {
            actions.extend([Action::Retry(at, *request), Action::GiveUp(at, *request)]);
            if !peer.insists.contains_key(request) {
                actions.push(Action::Insist(at, *request));
            }
        }
        for (request, amount) in &peer.holds {
            actions.push(Action::Void(at, *request));
            let costs: BTreeSet<u64> = plan.costs.iter().map(|cost| *cost.min(amount)).collect();
            actions.extend(costs.into_iter().map(|cost| Action::Finish(at, *request, cost)));
        }
    }

    fn of_node(&self, at: usize, plan: &Plan, actions: &mut Vec<Action>) {
        let peer = &self.nodes[at];
        let is_behind = peer.sees.through(peer.node.holder()) < count(&peer.node.journal);
        let may = [
            (peer.leasing.is_none(), Action::Due(at)),
            (peer.leasing.is_some() && !peer.is_cut, Action::ApplyLease(at)),
            (peer.settling.is_some() && !peer.is_cut, Action::ApplySettle(at)),
            (peer.settling.is_none() && peer.is_closed() && is_behind, Action::Settle(at)),
            (!peer.recalls.is_empty() && !peer.is_cut, Action::Recall(at)),
            (!peer.recalls.is_empty() && peer.is_cut, Action::Silence(at)),
            (!peer.answers.is_empty(), Action::Heard(at)),
            (!peer.is_cut && peer.sees != self.log, Action::See(at)),
            (!peer.is_cut && !peer.is_closed(), Action::Close(at)),
            (self.faults.crashes < plan.crashes, Action::Crash(at)),
            (!peer.is_cut && self.faults.cuts < plan.cuts, Action::Cut(at)),
            (peer.is_cut, Action::Heal(at)),
        ];
        actions.extend(may.into_iter().filter(|(may, _)| *may).map(|(_, action)| action));
    }

    pub(crate) fn step(&mut self, plan: &Plan, action: Action) {
        self.act(plan, action);
        self.watch(plan);
    }

    fn act(&mut self, plan: &Plan, action: Action) {
        match action {
            Action::Ask(at) => {
                let peer = &mut self.nodes[at];
                let request = (peer.asked * 10 + at + 1) as u128;
                let amount = plan.asks[at][peer.asked];
                peer.asked += 1;
                peer.waits.insert(request, amount);
                self.hold(plan, at, request);
            }
            Action::Retry(at, request) => self.hold(plan, at, request),
            Action::Insist(at, request) => {
                let peer = &mut self.nodes[at];
                peer.node.purses.insist(RequestId(request));
                peer.insists.insert(request, true);
            }
            Action::GiveUp(at, request) => {
                self.give_up(plan, at, request);
            }
            Action::Finish(at, request, cost) => {
                let peer = &mut self.nodes[at];
                peer.holds.remove(&request);
                let held = peer.node.purses.held(RequestId(request)).into_iter();
                self.over += held.map(|held| cost.saturating_sub(held.amount.0)).max().unwrap_or(0);
                peer.node.settle(request, NanoUsd(cost));
            }
            Action::Void(at, request) => {
                self.nodes[at].holds.remove(&request);
                self.nodes[at].node.purses.void(RequestId(request));
            }
            Action::Due(at) => self.due(at),
            Action::ApplyLease(at) => self.apply(at, |peer| peer.leasing.clone()),
            Action::ApplySettle(at) => self.apply(at, |peer| peer.settling.clone()),
            Action::ApplyLate => {
                let (node, epoch, command) = self.late.pop_first().expect("enabled");
                self.log.apply((node, epoch), &command);
            }
            Action::Recall(at) => {
                self.answer(at, |peer, by, recall, now| Some(peer.node.answer(by, recall, now)))
            }
            Action::Silence(at) => self.answer(at, |_, _, _, _| None),
            Action::Heard(at) => {
                let peer = &mut self.nodes[at];
                for (pot, round, from, answer) in std::mem::take(&mut peer.answers) {
                    peer.node.purses.heard(&pot, round, from, answer);
                }
            }
            Action::Settle(at) => self.settle(at),
            Action::See(at) => self.see(at),
            Action::Crash(at) => self.crash(at),
            Action::Restart(at) => self.restart(at),
            Action::Close(at) => self.close(at),
            Action::Cut(at) => {
                self.faults.cuts += 1;
                self.nodes[at].is_cut = true;
            }
            Action::Heal(at) => self.nodes[at].is_cut = false,
            Action::Limit => self.limit(plan.limits[self.faults.limits]),
            Action::Midnight => {
                self.faults.midnights += 1;
                self.log.at = SECOND;
            }
            Action::Delete => {
                self.faults.deletions += 1;
                self.log.pots.pop_first();
            }
            Action::Tick => {
                self.faults.ticks += 1;
                self.now += 100;
            }
        }
    }

    /// The period by a node's own clock: the second's lags behind, the third's is ahead.
    pub(crate) fn period(&self, at: usize) -> UnixMillis {
        match at {
            1 => FIRST,
            2 if self.faults.midnights > 0 => SECOND,
            _ => self.log.at,
        }
    }

    pub(crate) fn hold(&mut self, plan: &Plan, at: usize, request: u128) {
        let demands = self.demands(plan, at, request);
        let now = self.now;
        let peer = &mut self.nodes[at];
        match peer.node.hold(&peer.sees, request, &demands, now) {
            Ok(()) => self.let_in(at, request),
            Err(short) if short.is_final() => {
                self.watch(plan);
                let peer = &mut self.nodes[at];
                peer.waits.remove(&request);
                let log = &self.log;
                // Of a budget that is deleted meanwhile a refusal may tell how it was.
                let is_left = short.pots.iter().all(|short| log.pots.contains_key(&short.pot));
                if peer.insists.remove(&request) == Some(true) && is_left {
                    self.broken = Some(format!("{request} was refused: {short:?} of {log:?}"));
                }
            }
            Err(_) => {}
        }
    }

    /// True if it was let in on what there was.
    pub(crate) fn give_up(&mut self, plan: &Plan, at: usize, request: u128) -> bool {
        let demands = self.demands(plan, at, request);
        let now = self.now;
        let peer = &mut self.nodes[at];
        let held = peer.node.hold_rest(&peer.sees, request, &demands, now).is_ok();
        if held {
            self.let_in(at, request);
        } else {
            peer.forget(request);
        }
        held
    }

    /// Answers all that a node was asked, or fails to. An asking node that is gone hears nothing.
    fn answer(
        &mut self,
        at: usize,
        answer: impl Fn(&mut Peer, NodeId, &Recall, u64) -> Option<(Holder, Answer)>,
    ) {
        let now = self.now;
        let peer = &mut self.nodes[at];
        let from = peer.node.id;
        for (by, recall) in std::mem::take(&mut peer.recalls) {
            let answer = answer(&mut self.nodes[at], by, &recall, now);
            let asking = self.nodes.iter_mut().find(|peer| peer.node.id == by).expect("a node");
            asking.answers.insert((recall.pot, recall.round, from, answer));
        }
    }

    /// Whether there has been enough ever since for those whose time is over. What lies in a period
    /// or beyond a limit that their node has not heard of is not there.
    fn watch(&mut self, plan: &Plan) {
        for at in 0..self.nodes.len() {
            let peer = &self.nodes[at];
            let is_seen = |pot: &PotId| match (peer.sees.pots.get(pot), self.log.pots.get(pot)) {
                (Some(seen), Some(real)) => (seen.0, seen.1.period) == (real.0, real.1.period),
                (Some(_), None) | (None, _) => false,
            };
            let sees = peer.is_connected() && self.log.pots.keys().all(is_seen);
            let sees = sees && self.period(at) <= self.log.at;
            let enough = |request: &u128| {
                let need = if plan.lenient { 1 } else { peer.waits[request] };
                sees && self.log.pots.keys().all(|pot| self.unheld(pot) >= need)
            };
            let insists =
                peer.insists.iter().map(|(request, so_far)| (*request, *so_far && enough(request)));
            self.nodes[at].insists = insists.collect();
        }
    }

    fn let_in(&mut self, at: usize, request: u128) {
        let peer = &mut self.nodes[at];
        let amount = peer.waits.remove(&request).expect("it waited");
        peer.insists.remove(&request);
        peer.holds.insert(request, amount);
        self.check_spent(at, request);
    }

    fn demands(&self, plan: &Plan, at: usize, request: u128) -> Vec<Demand> {
        let (peer, period) = (&self.nodes[at], self.period(at));
        let amount = NanoUsd(peer.waits[&request]);
        let limits = peer.sees.pots.iter().map(|(pot, (limit, _))| (pot.clone(), *limit));
        let strict = !plan.lenient;
        limits.map(|(pot, limit)| Demand { pot, period, limit, amount, strict }).collect()
    }

    /// Of no pot of which a request was let in is more held and recorded than the highest limit
    /// that its node may have seen.
    fn check_spent(&mut self, at: usize, request: u128) {
        let (peer, most) = (&self.nodes[at], self.nodes[at].most);
        for Held { pot, period, .. } in peer.node.purses.held(RequestId(request)) {
            let spent: u64 = self.nodes.iter().map(|peer| peer.spent(&pot, period)).sum();
            if spent > most + self.over {
                self.broken = Some(format!("{spent} of {most} are held and spent"));
            }
        }
    }

    fn due(&mut self, at: usize) {
        let now = self.now;
        let peer = &mut self.nodes[at];
        let (command, recalls) = peer.node.command(&peer.sees, peer.number + 1, now);
        peer.number += u64::from(command.is_some());
        peer.leasing = command;
        let by = self.nodes[at].node.id;
        for recall in recalls {
            for life in &recall.lives {
                let (asked, _) = life.holder;
                let other = self.nodes.iter_mut().find(|peer| peer.node.id == asked);
                let other = other.expect("a node");
                if other.is_connected() {
                    other.recalls.insert((by, recall.clone()));
                } else {
                    let silence = (recall.pot.clone(), recall.round, asked, None);
                    self.nodes[at].answers.insert(silence);
                }
            }
        }
    }

    fn apply(&mut self, at: usize, command: impl Fn(&Peer) -> Option<Command>) {
        let peer = &self.nodes[at];
        let command = command(peer).expect("enabled");
        self.log.apply(peer.node.holder(), &command);
    }

    fn settle(&mut self, at: usize) {
        let peer = &mut self.nodes[at];
        let after = peer.sees.through(peer.node.holder());
        let records = peer.node.journal[usize::try_from(after).expect("few")..].to_vec();
        peer.settling = Some(Command::Settle { after, records });
    }

    pub(crate) fn see(&mut self, at: usize) {
        let now = self.now;
        let peer = &mut self.nodes[at];
        peer.sees = self.log.clone();
        peer.most = peer.sees.pots.values().map(|(limit, _)| limit.0).max().unwrap_or(peer.most);
        let holder = peer.node.holder();
        let through = peer.sees.through(holder);
        peer.node.purses.settled_through(through);
        if let Some(Command::Settle { after, .. }) = &peer.settling
            && through > *after
        {
            peer.settling = None;
        }
        let asked = peer.sees.leased.get(&peer.node.id).copied().unwrap_or_default();
        if asked >= (peer.node.epoch, peer.number)
            && let Some(command) = peer.leasing.take()
        {
            peer.node.answered(&command, now);
        }
    }

    fn crash(&mut self, at: usize) {
        self.faults.crashes += 1;
        let peer = &mut self.nodes[at];
        peer.is_up = false;
        let commands = [peer.leasing.take(), peer.settling.take()];
        let (node, epoch): Holder = peer.node.holder();
        self.late.extend(commands.into_iter().flatten().map(|command| (node, epoch, command)));
        let peer = &mut self.nodes[at];
        peer.waits.clear();
        peer.insists.clear();
        peer.holds.clear();
        peer.answers.clear();
        self.answer(at, |_, _, _, _| None);
    }

    fn restart(&mut self, at: usize) {
        let peer = &mut self.nodes[at];
        let journal = std::mem::take(&mut peer.node.journal);
        peer.former.insert(peer.node.epoch, journal);
        let epoch = Epoch(peer.node.epoch.0 + 1);
        peer.node = Node { epoch, ..Node::new(peer.node.id.0) };
        (peer.is_up, peer.number) = (true, 0);
    }

    /// Replays the journals of former lives and ends their leases.
    fn close(&mut self, at: usize) {
        let peer = &mut self.nodes[at];
        let open = peer.former.iter().filter(|(epoch, _)| **epoch > peer.closed);
        for (epoch, journal) in open {
            let holder = (peer.node.id, *epoch);
            let after = self.log.through(holder);
            let records = journal[usize::try_from(after).expect("few")..].to_vec();
            if !records.is_empty() {
                self.log.apply(holder, &Command::Settle { after, records });
            }
            self.log.close(peer.node.id, *epoch);
        }
        peer.closed = Epoch(peer.node.epoch.0 - 1);
    }

    fn limit(&mut self, limit: u64) {
        self.faults.limits += 1;
        self.log.pots.values_mut().for_each(|(known, _)| *known = NanoUsd(limit));
        self.nodes.iter_mut().for_each(|peer| peer.most = peer.most.max(limit));
    }
}

impl Peer {
    /// What it holds and what its lives recorded of a pot in a period.
    pub(crate) fn spent(&self, pot: &PotId, period: UnixMillis) -> u64 {
        let records = self.journals().flat_map(|(_, journal)| journal.iter().flatten());
        let of = records.filter(|(of, in_period, _)| of == pot && *in_period == period);
        let held = if self.is_up { self.node.purses.book(pot, period).held.0 } else { 0 };
        of.map(|(_, _, cost)| cost.0).sum::<u64>() + held
    }
}
