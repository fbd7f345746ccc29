//! Faults that begin and are over.

use std::collections::BTreeSet;

use super::World;
use crate::history::{Act, CallId, Outcome, What};
use crate::sim::faults::{Fault, Planned};

impl World {
    pub(super) fn begins(&mut self, index: usize) {
        let Planned { fault, victim, .. } = self.plan[index];
        let all = || (0..self.seats.len()).collect::<Vec<_>>();
        let met = match fault {
            Fault::Crash | Fault::Pause | Fault::Isolate => vec![victim],
            Fault::CrashLeader => vec![self.leader()],
            Fault::CrashAll | Fault::Lossy => all(),
            Fault::Split => {
                all().into_iter().cycle().skip(victim).take(self.seats.len() / 2).collect()
            }
        };
        self.active.insert(index, met.clone());
        match fault {
            Fault::Crash | Fault::CrashLeader | Fault::CrashAll => {
                met.into_iter().for_each(|node| self.kill(node));
            }
            Fault::Pause => {
                self.seats[victim].paused += 1;
                if self.seats[victim].paused == 1 {
                    self.history.add(self.now, What::Done(Act::Paused { node: victim }));
                }
            }
            Fault::Isolate | Fault::Split => self.rewire(),
            Fault::Lossy => self.history.add(self.now, What::Done(Act::Lossy)),
        }
    }

    pub(super) fn over(&mut self, index: usize) {
        let met = self.active.remove(&index).expect("it began");
        match self.plan[index].fault {
            Fault::Crash | Fault::CrashLeader | Fault::CrashAll => {
                for node in met {
                    self.seats[node].down -= 1;
                    if self.seats[node].down == 0 {
                        self.start(node);
                    }
                }
            }
            Fault::Pause => {
                let node = met[0];
                self.seats[node].paused -= 1;
                if self.seats[node].paused == 0 {
                    self.history.add(self.now, What::Done(Act::Resumed { node }));
                    for happening in std::mem::take(&mut self.seats[node].parked) {
                        self.after(0, happening);
                    }
                }
            }
            Fault::Isolate | Fault::Split => self.rewire(),
            Fault::Lossy => {
                if !self.active.keys().any(|index| self.plan[*index].fault == Fault::Lossy) {
                    self.history.add(self.now, What::Done(Act::Steady));
                }
            }
        }
    }

    pub(super) fn kill(&mut self, index: usize) {
        self.seats[index].down += 1;
        if self.seats[index].down > 1 {
            return;
        }
        self.seats[index].node.kill();
        self.seats[index].parked.clear();
        self.history.add(self.now, What::Done(Act::Killed { node: index }));
        let lost: Vec<_> = self.open.iter().filter(|(_, open)| open.0 == index).collect();
        let lost: Vec<CallId> = lost.into_iter().map(|(call, _)| *call).collect();
        for call in lost {
            let outcome = Outcome::Broken { why: "the connection was reset".to_owned() };
            self.told(What::Ended { call, outcome, stream: None });
        }
    }

    /// Cuts the links that the faults in force cut, both ways: a connection works so or not at all.
    pub(super) fn rewire(&mut self) {
        let mut cut = BTreeSet::new();
        let mut apart = BTreeSet::new();
        for (index, met) in &self.active {
            let others = (0..self.seats.len()).filter(|node| !met.contains(node));
            let pairs = others.flat_map(|other| met.iter().map(move |node| (*node, other)));
            match self.plan[*index].fault {
                Fault::Isolate | Fault::Split => {}
                Fault::Crash
                | Fault::CrashLeader
                | Fault::CrashAll
                | Fault::Pause
                | Fault::Lossy => continue,
            }
            apart.extend(met.iter().copied());
            if 2 * met.len() == self.seats.len() {
                apart.extend(0..self.seats.len());
            }
            for (node, other) in pairs {
                cut.extend([(node, other), (other, node)]);
            }
        }
        self.cut = cut;
        self.history.add(self.now, What::Done(Act::Connected));
        if !apart.is_empty() {
            let nodes = apart.into_iter().collect();
            self.history.add(self.now, What::Done(Act::CutOff { nodes }));
        }
    }
}
