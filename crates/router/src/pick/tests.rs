//! Picks over many seeds: who gets none, who gets how much.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dunlin_ledger::Price;
use dunlin_types::{DeploymentId, MonoMillis};
use proptest::prelude::*;

use super::{NonePicked, Seen, pick};
use crate::{BackendId, Deployment, Group, HealthState, Strategy, Weight};

const READY: Seen =
    Seen { state: HealthState::Ready, load: 0.0, tokens: 0.0, latency: None, warmth: 1.0 };
const PARKED: Seen = Seen { state: HealthState::Parked, ..READY };
const OUT: Seen = Seen { state: HealthState::Unreachable, ..READY };
const RUMOURED: Seen = Seen { state: HealthState::RumouredBusy { until: MonoMillis(9) }, ..READY };
const COOLING: Seen = Seen { state: HealthState::CoolingDown { until: MonoMillis(9) }, ..READY };

fn busy(load: f64) -> Seen {
    Seen { load, ..READY }
}

fn group(deployments: &[(Weight, u32)]) -> Group {
    let deployment = |(at, (weight, order)): (usize, &(Weight, u32))| {
        Arc::new(Deployment {
            id: DeploymentId(at.to_string().into()),
            backend: BackendId::new("http://b", "m"),
            group: "g".into(),
            provider: "openai".into(),
            upstream_model: "m".into(),
            api_base: "http://b".into(),
            api_key: None,
            headers: Vec::new(),
            body_defaults: Vec::new(),
            weight: *weight,
            order: *order,
            timeout: Duration::from_secs(1),
            stream_timeout: Duration::from_secs(1),
            num_retries: None,
            cooldown: None,
            price: Price::default(),
            parked: None,
        })
    };
    Group {
        name: "g".into(),
        deployments: deployments.iter().enumerate().map(deployment).collect(),
    }
}

fn plain(count: usize) -> Group {
    group(&vec![(Weight::default(), 0); count])
}

/// Percent of 2,000 picks that each deployment gets.
fn shares(group: &Group, strategy: Strategy, seen: &[Seen], tried: &[usize]) -> Vec<u32> {
    let tried = tried.iter().map(|at| group.deployments[*at].id.clone()).collect();
    let mut counts = vec![0u32; seen.len()];
    for seed in 0..2_000 {
        counts[pick(group, strategy, seen, &tried, seed).expect("somebody is picked")] += 1;
    }
    counts.iter().map(|count| (count + 10) / 20).collect()
}

fn check(what: &str, got: &[u32], expected: &[u32]) {
    let near = got.iter().zip(expected).all(|(got, expected)| match expected {
        0 | 100 => got == expected,
        _ => got.abs_diff(*expected) <= 4,
    });
    assert!(near && got.len() == expected.len(), "{what}: {got:?}, expected {expected:?}");
}

#[test]
fn those_that_are_out_tried_or_later_in_order_wait() {
    let (three, ordered) = (plain(3), group(&[(Weight::default(), 2), (Weight::default(), 1)]));
    let cases: &[(&str, &Group, &[Seen], &[usize], &[u32])] = &[
        ("alike", &three, &[READY; 3], &[], &[33, 33, 33]),
        ("parked", &three, &[READY, PARKED, READY], &[], &[50, 0, 50]),
        ("out", &three, &[OUT, READY, RUMOURED], &[], &[0, 100, 0]),
        ("all out", &three, &[OUT, PARKED, RUMOURED], &[], &[50, 0, 50]),
        ("cooling is not even tried", &three, &[OUT, COOLING, COOLING], &[], &[100, 0, 0]),
        ("tried once", &three, &[READY; 3], &[0], &[0, 50, 50]),
        ("all tried", &three, &[READY; 3], &[0, 1, 2], &[33, 33, 33]),
        ("tried is better than out", &three, &[READY, OUT, OUT], &[0], &[100, 0, 0]),
        ("order", &ordered, &[READY; 2], &[], &[0, 100]),
        ("next in order", &ordered, &[READY; 2], &[1], &[100, 0]),
    ];
    for (what, group, seen, tried, expected) in cases {
        for strategy in [Strategy::Shuffle, Strategy::LeastBusy] {
            check(
                &format!("{what}, {strategy:?}"),
                &shares(group, strategy, seen, tried),
                expected,
            );
        }
    }
}

