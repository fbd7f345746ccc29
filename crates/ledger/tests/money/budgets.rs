//! What pots and purses do in the cases that people ask about.

use crate::world::{Log, Node, pot};
use dunlin_ledger::{Demand, Lease, Place, Pot, Purses, Short, Ticket, View, Want};
use dunlin_types::{Epoch, MonoMillis, NanoUsd, NodeId, RequestId, UnixMillis};

const P: UnixMillis = UnixMillis(1);

fn log(limit: u64) -> Log {
    Log::with_pots(limit, 1, P)
}

fn demand(log: &Log, amount: u64, strict: bool) -> [Demand; 1] {
    let limit = log.pots[&pot(1)].0;
    [Demand { pot: pot(1), period: P, limit, amount: NanoUsd(amount), strict }]
}

#[test]
fn grants_are_what_is_asked_half_of_the_rest_or_the_last() {
    let cases = [
        // free, least, amount, granted
        (100, 0, 10, 10),
        (100, 0, 80, 50),
        (100, 60, 80, 60),
        (100, 100, 100, 100),
        (100, 120, 150, 100),
        (3, 1, 80, 1),
        (1, 0, 80, 0),
        (0, 5, 5, 0),
        (100, 0, 0, 0),
    ];
    for (free, least, amount, expected) in cases {
        let mut pot = Pot { period: P, ..Pot::default() };
        let want = Want { period: P, least: NanoUsd(least), amount: NanoUsd(amount) };
        let granted = pot.grant((NodeId(1), Epoch(1)), Some(NanoUsd(free)), &want);
        assert_eq!(granted, NanoUsd(expected), "{free} free, {least} to {amount}");
        assert_eq!(pot.free(Some(NanoUsd(free))), NanoUsd(free - expected));
    }
}

#[test]
fn a_dead_life_leaves_exactly_what_it_had_not_used() {
    let lease = |node, epoch, granted, used| Lease {
        node: NodeId(node),
        epoch: Epoch(epoch),
        granted: NanoUsd(granted),
        used: NanoUsd(used),
    };
    let leases = vec![lease(1, 1, 30, 10), lease(2, 1, 20, 0), lease(1, 2, 10, 0)];
    let mut pot = Pot { period: P, settled: NanoUsd(10), leases, ..Pot::default() };
    let limit = Some(NanoUsd(100));
    assert_eq!(pot.withheld(|node, epoch| (node, epoch) != (NodeId(1), Epoch(1))), NanoUsd(20));
    pot.settle((NodeId(1), Epoch(1)), P, NanoUsd(5));
    assert_eq!(pot.free(limit), NanoUsd(40), "a settlement frees nothing");
    pot.close(NodeId(1), Epoch(1));
    assert_eq!(pot.free(limit), NanoUsd(55));
    assert_eq!(pot.leases.len(), 2, "the next life keeps its own");
}

#[test]
fn a_later_period_starts_with_nothing_and_late_costs_stay_in_theirs() {
    let holder = (NodeId(1), Epoch(1));
    let mut pot = Pot { period: P, ..Pot::default() };
    let want = |period| Want { period, least: NanoUsd(50), amount: NanoUsd(50) };
    pot.grant(holder, Some(NanoUsd(100)), &want(P));
    pot.settle(holder, P, NanoUsd(30));
    pot.turn(UnixMillis(0));
    assert_eq!(pot.settled, NanoUsd(30), "an earlier start changes nothing");
    pot.turn(UnixMillis(2));
    pot.settle(holder, P, NanoUsd(20));
    pot.give_back(holder, P, NanoUsd(20));
    assert_eq!(pot, Pot { period: UnixMillis(2), ..Pot::default() });
    assert_eq!(pot.grant(holder, Some(NanoUsd(100)), &want(P)), NanoUsd::ZERO);
}

