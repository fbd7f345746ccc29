//! Small clusters under a seeded clock and network, which delays, repeats and reorders: what all
//! nodes admit in any 60 s stays within the bound the crate's head states.

mod simulation;

use dunlin_limiter::{Limits, Ring};
use dunlin_types::{NodeId, OnLoss};
use simulation::{Demand, PATIENCE_MS, Simulation, nodes};

const SEEDS: u64 = 12;

fn limits(requests: Option<u64>, tokens: Option<u64>, parallel: Option<u64>) -> Limits {
    Limits { requests, tokens, parallel, on_loss: OnLoss::Full, as_of: 1 }
}

#[test]
fn a_healthy_cluster_admits_the_limit_and_no_more() {
    for seed in 0..SEEDS {
        let demand =
            Demand { limits: limits(Some(50), None, None), each_ms: 200, lasts_ms: 100, undone: 0 };
        let mut cluster = Simulation::new(seed, 4, demand);
        cluster.run_until(150_000);
        assert_eq!(cluster.most_in_a_minute(), 50, "seed {seed}");
        assert_eq!(cluster.admitted_between(0, 60_000), 50, "seed {seed}: nothing is lost either");
    }
}

#[test]
fn leases_never_exceed_the_limit_and_hardly_waste_it() {
    for seed in 0..SEEDS / 3 {
        let demand = Demand {
            limits: limits(Some(24_000), None, None),
            each_ms: 3,
            lasts_ms: 20,
            undone: 0,
        };
        let mut cluster = Simulation::new(seed, 3, demand);
        cluster.run_until(10_000);
        assert!(cluster.asked() < cluster.admitted() / 2, "seed {seed}: the owner is spared");
        cluster.run_until(90_000);
        assert!(
            cluster.most_in_a_minute() <= 24_000,
            "seed {seed}: {}",
            cluster.most_in_a_minute()
        );
        let used = cluster.admitted_between(0, 60_000);
        assert!(used >= 23_950, "seed {seed}: {used}");
    }
}

#[test]
fn tokens_and_slots_are_taken_all_or_nothing() {
    for seed in 0..SEEDS {
        let limits = limits(Some(400), Some(20_000), Some(7));
        let mut cluster =
            Simulation::new(seed, 3, Demand { limits, each_ms: 60, lasts_ms: 400, undone: 0 });
        cluster.run_until(130_000);
        assert!(cluster.most_in_a_minute() <= 400, "seed {seed}");
        assert!(cluster.most_tokens_in_a_minute() <= 20_000, "seed {seed}");
        assert!(cluster.most_at_once() <= 7, "seed {seed}: {}", cluster.most_at_once());
        assert!(cluster.admitted_between(0, 60_000) >= 80, "seed {seed}: refusals cost nothing");
    }
}

#[test]
fn a_slot_is_free_again_when_its_request_ends_or_its_node_is_marked_down() {
    for seed in 0..SEEDS {
        let limits = limits(None, None, Some(3));
        let mut cluster =
            Simulation::new(seed, 3, Demand { limits, each_ms: 50, lasts_ms: 200, undone: 0 });
        cluster.run_until(20_000);
        let before = cluster.admitted();
        cluster.crash(cluster.not_owner());
        cluster.run_until(40_000);
        assert!(cluster.admitted() - before > 100, "seed {seed}");
        assert!(cluster.most_at_once() <= 3, "seed {seed}");
    }
}

#[test]
fn a_crash_costs_what_the_dead_node_itself_admitted() {
    for seed in 0..SEEDS {
        let demand =
            Demand { limits: limits(Some(300), None, None), each_ms: 70, lasts_ms: 100, undone: 0 };
        let mut cluster = Simulation::new(seed, 4, demand);
        cluster.run_until(5_000 + seed * 1_700);
        let owner = cluster.owner();
        cluster.crash(owner);
        cluster.run_until(cluster.now() + 9_000);
        cluster.restart(owner);
        cluster.run_until(160_000);
        let lost = cluster.most_in_a_minute_of(|node| node == owner);
        assert!(cluster.most_in_a_minute() <= 300 + lost, "seed {seed}");
        let later = cluster.admitted_between(60_000, 120_000);
        assert!(later + lost as usize >= 280, "seed {seed}: {later}");
    }
}

