//! From what chitchat holds to what this node believes: which peers are alive, what they said last.
//!
//! A peer is alive while its heartbeat advances. Silence is counted in this node's own rounds and
//! not in time, so that a node that was paused does not wake up to find everyone dead.

use std::collections::BTreeMap;

use dunlin_types::{Epoch, MonoMillis, NodeId};

use crate::dropped::Drops;
use crate::facts::{HealthFact, LoadFact, NodeFact, Unreadable};
use crate::view::{Peer, View};

/// Rounds without a heartbeat until a peer counts as dead. Over this many rounds a heartbeat that
/// is lost three times in a row on one way still arrives on another.
pub(crate) const DEAD_AFTER_ROUNDS: u32 = 20;

/// One life of a node, as chitchat holds it at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) node: NodeId,
    pub(crate) epoch: Epoch,
    /// Advances while the node lives.
    pub(crate) heartbeat: u64,
    /// Advances with every change of the three values.
    pub(crate) version: u64,
    pub(crate) identity: Option<&'a str>,
    pub(crate) load: Option<&'a str>,
    pub(crate) health: Option<&'a str>,
}

/// The peers and how long each has been silent.
#[derive(Default)]
pub(crate) struct Peers {
    known: BTreeMap<NodeId, Known>,
}

struct Known {
    epoch: Epoch,
    heartbeat: u64,
    version: u64,
    silent_rounds: u32,
    heard: MonoMillis,
    node: Option<NodeFact>,
    load: LoadFact,
    health: HealthFact,
}

/// What a look at the peers brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Something is newer than in the last view, if only a time.
    pub(crate) stirred: bool,
    /// A peer came, went, died or said something new.
    pub(crate) changed: bool,
}

impl Peers {
    /// Takes in everything chitchat holds. `round` is true once per round, false in between.
    pub(crate) fn look(
        &mut self,
        sights: &[Sight<'_>],
        round: bool,
        now: MonoMillis,
        drops: &Drops,
    ) -> Looked {
        let mut looked = Looked { stirred: false, changed: false };
        let newest = newest_lives(sights);
        let before = self.known.len();
        self.known.retain(|node, _| newest.contains_key(node));
        looked.changed |= self.known.len() != before;
        for (node, sight) in newest {
            let known = match self.known.get_mut(&node) {
                Some(known) if known.epoch >= sight.epoch => known,
                Some(_) | None => {
                    self.known.insert(node, Known::unheard(&sight, now));
                    looked.changed = true;
                    self.known.get_mut(&node).expect("just inserted")
                }
            };
            let was_alive = known.alive();
            looked.stirred |= known.hear(&sight, round, now);
            looked.changed |= known.learn(&sight, drops) || known.alive() != was_alive;
        }
        looked.stirred |= looked.changed;
        looked
    }

    /// The view as of the last look.
    pub(crate) fn view(&self, me: NodeId) -> View {
        let peers = self.known.iter().map(|(node, known)| (*node, known.peer())).collect();
        View { me, peers }
    }
}

/// Of several lives of one node the latest counts: the others are what it was before a restart.
fn newest_lives<'a>(sights: &[Sight<'a>]) -> BTreeMap<NodeId, Sight<'a>> {
    let mut newest: BTreeMap<NodeId, Sight<'a>> = BTreeMap::new();
    for sight in sights {
        let best = newest.entry(sight.node).or_insert(*sight);
        if sight.epoch > best.epoch {
            *best = *sight;
        }
    }
    newest
}

impl Known {
    /// Not alive yet: what is first seen of a node may be hearsay about a dead one.
    fn unheard(sight: &Sight<'_>, now: MonoMillis) -> Self {
        Self {
            epoch: sight.epoch,
            heartbeat: sight.heartbeat,
            version: 0,
            silent_rounds: DEAD_AFTER_ROUNDS,
            heard: now,
            node: None,
            load: LoadFact::default(),
            health: HealthFact::default(),
        }
    }

    fn alive(&self) -> bool {
        self.silent_rounds < DEAD_AFTER_ROUNDS
    }

    /// True if there was a sign of life.
    fn hear(&mut self, sight: &Sight<'_>, round: bool, now: MonoMillis) -> bool {
        let beats = sight.heartbeat > self.heartbeat;
        if beats {
            self.heartbeat = sight.heartbeat;
            self.silent_rounds = 0;
            self.heard = now;
        } else if round {
            self.silent_rounds = self.silent_rounds.saturating_add(1);
        }
        beats
    }

    /// True if there was something new. A value that cannot be read leaves the one before.
    fn learn(&mut self, sight: &Sight<'_>, drops: &Drops) -> bool {
        if sight.version == self.version {
            return false;
        }
        self.version = sight.version;
        let node = sight.identity.map(NodeFact::decode);
        let load = sight.load.map(LoadFact::decode);
        let health = sight.health.map(HealthFact::decode);
        if let Some(node) = read(node, drops) {
            self.node = Some(node);
        }
        if let Some(load) = read(load, drops) {
            self.load = load;
        }
        if let Some(health) = read(health, drops) {
            self.health = health;
        }
        true
    }

    /// Load and evidence belong to the peer that tells of them and vanish with it.
    fn peer(&self) -> Peer {
        let alive = self.alive();
        Peer {
            epoch: self.epoch,
            alive,
            heard: self.heard,
            node: self.node.clone(),
            load: if alive { self.load.clone() } else { LoadFact::default() },
            health: if alive { self.health.clone() } else { HealthFact::default() },
        }
    }
}

fn read<F>(value: Option<Result<F, Unreadable>>, drops: &Drops) -> Option<F> {
    value?.inspect_err(|Unreadable| Drops::count(&drops.unknown_facts)).ok()
}

#[cfg(test)]
mod tests;