#[test]
fn a_first_request_is_granted_what_it_needs_and_then_holds() {
    let mut log = log(100);
    let mut node = Node::new(1);
    let demands = demand(&log, 10, true);
    let short = node.hold(&log, 1, &demands, 0).expect_err("no lease yet");
    assert!(!short.is_final());
    assert_eq!((short.pots[0].available, short.pots[0].reachable), (NanoUsd(0), NanoUsd(100)));
    assert!(node.propose(&mut log, 0).is_empty(), "nobody need be asked");
    node.hold(&log, 1, &demands, 1).expect("granted");
    node.settle(1, NanoUsd(4));
    node.settle(1, NanoUsd(4));
    assert_eq!(node.purses.figures().unsettled, 1, "once");
    let short = node.hold(&log, 2, &demands, 2).expect_err("6 are left of the lease");
    assert_eq!(short.pots[0].available, NanoUsd(6));
    node.settle_journal(&mut log);
    assert_eq!(log.view(&pot(1), node.holder()).settled, NanoUsd(4));
    assert_eq!(node.purses.figures().unsettled, 0);
}

#[test]
fn the_last_money_lets_one_in_unless_the_budget_is_strict() {
    for (strict, held) in [(false, 4), (true, 0)] {
        let mut log = log(4);
        let mut node = Node::new(1);
        let demands = demand(&log, 10, strict);
        let short = node.hold(&log, 1, &demands, 0).expect_err("no lease yet");
        assert_eq!(short.is_final(), strict);
        node.propose(&mut log, 0);
        assert_eq!(node.hold(&log, 1, &demands, 0).is_ok(), !strict);
        assert_eq!(node.purses.book(&pot(1), P).held, NanoUsd(held));
        let short = node.hold(&log, 2, &demand(&log, 1, strict), 0).expect_err("nothing is left");
        assert_eq!(short.is_final(), !strict, "of a strict one, nobody holds the rest");
        node.purses.void(RequestId(1));
        node.purses.void(RequestId(1));
        assert_eq!(node.purses.book(&pot(1), P).held, NanoUsd(0));
    }
}

#[test]
fn what_another_node_needs_comes_back_and_what_is_held_does_not() {
    let mut log = log(100);
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    let forty = demand(&log, 40, true);
    a.hold(&log, 1, &forty, 0).expect_err("no lease yet");
    a.hold(&log, 2, &forty, 0).expect_err("no lease yet");
    a.propose(&mut log, 0);
    a.propose(&mut log, 0);
    a.hold(&log, 1, &forty, 0).expect("granted");
    a.hold(&log, 2, &forty, 0).expect("granted");
    a.purses.void(RequestId(2));
    let short = b.hold(&log, 3, &forty, 1).expect_err("20 are free");
    assert!(!short.is_final());
    let recalls = b.propose(&mut log, 1);
    let ticket = Ticket { place: Place::Gathers, request: RequestId(3) };
    assert_eq!((recalls.len(), &recalls[0].pot, recalls[0].ticket), (1, &pot(1), ticket));
    a.answer(b.id, &recalls[0], 2);
    a.propose(&mut log, 2);
    b.propose(&mut log, 3);
    b.hold(&log, 3, &forty, 3).expect("a gave up what it did not hold");
    assert_eq!(a.purses.book(&pot(1), P).held, NanoUsd(40));
}

#[test]
fn a_lowered_limit_holds_at_once_and_the_rest_goes_back() {
    let mut log = log(100);
    let mut node = Node::new(1);
    let demands = demand(&log, 50, true);
    node.hold(&log, 1, &demands, 0).expect_err("no lease yet");
    node.propose(&mut log, 0);
    log.pots.get_mut(&pot(1)).expect("there").0 = NanoUsd(30);
    let short = node.hold(&log, 1, &demand(&log, 40, true), 1).expect_err("above the limit");
    assert!(short.is_final());
    node.hold(&log, 2, &demand(&log, 30, true), 1).expect("within it");
    node.propose(&mut log, 1);
    assert_eq!(log.view(&pot(1), node.holder()).granted, NanoUsd(30));
    node.purses.void(RequestId(2));
    log.pots.remove(&pot(1));
    assert!(node.due(&log, 2).returns.is_empty(), "a deleted pot has no leases");
}