#[test]
fn skewed_traffic_is_not_forgotten_with_its_owner() {
    for seed in 0..SEEDS {
        let demand =
            Demand { limits: limits(Some(90), None, None), each_ms: 100, lasts_ms: 100, undone: 0 };
        let mut cluster = Simulation::new(seed, 4, demand);
        let (owner, busy) = (cluster.owner(), cluster.not_owner());
        cluster.only_through(Some(busy));
        cluster.run_until(8_000);
        cluster.crash(owner);
        cluster.only_through(None);
        cluster.run_until(70_000);
        assert!(cluster.most_in_a_minute() <= 90, "seed {seed}: {}", cluster.most_in_a_minute());
    }
}

/// One node after the other stands still for a while. Returns the most that was admitted in a minute,
/// and how much that was at least in any run.
fn stalled(limit: u64, lasts_ms: u64, patience_ms: u64) -> (u64, u64) {
    let (mut most, mut least) = (0, u64::MAX);
    for seed in 0..SEEDS {
        let limits = limits(Some(limit), None, None);
        let demand = Demand { limits, each_ms: 60_000 / limit, lasts_ms: 100, undone: 0 };
        let mut cluster = Simulation::new(seed, 3, demand);
        cluster.wait_for_owners(patience_ms);
        cluster.run_until(1_000 + seed * 70);
        for node in nodes(3).into_iter().cycle().take(100) {
            cluster.stand_still(node, lasts_ms);
            cluster.run_until(cluster.now() + lasts_ms + 250);
        }
        cluster.run_until(cluster.now() + 30_000);
        let admitted = cluster.most_in_a_minute();
        (most, least) = (most.max(admitted), least.min(admitted));
    }
    (most, least)
}

/// Why owners are waited for as long as they are: see the decision in `docs/adr`.
#[test]
fn an_owner_that_stands_still_for_a_moment_is_waited_for() {
    for limit in [12, 60, 600] {
        for lasts_ms in [100, 400, 800] {
            let (most, least) = stalled(limit, lasts_ms, PATIENCE_MS);
            let (hasty, _) = stalled(limit, lasts_ms, 250);
            eprintln!("{limit} a minute, stalls of {lasts_ms} ms: {most}; after 250 ms: {hasty}");
            assert!(most <= limit, "{limit}, {lasts_ms} ms: {most}");
            assert!(least * 10 >= limit * 9, "{limit}, {lasts_ms} ms: {least}");
        }
    }
}

#[test]
fn a_growing_and_shrinking_ring_forgets_nothing() {
    for seed in 0..SEEDS {
        let demand =
            Demand { limits: limits(Some(120), None, None), each_ms: 50, lasts_ms: 300, undone: 0 };
        let mut cluster = Simulation::new(seed, 4, demand);
        let all = nodes(4);
        for round in 0..12 {
            cluster.run_until(cluster.now() + 3_000);
            let members = if round % 2 == 0 { all[..3].to_vec() } else { all.clone() };
            cluster.set_ring(Ring::new(10 + round, members));
        }
        cluster.run_until(cluster.now() + 60_000);
        assert!(cluster.most_in_a_minute() <= 120, "seed {seed}: {}", cluster.most_in_a_minute());
        assert!(cluster.admitted_between(0, 60_000) >= 110, "seed {seed}");
    }
}

/// An owner that is about to stop tells those who count after it; its end then costs nothing.
#[test]
fn an_owner_that_rests_before_it_ends_takes_nothing_with_it() {
    for seed in 0..SEEDS {
        let demand =
            Demand { limits: limits(Some(120), None, None), each_ms: 50, lasts_ms: 300, undone: 0 };
        let mut cluster = Simulation::new(seed, 4, demand);
        let (owner, heir) = (cluster.owner(), cluster.not_owner());
        cluster.only_through(Some(owner));
        cluster.run_until(4_000 + seed * 1_300);
        cluster.set_ring(Ring::new(10, nodes(4)).resting(vec![owner]));
        assert_ne!(cluster.owner(), owner, "seed {seed}");
        cluster.only_through(Some(heir));
        cluster.run_until(cluster.now() + 2_500);
        cluster.crash(owner);
        cluster.run_until(160_000);
        assert!(cluster.most_in_a_minute() <= 120, "seed {seed}: {}", cluster.most_in_a_minute());
        assert!(cluster.admitted_between(60_000, 120_000) >= 110, "seed {seed}");
    }
}

