//! What must hold wherever a cluster has got to.

use std::collections::BTreeSet;

use dunlin_ledger::Figures;
use dunlin_types::{NanoUsd, PotId};

use crate::cluster::{Action, Cluster, Plan, SECOND};

/// The interval at which nodes look at what is due.
const LOOK_EVERY_MS: u64 = 50;
/// How often they do while a request waits.
const LOOKS: u64 = 10;
/// How often they do until what is known to be there has come.
const LAST_LOOKS: u64 = 5;

/// What is settled is what was recorded and settled, each record once.
pub(crate) fn settles_once(cluster: &Cluster) -> Result<(), String> {
    for (pot, (_, shared)) in &cluster.log.pots {
        let mut recorded = 0;
        for peer in &cluster.nodes {
            let (life, through) =
                cluster.log.settled.get(&peer.node.id).copied().unwrap_or_default();
            for (epoch, journal) in peer.journals() {
                let settled = match epoch.cmp(&life) {
                    std::cmp::Ordering::Less => journal.len(),
                    std::cmp::Ordering::Equal => usize::try_from(through).expect("few"),
                    std::cmp::Ordering::Greater => 0,
                };
                let charges = journal[..settled].iter().flatten();
                let of = charges.filter(|(of, period, _)| of == pot && *period == shared.period);
                recorded += of.map(|(_, _, cost)| cost.0).sum::<u64>();
            }
        }
        if recorded != shared.settled.0 {
            return Err(format!("{recorded} were recorded and {} settled", shared.settled.0));
        }
    }
    Ok(())
}

/// However things stand, who waits is served within the time that it waits, or the money is held,
/// spent, or on a node that does not answer.
pub(crate) fn serves_whoever_can_be(cluster: &Cluster, plan: &Plan) -> Result<(), String> {
    if cluster.nodes.iter().all(|peer| peer.waits.is_empty()) {
        return Ok(());
    }
    let mut cluster = cluster.clone();
    for _ in 0..LOOKS {
        (0..cluster.nodes.len()).for_each(|at| cluster.look(plan, at));
        (0..cluster.nodes.len()).for_each(|at| cluster.look(plan, at));
        cluster.now += LOOK_EVERY_MS;
    }
    for at in 0..cluster.nodes.len() {
        for request in cluster.nodes[at].waits.keys().copied().collect::<Vec<_>>() {
            cluster.step(plan, Action::Insist(at, request));
        }
    }
    for _ in 0..LAST_LOOKS {
        (0..cluster.nodes.len()).for_each(|at| cluster.look(plan, at));
        (0..cluster.nodes.len()).for_each(|at| cluster.look(plan, at));
        cluster.now += LOOK_EVERY_MS;
    }
    if let Some(broken) = cluster.broken {
        return Err(broken);
    }
    // The last that is asked of them, and no more than anything for those that take it.
    let mut refused = Vec::new();
    for at in 0..cluster.nodes.len() {
        if !cluster.nodes[at].is_connected() {
            continue;
        }
        let is_ahead = cluster.period(at) > cluster.log.at;
        for (request, need) in cluster.nodes[at].waits.clone() {
            if !cluster.give_up(plan, at, request) && !is_ahead {
                refused.push((at, if plan.lenient { 1 } else { need }));
            }
        }
    }
    for (at, need) in refused {
        if cluster.log.pots.keys().all(|pot| cluster.unheld(pot) >= need) {
            return Err(format!("{need} are there and node {at} was refused: {:?}", cluster.log));
        }
    }
    Ok(())
}

/// However things stand, once all nodes are back and idle, all that was not spent is free.
pub(crate) fn loses_nothing(cluster: &Cluster, plan: &Plan) -> Result<(), String> {
    let mut cluster = cluster.clone();
    cluster.log.at = SECOND;
    for at in 0..cluster.nodes.len() {
        if !cluster.nodes[at].is_up {
            cluster.step(plan, Action::Restart(at));
        }
        cluster.nodes[at].is_cut = false;
        cluster.look(plan, at);
        let peer = &cluster.nodes[at];
        let requests: BTreeSet<u128> =
            peer.waits.keys().chain(peer.holds.keys()).copied().collect();
        for request in requests {
            cluster.nodes[at].forget(request);
            cluster.step(plan, Action::Void(at, request));
        }
    }
    for _ in 0..3 {
        (0..cluster.nodes.len()).for_each(|at| cluster.look(plan, at));
        cluster.now += 61_000;
    }
    while !cluster.late.is_empty() {
        cluster.step(plan, Action::ApplyLate);
    }
    settles_once(&cluster)?;
    for (pot, (limit, shared)) in &cluster.log.pots {
        let free = NanoUsd(limit.0.saturating_sub(shared.settled.0));
        if !shared.leases.is_empty() || shared.free(Some(*limit)) != free {
            return Err(format!("{pot:?} has lost money: {shared:?}"));
        }
    }
    for peer in &cluster.nodes {
        if peer.node.purses.figures() != Figures::default() {
            return Err(format!("{:?} are left on {}", peer.node.purses.figures(), peer.node.id));
        }
    }
    Ok(())
}

impl Cluster {
    /// What a connected node does at each look, with nothing in its way.
    fn look(&mut self, plan: &Plan, at: usize) {
        if !self.nodes[at].is_connected() {
            return;
        }
        let next = |cluster: &mut Self, wanted: Action| {
            if cluster.actions(plan).contains(&wanted) {
                cluster.step(plan, wanted);
            }
        };
        next(self, Action::Close(at));
        next(self, Action::Recall(at));
        next(self, Action::Heard(at));
        for _ in 0..2 {
            next(self, Action::ApplyLease(at));
            next(self, Action::ApplySettle(at));
            next(self, Action::See(at));
            for request in self.nodes[at].waits.keys().copied().collect::<Vec<_>>() {
                self.hold(plan, at, request);
            }
            next(self, Action::Settle(at));
            next(self, Action::Due(at));
        }
        next(self, Action::ApplyLease(at));
        next(self, Action::ApplySettle(at));
        next(self, Action::See(at));
        for request in self.nodes[at].waits.keys().copied().collect::<Vec<_>>() {
            self.hold(plan, at, request);
        }
    }

    /// What of a pot is free or on leases of connected lives and neither held nor recorded there.
    pub(crate) fn unheld(&self, pot: &PotId) -> u64 {
        let (limit, shared) = &self.log.pots[pot];
        let (mut there, mut committed) = (shared.free(Some(*limit)).0, 0);
        for peer in self.nodes.iter().filter(|peer| peer.is_connected()) {
            let holder = peer.node.holder();
            there += shared.lease(holder).map_or(0, |lease| lease.unused().0);
            let settled = usize::try_from(self.log.through(holder)).expect("few");
            let charges = peer.node.journal[settled..].iter().flatten();
            let of = charges.filter(|(of, period, _)| of == pot && *period == shared.period);
            let unsettled: u64 = of.map(|(_, _, cost)| cost.0).sum();
            committed += peer.node.purses.book(pot, shared.period).held.0 + unsettled;
        }
        let set_aside: NanoUsd = shared.leases.iter().map(|lease| lease.unused()).sum();
        let over = (shared.settled + set_aside).0.saturating_sub(limit.0);
        there.saturating_sub(committed + over)
    }
}