#[test]
fn nobody_is_picked_when_all_asked_to_be_left_alone() {
    let later = Seen { state: HealthState::CoolingDown { until: MonoMillis(12) }, ..READY };
    let none = |seen: &[Seen]| pick(&plain(2), Strategy::Shuffle, seen, &BTreeSet::new(), 1);
    assert_eq!(none(&[later, COOLING]), Err(NonePicked::CoolingDown { until: MonoMillis(9) }));
    assert_eq!(none(&[PARKED, later]), Err(NonePicked::CoolingDown { until: MonoMillis(12) }));
    assert_eq!(none(&[PARKED; 2]), Err(NonePicked::Parked));
}

#[test]
fn the_shuffle_follows_the_first_measure_that_is_set() {
    let weight = |weight: Option<f64>, rpm: Option<f64>| (Weight { weight, rpm, tpm: None }, 0);
    let by_weight = group(&[weight(Some(3.0), Some(1.0)), weight(Some(1.0), Some(9.0))]);
    let by_rpm = group(&[weight(None, Some(9.0)), weight(None, Some(1.0))]);
    let missing = group(&[weight(Some(1.0), None), weight(None, Some(5.0))]);
    let cases: &[(&str, &Group, &[Seen], &[usize], &[u32])] = &[
        ("weight", &by_weight, &[READY; 2], &[], &[75, 25]),
        ("rpm", &by_rpm, &[READY; 2], &[], &[90, 10]),
        ("missing is none", &missing, &[READY; 2], &[], &[100, 0]),
        ("missing is none for a retry too", &missing, &[READY; 2], &[0], &[100, 0]),
        ("missing serves when alone", &missing, &[COOLING, READY], &[], &[0, 100]),
    ];
    for (what, group, seen, tried, expected) in cases {
        check(what, &shares(group, Strategy::Shuffle, seen, tried), expected);
    }
}

#[test]
fn the_less_busy_of_a_random_few_is_picked() {
    let heavy =
        group(&[(Weight { weight: Some(3.0), ..Weight::default() }, 0), (Weight::default(), 0)]);
    let slow = |ms| Seen { latency: Some(Duration::from_millis(ms)), ..READY };
    let cases: &[(&str, &Group, &[Seen], &[u32])] = &[
        ("two", &plain(2), &[busy(2.0), busy(1.0)], &[0, 100]),
        ("a tie", &plain(2), &[busy(1.0), busy(1.0)], &[50, 50]),
        ("fewer tokens", &plain(2), &[Seen { tokens: 9.0, ..READY }, READY], &[0, 100]),
        ("never all on one", &plain(3), &[busy(0.0), busy(1.0), busy(2.0)], &[67, 33, 0]),
        ("weights", &heavy, &[busy(4.0), busy(1.0)], &[100, 0]),
        ("of equals the fastest", &plain(2), &[slow(100), slow(300)], &[100, 0]),
        ("about as fast", &plain(2), &[slow(100), slow(110)], &[50, 50]),
        ("unmeasured gets its chance", &plain(2), &[slow(100), READY], &[50, 50]),
        (
            "a fast one is not drowned",
            &plain(2),
            &[Seen { load: 1.0, ..slow(1) }, slow(900)],
            &[0, 100],
        ),
        ("back a moment ago", &plain(2), &[Seen { warmth: 0.1, ..READY }, busy(3.0)], &[0, 100]),
    ];
    for (what, group, seen, expected) in cases {
        check(what, &shares(group, Strategy::LeastBusy, seen, &[]), expected);
    }
}

proptest! {
    /// Whatever is seen, a pick is one of the best class present, and two same seeds agree.
    #[test]
    fn a_pick_is_never_parked_or_cooling(
        states in prop::collection::vec(0usize..5, 1..9),
        loads in prop::collection::vec(0.0f64..50.0, 9),
        least_busy: bool,
        seed: u64,
    ) {
        let kinds = [READY, PARKED, OUT, RUMOURED, COOLING];
        let seen: Vec<Seen> =
            states.iter().zip(&loads).map(|(kind, load)| Seen { load: *load, ..kinds[*kind] }).collect();
        let strategy = if least_busy { Strategy::LeastBusy } else { Strategy::Shuffle };
        let picked = pick(&plain(seen.len()), strategy, &seen, &BTreeSet::new(), seed);
        prop_assert_eq!(picked, pick(&plain(seen.len()), strategy, &seen, &BTreeSet::new(), seed));
        let has: BTreeMap<usize, ()> = states.iter().map(|kind| (*kind, ())).collect();
        match picked {
            Ok(at) if has.contains_key(&0) => prop_assert_eq!(states[at], 0),
            Ok(at) => prop_assert!(matches!(states[at], 2 | 3)),
            Err(_) => prop_assert!(states.iter().all(|kind| matches!(kind, 1 | 4))),
        }
    }
}