/// A node that has just come back serves before it is marked up: it admits by the owners' word. Nobody
/// forgets what it admitted when an owner changes.
#[test]
fn what_a_node_admits_while_it_is_marked_down_is_not_forgotten() {
    for seed in 0..SEEDS {
        let demand = Demand {
            limits: limits(Some(120), None, None),
            each_ms: 400,
            lasts_ms: 100,
            undone: 0,
        };
        let mut cluster = Simulation::new(seed, 5, demand);
        let (owner, back) = (cluster.owner(), cluster.not_owner());
        cluster.pace(back, 100);
        for round in 0..12 {
            cluster.mark_down(&[back, owner][..1 + round % 2]);
            cluster.run_until(cluster.now() + 3_000);
        }
        cluster.mark_down(&[]);
        cluster.run_until(cluster.now() + 60_000);
        assert!(cluster.most_in_a_minute() <= 120, "seed {seed}: {}", cluster.most_in_a_minute());
        assert!(cluster.admitted_between(0, 60_000) >= 110, "seed {seed}");
    }
}

#[test]
fn a_node_that_is_marked_down_and_serves_holds_its_slots() {
    for seed in 0..SEEDS {
        let limits = limits(None, None, Some(3));
        let mut cluster =
            Simulation::new(seed, 3, Demand { limits, each_ms: 50, lasts_ms: 2_000, undone: 0 });
        cluster.run_until(3_000);
        cluster.mark_down(&[cluster.not_owner()]);
        cluster.run_until(20_000);
        assert!(cluster.most_at_once() <= 3, "seed {seed}: {}", cluster.most_at_once());
    }
}

#[test]
fn a_partition_costs_the_shares_of_those_without_quorum() {
    for seed in 0..SEEDS {
        let demand =
            Demand { limits: limits(Some(300), None, None), each_ms: 40, lasts_ms: 100, undone: 0 };
        let mut cluster = Simulation::new(seed, 3, demand);
        cluster.run_until(4_000);
        let owns = seed % 2 == 0;
        let apart = if owns { cluster.owner() } else { cluster.not_owner() };
        cluster.cut_off(apart);
        cluster.run_until(140_000);
        let others = cluster.most_in_a_minute_of(|node| node != apart);
        assert!(others <= 300, "seed {seed}: {others} with quorum");
        // An owner goes on for as long as it may be without a sign of the leader.
        cluster.forget_before(if owns { 6_100 } else { 4_300 });
        let shared = cluster.most_in_a_minute_of(|node| node == apart);
        assert!((90..=100).contains(&shared), "seed {seed}: {shared} without quorum");
    }
}

/// Takes of a lease, by an owner's word, and by a share while the ring changes: each is given back
/// once, so that all is free long before it would have come back by itself. (A lease whose owner is
/// replaced stays counted at the former one for its minute; so the ring stays there.)
#[test]
fn what_is_undone_is_as_if_it_never_was() {
    for seed in 0..SEEDS {
        let limits = match seed % 3 {
            0 => limits(Some(24_000), None, None),
            1 => limits(Some(600), Some(60_000), None),
            _ => limits(Some(600), Some(60_000), Some(20)),
        };
        let demand = Demand { limits, each_ms: 5, lasts_ms: 0, undone: 1 };
        let mut cluster = Simulation::new(seed, 4, demand);
        cluster.run_until(6_000);
        if seed % 3 > 0 {
            let others = nodes(4).into_iter().filter(|node| *node != cluster.owner());
            cluster.set_ring(Ring::new(10, others.collect()));
        }
        cluster.run_until(12_000);
        assert!(cluster.undone() > 2_000, "seed {seed}: {}", cluster.undone());
        cluster.only_through(Some(NodeId(0)));
        cluster.run_until(cluster.now() + 4_000);
        for (what, limit, remaining) in cluster.probe().0 {
            assert_eq!(remaining, limit - 1, "seed {seed}: {what:?}");
        }
    }
}

