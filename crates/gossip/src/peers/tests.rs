//! What is told of peers as their signs of life come and stay away.

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
