//! Who leads: elections held by the world, which sees all logs.

use super::{ELECTION_EVERY_MS, Happening, World};

impl World {
    /// The world sees all logs: when a majority can speak with each other and nobody leads it, the
    /// one that misses nothing leads.
    pub(super) fn election(&mut self) {
        self.after(ELECTION_EVERY_MS, Happening::Election);
        let majority = self.seats.len() / 2 + 1;
        let leads = |index: &usize| {
            let replica = &self.seats[*index].node.replica;
            self.is_up(*index) && replica.leads() && self.group(*index).len() >= majority
        };
        let newest = (0..self.seats.len()).map(|i| self.seats[i].node.replica.term()).max();
        let led = (0..self.seats.len())
            .filter(leads)
            .any(|index| Some(self.seats[index].node.replica.term()) == newest);
        if led {
            self.leaderless = None;
            return;
        }
        let patience = self.random.between(250, 900);
        let (since, patience) = *self.leaderless.get_or_insert((self.now, patience));
        if self.now - since < patience {
            return;
        }
        let groups = (0..self.seats.len()).filter(|index| self.is_up(*index));
        let groups = groups.map(|index| (index, self.group(index)));
        let mut able = groups.filter(|(_, group)| group.len() >= majority);
        let best = able.find(|(index, group)| {
            let reach = |index: usize| self.seats[index].node.replica.reach();
            group.iter().filter(|peer| reach(**peer) <= reach(*index)).count() >= majority
        });
        let Some((leader, group)) = best else { return };
        let term = newest.unwrap_or(0) + 1;
        let (now, peers) = (self.moment(leader), self.others(leader));
        for voter in group {
            self.seats[voter].node.replica.follow(term, Some(leader));
        }
        let replica = &mut self.seats[leader].node.replica;
        replica.lead(leader, term, &peers, (now.mono.0, now.unix));
        self.leaderless = None;
    }

    pub(super) fn others(&self, index: usize) -> Vec<usize> {
        (0..self.seats.len()).filter(|other| *other != index).collect()
    }

    pub(super) fn is_up(&self, index: usize) -> bool {
        self.seats[index].node.is_alive() && self.seats[index].paused == 0
    }

    /// Who can speak with a node, itself included.
    pub(super) fn group(&self, index: usize) -> Vec<usize> {
        let linked = |other: &usize| !self.cut.contains(&(index, *other));
        (0..self.seats.len()).filter(|other| self.is_up(*other) && linked(other)).collect()
    }

    pub(super) fn leader(&self) -> usize {
        let led = (0..self.seats.len()).filter(|index| self.seats[*index].node.replica.leads());
        led.max_by_key(|index| self.seats[*index].node.replica.term()).unwrap_or(0)
    }
}