#[test]
fn what_is_undone_takes_nothing_from_the_others() {
    for seed in 0..SEEDS {
        let limits = limits(Some(50), Some(100_000), Some(50));
        let demand = Demand { limits, each_ms: 100, lasts_ms: 100, undone: 2 };
        let mut cluster = Simulation::new(seed, 4, demand);
        cluster.run_until(150_000);
        assert_eq!(cluster.most_in_a_minute(), 50, "seed {seed}");
        assert_eq!(cluster.admitted_between(0, 60_000), 50, "seed {seed}");
    }
}

#[test]
fn undone_takes_of_leases_come_back_and_no_more() {
    for seed in 0..SEEDS / 3 {
        let limits = limits(Some(24_000), None, None);
        let demand = Demand { limits, each_ms: 2, lasts_ms: 20, undone: 3 };
        let mut cluster = Simulation::new(seed, 3, demand);
        cluster.run_until(90_000);
        let most = cluster.most_in_a_minute();
        assert!((23_900..=24_000).contains(&most), "seed {seed}: {most}");
    }
}

#[test]
fn undone_takes_exceed_nothing_when_an_owner_dies() {
    for seed in 0..SEEDS {
        let limits = limits(Some(300), None, None);
        let demand = Demand { limits, each_ms: 30, lasts_ms: 100, undone: 2 };
        let mut cluster = Simulation::new(seed, 4, demand);
        cluster.run_until(5_000 + seed * 1_700);
        let owner = cluster.owner();
        cluster.crash(owner);
        cluster.run_until(140_000);
        let lost = cluster.most_in_a_minute_of(|node| node == owner);
        assert!(cluster.most_in_a_minute() <= 300 + lost, "seed {seed}");
    }
}

/// 600 a minute through five nodes, asked three times as often, four fifths of it at one of them. The
/// figures are printed: what the worst minute of all seeds admits, and a minute long after the event.
#[test]
fn a_skewed_entry_gets_the_limit_and_what_the_lost_node_had() {
    type Event = fn(&mut Simulation, NodeId) -> Option<NodeId>;
    let events: [(&str, Event); 5] = [
        ("nothing happens", |_, _| None),
        ("the owner is killed", |cluster, _| {
            let owner = cluster.owner();
            cluster.crash(owner);
            Some(owner)
        }),
        ("the busy node is killed", |cluster, busy| {
            cluster.crash(busy);
            Some(busy)
        }),
        ("the owner is cut off", |cluster, _| {
            let owner = cluster.owner();
            cluster.cut_off(owner);
            Some(owner)
        }),
        ("the busy node is cut off", |cluster, busy| {
            cluster.cut_off(busy);
            Some(busy)
        }),
    ];
    for (what, event) in events {
        let (mut worst, mut least) = (0, usize::MAX);
        for seed in 0..SEEDS / 3 {
            let limits = limits(Some(600), None, None);
            let demand = Demand { limits, each_ms: 667, lasts_ms: 100, undone: 0 };
            let mut cluster = Simulation::new(seed, 5, demand);
            let busy = cluster.not_owner();
            cluster.pace(busy, 42);
            cluster.run_until(10_000 + seed * 500);
            let lost = event(&mut cluster, busy);
            cluster.run_until(180_000);
            let most = cluster.most_in_a_minute();
            let its = cluster.most_in_a_minute_of(|node| Some(node) == lost);
            assert!(most <= 600 + its, "{what}, seed {seed}: {most} with {its} of the lost node");
            worst = worst.max(most);
            least = least.min(cluster.admitted_between(120_000, 180_000));
        }
        eprintln!("{what}: {worst} in the worst minute, {least} or more in the third");
    }
}

