//! Who goes first where several nodes are short: what one leaves to the others, and for how long.

use dunlin_ledger::{Demand, Lease, Place, Pot, Recall, Ticket};
use dunlin_types::{Epoch, NanoUsd, NodeId, RequestId, UnixMillis};

use crate::world::{Log, Node, pot};

const P: UnixMillis = UnixMillis(1);
const LIMIT: u64 = 100;

/// Node 2, whose lease is of `own`; the rest of the limit is free.
fn node(own: u64) -> (Log, Node) {
    let mut log = Log::with_pots(LIMIT, 1, P);
    let lease =
        Lease { node: NodeId(2), epoch: Epoch(1), granted: NanoUsd(own), used: NanoUsd::ZERO };
    let shared = Pot { period: P, leases: vec![lease], ..Pot::default() };
    log.pots.insert(pot(1), (NanoUsd(LIMIT), shared));
    (log, Node::new(2))
}

fn demand(amount: u64) -> [Demand; 1] {
    let (limit, amount) = (NanoUsd(LIMIT), NanoUsd(amount));
    [Demand { pot: pot(1), period: P, limit, amount, strict: true }]
}

/// A node that is short asks, in the name of its first request.
fn is_asked(node: &mut Node, by: u64, (place, request): (Place, u128), lacks: u64, now: u64) {
    let ticket = Ticket { place, request: RequestId(request) };
    let (pot, lacks) = (pot(1), NanoUsd(lacks));
    let recall = Recall { pot, ticket, lacks, round: 1, period: P, lives: Vec::new() };
    node.answer(NodeId(by), &recall, now);
}

#[test]
fn what_is_owed_elsewhere_is_taken_by_nobody_who_comes_later() {
    for (place, request, lacks, taken) in [
        (Place::Owed, 5, 60, false),
        // There is enough free for it, so that it needs nothing of what is here.
        (Place::Owed, 5, 30, true),
        (Place::Gathers, 5, 60, true),
        (Place::Late, 5, 60, true),
    ] {
        let (log, mut node) = node(60);
        node.hold(&log, 1, &demand(1), 0).expect("nobody else asks");
        is_asked(&mut node, 1, (place, request), lacks, 0);
        let held = node.hold(&log, 9, &demand(10), 50).is_ok();
        assert_eq!(held, taken, "{place:?} {lacks}");
        assert!(node.hold(&log, 10, &demand(10), 101).is_ok(), "unless it asks again");
    }
}

#[test]
fn what_another_needs_first_is_not_asked_for() {
    // Free are 50, and a request here lacks 30.
    for (place, request, lacks, asks) in [
        (Place::Gathers, 5, 60, false),
        (Place::Gathers, 5, 20, true),
        // It comes after the one that waits here.
        (Place::Gathers, 500, 60, true),
        // Its time to gather is over.
        (Place::Late, 5, 60, true),
    ] {
        let (log, mut node) = node(50);
        node.hold(&log, 1, &demand(50), 0).expect("of its lease");
        node.hold(&log, 90, &demand(30), 0).expect_err("of another's");
        is_asked(&mut node, 1, (place, request), lacks, 0);
        let asked = !node.due(&log, 50).wants.is_empty();
        assert_eq!(asked, asks, "{place:?} {request} {lacks}");
        if !asked {
            assert!(!node.due(&log, 101).wants.is_empty(), "what is left is left for a time");
        }
    }
}

#[test]
fn of_each_node_the_last_question_counts() {
    let (log, mut node) = node(50);
    node.hold(&log, 1, &demand(50), 0).expect("of its lease");
    node.hold(&log, 90, &demand(30), 0).expect_err("of another's");
    for lacks in [60, 30, 20] {
        is_asked(&mut node, 1, (Place::Gathers, 5), lacks, 0);
    }
    assert!(!node.due(&log, 50).wants.is_empty(), "20 and 30 are free");
    let (log, mut node) = self::node(50);
    node.hold(&log, 1, &demand(50), 0).expect("of its lease");
    node.hold(&log, 90, &demand(30), 0).expect_err("of another's");
    is_asked(&mut node, 1, (Place::Gathers, 5), 15, 0);
    is_asked(&mut node, 3, (Place::Gathers, 6), 15, 0);
    assert!(node.due(&log, 50).wants.is_empty(), "two nodes need 30, and 20 are left");
}

/// Whose time to gather is over takes what suffices at once: none of them leaves it to another.
#[test]
fn those_that_are_late_leave_nothing_to_each_other() {
    let (log, mut node) = node(50);
    node.hold(&log, 1, &demand(50), 0).expect("of its lease");
    node.hold(&log, 90, &demand(30), 0).expect_err("of another's");
    is_asked(&mut node, 1, (Place::Late, 5), 60, 210);
    assert!(!node.due(&log, 220).wants.is_empty());
}