#[test]
fn an_idle_lease_goes_back_and_its_purse_is_dropped() {
    let mut log = log(100);
    let mut node = Node::new(1);
    let demands = demand(&log, 10, true);
    node.hold(&log, 1, &demands, 0).expect_err("no lease yet");
    node.propose(&mut log, 0);
    node.hold(&log, 1, &demands, 0).expect("granted");
    node.purses.void(RequestId(1));
    node.propose(&mut log, 59_000);
    assert_eq!(log.view(&pot(1), node.holder()).granted, NanoUsd(10));
    node.propose(&mut log, 60_000);
    assert_eq!(log.view(&pot(1), node.holder()).free, NanoUsd(100));
    node.propose(&mut log, 60_001);
    assert_eq!(node.purses.figures().pots, 0);
}

#[test]
fn money_that_is_withheld_counts_against_a_lowered_limit() {
    let view = View {
        period: P,
        limit: Some(NanoUsd(50)),
        granted: NanoUsd(30),
        withheld: NanoUsd(30),
        ..View::default()
    };
    let mut purses = Purses::new(1);
    for (request, amount, expected) in
        [(1, 21, Err((20, 20))), (2, 20, Ok(())), (3, 1, Err((0, 0)))]
    {
        let amount = NanoUsd(amount);
        let demand = Demand { pot: pot(1), period: P, limit: NanoUsd(50), amount, strict: true };
        let held = purses.hold(RequestId(request), &[demand], &|_| view, MonoMillis(0));
        let lacks = |short: Short| (short.pots[0].available.0, short.pots[0].reachable.0);
        assert_eq!(held.map_err(lacks), expected, "{amount}");
    }
}

#[test]
fn a_dearer_fallback_lacks_only_the_difference() {
    let mut log = log(10);
    let mut node = Node::new(1);
    node.hold(&log, 1, &demand(&log, 6, true), 0).expect_err("no lease yet");
    node.propose(&mut log, 0);
    node.hold(&log, 1, &demand(&log, 6, true), 0).expect("granted");
    node.hold(&log, 1, &demand(&log, 8, true), 0).expect_err("more than the lease");
    assert_eq!(node.purses.book(&pot(1), P).held, NanoUsd(6), "it keeps what it held");
    node.propose(&mut log, 300);
    assert_eq!(log.view(&pot(1), node.holder()).granted, NanoUsd(8));
    node.hold(&log, 1, &demand(&log, 8, true), 300).expect("granted");
    let short = node.hold(&log, 1, &demand(&log, 12, true), 300).expect_err("above the limit");
    assert!(short.is_final());
    assert_eq!(node.purses.book(&pot(1), P).held, NanoUsd(8));
}

/// It is not said to be spent: what is left of it is there for whoever asks elsewhere or later.
#[test]
fn a_pot_without_room_for_its_books_is_told_apart_from_one_that_is_spent() {
    let log = Log::with_pots(100, 3, P);
    let view = |of: &dunlin_types::PotId| log.view(of, (NodeId(1), Epoch(1)));
    let mut purses = Purses::new(2);
    let demand = |of: u64, amount| Demand {
        pot: pot(of),
        period: P,
        limit: NanoUsd(100),
        amount: NanoUsd(amount),
        strict: true,
    };
    let mut hold = |request, demands: &[Demand]| {
        purses.hold(RequestId(request), demands, &view, MonoMillis(0)).expect_err("no lease yet")
    };
    assert!(!hold(1, &[demand(1, 1), demand(2, 1)]).is_final());
    let short = hold(2, &[demand(2, 1), demand(3, 1)]);
    assert_eq!((short.lacks_room, short.is_final(), short.is_spent()), (true, true, false));
    assert_eq!(short.pots.len(), 1, "nothing is said of the other");
    let short = hold(3, &[demand(2, 101), demand(3, 1)]);
    assert!(short.lacks_room && short.is_spent(), "both are so");
    assert!(!hold(4, &[demand(1, 1)]).is_final(), "books that are kept go on");
    for request in 1..=4 {
        purses.void(RequestId(request));
    }
    let later = MonoMillis(600_000);
    for _ in 0..2 {
        purses.due(&view, &|_| Vec::new(), later);
    }
    let short = purses.hold(RequestId(5), &[demand(3, 1)], &view, later);
    assert!(!short.expect_err("no lease yet").lacks_room, "the others lay idle");
}