/// A node is cut off, or killed, and comes back: a shared limit is exceeded at no time, by no node.
#[test]
fn a_shared_limit_is_exceeded_whatever_is_lost_by_nothing() {
    for seed in 0..SEEDS {
        let limits = Limits { on_loss: OnLoss::Share, ..limits(Some(300), None, None) };
        let demand = Demand { limits, each_ms: 40, lasts_ms: 100, undone: 0 };
        let mut cluster = Simulation::new(seed, 3, demand);
        cluster.run_until(4_000 + seed * 900);
        let lost = if seed % 2 == 0 { cluster.owner() } else { cluster.not_owner() };
        let (is_killed, at) = (seed % 3 == 0, cluster.now());
        if is_killed {
            cluster.crash(lost);
        } else {
            cluster.cut_off(lost);
        }
        cluster.run_until(at + 200_000);
        let by = |cluster: &Simulation, is_lost: bool, from: u64, to: u64| {
            cluster.admitted_between_by(from, to, |node| (node == lost) == is_lost)
        };
        let (theirs, its) = (
            by(&cluster, false, at + 130_000, at + 190_000),
            by(&cluster, true, at + 130_000, at + 190_000),
        );
        assert!((195..=200).contains(&theirs), "seed {seed}: {theirs} where the quorum is");
        let due = if is_killed { 0..=0 } else { 95..=100 };
        assert!(due.contains(&its), "seed {seed}: {its} by the lost node");
        let owner_is_there = is_killed && seed % 2 == 1;
        assert!(owner_is_there || cluster.closed() > 0, "seed {seed}: somebody could not tell");
        let back = cluster.now();
        if is_killed {
            cluster.restart(lost);
        } else {
            cluster.reconnect(lost, seed % 4 > 1);
        }
        cluster.run_until(back + 140_000);
        assert!(cluster.most_in_a_minute() <= 300, "seed {seed}: {}", cluster.most_in_a_minute());
        let whole = cluster.admitted_between(back + 70_000, back + 130_000);
        assert!((295..=300).contains(&whole), "seed {seed}: {whole} when all are back");
    }
}

/// A node joins while another one is cut off, which knows nothing of it and goes on by its old share.
#[test]
fn a_newcomer_takes_nothing_of_a_lost_nodes_share() {
    for seed in 0..SEEDS / 3 {
        let limits = Limits { on_loss: OnLoss::Share, ..limits(Some(300), None, None) };
        let demand = Demand { limits, each_ms: 40, lasts_ms: 100, undone: 0 };
        let mut cluster = Simulation::new(seed, 3, demand);
        cluster.run_until(4_000);
        let lost = cluster.not_owner();
        cluster.cut_off(lost);
        cluster.run_until(20_000);
        cluster.join(NodeId(0x77_0077));
        cluster.run_until(260_000);
        assert!(cluster.most_in_a_minute() <= 300, "seed {seed}: {}", cluster.most_in_a_minute());
        let its = cluster.admitted_between_by(150_000, 210_000, |node| node == lost);
        assert!((95..=100).contains(&its), "seed {seed}: {its}");
    }
}

#[test]
fn a_closed_limit_admits_nothing_and_an_open_one_all_where_no_owner_is_reached() {
    for seed in 0..SEEDS {
        for (on_loss, due) in [(OnLoss::Closed, 0..=0), (OnLoss::Open, 1_000..=2_000)] {
            let limits = Limits { on_loss, ..limits(Some(300), None, None) };
            let demand = Demand { limits, each_ms: 40, lasts_ms: 100, undone: 0 };
            let mut cluster = Simulation::new(seed, 3, demand);
            cluster.run_until(4_000);
            let lost = if seed % 2 == 0 { cluster.owner() } else { cluster.not_owner() };
            cluster.cut_off(lost);
            cluster.run_until(140_000);
            let others = cluster.most_in_a_minute_of(|node| node != lost);
            // Only those that wait for the mark reach no owner for a moment.
            assert!(on_loss == OnLoss::Open || others <= 300, "seed {seed}: {others}");
            let later = cluster.admitted_between_by(80_000, 140_000, |node| node != lost);
            assert!((290..=300).contains(&later), "seed {seed}: {later} where the quorum is");
            let its = cluster.admitted_between_by(80_000, 140_000, |node| node == lost);
            assert!(due.contains(&its), "seed {seed}: {its} where it is not, {on_loss:?}");
        }
    }
}
