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
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(2);

    fn sight(epoch: u64, heartbeat: u64) -> Sight<'static> {
        Sight {
            node: PEER,
            epoch: Epoch(epoch),
            heartbeat,
            version: 0,
            identity: None,
            load: None,
            health: None,
        }
    }

    /// Peers looked at round after round, with a clock that counts the looks.
    #[derive(Default)]
    struct Watch {
        peers: Peers,
        drops: Drops,
        now: MonoMillis,
    }

    impl Watch {
        fn look(&mut self, sights: &[Sight<'_>]) -> Looked {
            self.now = MonoMillis(self.now.0 + 1);
            self.peers.look(sights, true, self.now, &self.drops)
        }

        fn peer(&self) -> Peer {
            self.peers.view(NodeId(1)).peers.remove(&PEER).expect("a known peer")
        }
    }

    #[test]
    fn a_peer_lives_while_its_heartbeat_advances() {
        let mut watch = Watch::default();
        watch.look(&[sight(1, 5)]);
        assert!(!watch.peer().alive, "hearsay is no sign of life");
        assert_eq!(watch.look(&[sight(1, 6)]), Looked { stirred: true, changed: true });
        assert!(watch.peer().alive);
        assert_eq!(watch.look(&[sight(1, 7)]), Looked { stirred: true, changed: false });
        let heard = watch.peer().heard;
        for _ in 1..DEAD_AFTER_ROUNDS {
            assert!(!watch.look(&[sight(1, 7)]).changed && watch.peer().alive);
        }
        assert!(watch.look(&[sight(1, 7)]).changed);
        assert_eq!((watch.peer().alive, watch.peer().heard), (false, heard));
        watch.look(&[sight(1, 8)]);
        assert!(watch.peer().alive, "it was only away");
    }

    #[test]
    fn looks_between_rounds_bury_nobody() {
        let mut watch = Watch::default();
        watch.look(&[sight(1, 5)]);
        watch.look(&[sight(1, 6)]);
        for _ in 0..10 * DEAD_AFTER_ROUNDS {
            watch.peers.look(&[sight(1, 6)], false, watch.now, &watch.drops);
        }
        assert!(watch.peer().alive);
    }

    #[test]
    fn a_restarted_peer_replaces_what_it_was() {
        let mut watch = Watch::default();
        let load = Some(r#"{"backends":{"a":{"n":1}}}"#);
        watch.look(&[Sight { version: 1, load, ..sight(1, 5) }]);
        watch.look(&[Sight { version: 1, load, ..sight(1, 6) }]);
        assert_eq!(watch.peer().load.backends.len(), 1);

        let both = [sight(2, 1), sight(1, 7)];
        watch.look(&both);
        assert_eq!(watch.peer().load, LoadFact::default());
        watch.look(&[sight(2, 2), sight(1, 7)]);
        assert!(watch.peer().alive);
        watch.look(&[sight(2, 2), sight(1, 900)]);
        assert_eq!(watch.peer().heard, MonoMillis(4), "the old life says nothing of the new");
    }

    #[test]
    fn load_and_evidence_vanish_with_their_teller_and_return_with_it() {
        let mut watch = Watch::default();
        let said = |heartbeat| Sight {
            version: 1,
            load: Some(r#"{"backends":{"a":{"n":1}}}"#),
            health: Some(r#"{"backends":{"a":{"state":"unreachable"}}}"#),
            ..sight(1, heartbeat)
        };
        watch.look(&[said(1)]);
        watch.look(&[said(2)]);
        assert_eq!((watch.peer().load.backends.len(), watch.peer().health.backends.len()), (1, 1));
        for _ in 0..DEAD_AFTER_ROUNDS {
            watch.look(&[said(2)]);
        }
        assert_eq!((watch.peer().load.backends.len(), watch.peer().health.backends.len()), (0, 0));
        watch.look(&[said(3)]);
        assert_eq!((watch.peer().load.backends.len(), watch.peer().health.backends.len()), (1, 1));
    }

    #[test]
    fn an_unreadable_fact_is_counted_once_and_leaves_the_one_before() {
        let mut watch = Watch::default();
        let said = |version, load| Sight { version, load: Some(load), ..sight(1, 5 + version) };
        watch.look(&[said(1, r#"{"backends":{"a":{"n":1}}}"#)]);
        watch.look(&[said(2, "nonsense")]);
        watch.look(&[said(2, "nonsense")]);
        assert_eq!(watch.peer().load.backends.len(), 1);
        assert_eq!(watch.drops.read().unknown_facts, 1);
    }

    #[test]
    fn a_peer_that_chitchat_forgot_is_gone() {
        let mut watch = Watch::default();
        watch.look(&[sight(1, 5)]);
        assert!(watch.look(&[]).changed);
        assert!(watch.peers.view(NodeId(1)).peers.is_empty());
    }
}
