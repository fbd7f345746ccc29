//! Picks over many seeds: who gets traffic, and how much.

use dunlin_ledger::{Adjustment, Kind, Rate, Sheet};
use dunlin_types::PicoUsd;

use super::*;

const READY: Seen = Seen {
    cooling_until: None,
    rumoured: false,
    out: false,
    load: 0.0,
    warmth: 1.0,
    used: Tokens(0),
    latency: None,
};

fn group(weights: &[Weight]) -> Group {
    let deployment = |(at, weight): (usize, &Weight)| {
        Arc::new(Deployment {
            id: DeploymentId(at.to_string().into()),
            weight: *weight,
            ..crate::tests::deployment("g", &at.to_string())
        })
    };
    Group { name: "g".into(), deployments: weights.iter().enumerate().map(deployment).collect() }
}

/// The percentage of 10,000 picks that each deployment got.
fn percentages(group: &Group, strategy: Strategy, seen: &[Seen]) -> Vec<u32> {
    let mut counts = vec![0_u32; seen.len()];
    for seed in 0..10_000 {
        counts[pick(group, strategy, seen, &BTreeSet::new(), seed).expect("one is ready")] += 1;
    }
    counts.iter().map(|count| (count + 50) / 100).collect()
}

#[test]
fn the_shuffle_follows_the_first_measure_that_anyone_sets() {
    let none = Weight::default();
    let weight = |weight| Weight { weight: Some(weight), ..none };
    let rpm = |rpm| Weight { rpm: Some(rpm), ..none };
    let about = |weights: &[Weight], expected: &[u32]| {
        let got = percentages(&group(weights), Strategy::Shuffle, &vec![READY; weights.len()]);
        let near = got.iter().zip(expected).all(|(got, expected)| got.abs_diff(*expected) <= 2);
        assert!(near, "{weights:?}: {got:?}, expected about {expected:?}");
    };
    about(&[none, none], &[50, 50]);
    about(&[weight(3.0), weight(1.0)], &[75, 25]);
    about(&[weight(1.0), none], &[100, 0]);
    about(&[rpm(900.0), rpm(100.0)], &[90, 10]);
    about(&[weight(1.0), rpm(900.0)], &[100, 0]);
    about(&[weight(0.0), weight(0.0)], &[50, 50]);
}

#[test]
fn least_busy_prefers_the_idle_and_splits_ties() {
    let none = Weight::default();
    let busy = |load| Seen { load, ..READY };
    let idle = percentages(&group(&[none; 2]), Strategy::LeastBusy, &[busy(3.0), busy(1.0)]);
    assert_eq!(idle, [0, 100], "of two the less busy one");
    let ties = percentages(&group(&[none; 2]), Strategy::LeastBusy, &[READY; 2]);
    assert!(ties[0].abs_diff(50) <= 2, "{ties:?}");
    let three = [busy(0.0), busy(1.0), busy(2.0)];
    let three = percentages(&group(&[none; 3]), Strategy::LeastBusy, &three);
    assert!(three[0].abs_diff(67) <= 2 && three[2] == 0, "never all to one: {three:?}");
    let twice = Weight { weight: Some(2.0), ..none };
    let once = Weight { weight: Some(1.0), ..none };
    let weighted = [busy(5.0), busy(3.0)];
    let weighted = percentages(&group(&[twice, once]), Strategy::LeastBusy, &weighted);
    assert_eq!(weighted, [100, 0], "6 for two shares is less than 4 for one");
    let cold = Seen { warmth: 0.1, ..READY };
    let cold = percentages(&group(&[none; 2]), Strategy::LeastBusy, &[busy(5.0), cold]);
    assert_eq!(cold, [100, 0], "one that has just come back is spared");
}

#[test]
fn who_is_left_alone_gets_nothing_while_another_is_ready() {
    let cooling = Seen { cooling_until: Some(MonoMillis(9)), ..READY };
    let later = Seen { cooling_until: Some(MonoMillis(20)), ..READY };
    let out = Seen { out: true, ..READY };
    let three = group(&[Weight::default(); 3]);
    assert_eq!(percentages(&three, Strategy::Shuffle, &[cooling, READY, out]), [0, 100, 0]);
    assert_eq!(percentages(&three, Strategy::Shuffle, &[cooling, cooling, out]), [0, 0, 100]);
    let pick = |group: &Group, seen: &[Seen], tried: &[&str]| {
        let tried = tried.iter().map(|id| DeploymentId((*id).into())).collect();
        pick(group, Strategy::Shuffle, seen, &tried, 7)
    };
    let until = MonoMillis(9);
    assert_eq!(
        pick(&three, &[later, cooling, later], &[]),
        Err(NonePicked::AllCoolingDown { until })
    );
    assert_eq!(pick(&three, &[READY; 3], &["0", "2"]), Ok(1));
    let mut parked = three.clone();
    for deployment in &mut parked.deployments {
        Arc::make_mut(deployment).parked = Some("no key".into());
    }
    assert_eq!(pick(&parked, &[READY; 3], &[]), Err(NonePicked::AllParked));
    let mut ordered = three;
    Arc::make_mut(&mut ordered.deployments[0]).order = 2;
    Arc::make_mut(&mut ordered.deployments[1]).order = 1;
    Arc::make_mut(&mut ordered.deployments[2]).order = 1;
    let ordered = percentages(&ordered, Strategy::Shuffle, &[READY; 3]);
    assert_eq!(ordered[0], 0, "a higher order waits");
}

#[test]
fn a_peers_count_fades_with_the_time_a_request_takes() {
    let tenth = Duration::from_millis(100);
    assert!(decay(tenth, Duration::from_secs(8)) > 0.98, "exact for long chats");
    assert!(decay(tenth, Duration::from_millis(40)) < 0.1, "noise for embeddings");
    assert!(decay(tenth, Duration::ZERO) < 1e-9);
}

#[test]
fn the_better_of_what_is_left_is_picked() {
    let cooling = Seen { cooling_until: Some(MonoMillis(9)), ..READY };
    let rumoured = Seen { rumoured: true, ..READY };
    let out = Seen { out: true, ..READY };
    let none = Weight::default();
    let one = Weight { weight: Some(1.0), ..none };
    let check = |what, weights: [Weight; 2], seen: [Seen; 2], tried: &[&str], expected| {
        let tried = tried.iter().map(|id| DeploymentId((*id).into())).collect();
        for seed in 0..20 {
            let picked = pick(&group(&weights), Strategy::Shuffle, &seen, &tried, seed);
            assert_eq!(picked, Ok(expected), "{what}");
        }
    };
    check("a fresh one", [none; 2], [READY; 2], &["0"], 1);
    check("a tried one before one that cools down", [none; 2], [READY, cooling], &["0"], 0);
    check("a fresh one before a rumoured one", [none; 2], [rumoured, READY], &[], 1);
    check("a rumoured one before a tried one", [none; 2], [READY, rumoured], &["0"], 1);
    check("a rumoured one before one that is out", [none; 2], [out, rumoured], &["1"], 1);
    check("a tried one before one without a share", [one, none], [READY; 2], &["0"], 0);
    check("one without a share before none", [one, none], [cooling, READY], &[], 1);
    check("one that is out before none", [none; 2], [out, cooling], &["0", "1"], 0);
}

#[test]
fn a_measure_counts_within_its_order() {
    let mut tiers = group(&[Weight::default(), Weight { rpm: Some(1.0), ..Weight::default() }]);
    Arc::make_mut(&mut tiers.deployments[1]).order = 1;
    assert_eq!(percentages(&tiers, Strategy::Shuffle, &[READY; 2]), [100, 0]);
}

#[test]
fn least_busy_knows_weights_but_no_rates() {
    let rates = [900.0, 100.0].map(|rpm| Weight { rpm: Some(rpm), ..Weight::default() });
    let ties = percentages(&group(&rates), Strategy::LeastBusy, &[READY; 2]);
    assert!(ties[0].abs_diff(50) <= 2, "{ties:?}");
    let weights =
        [1.0, 2.0, 2.0].map(|weight| Weight { weight: Some(weight), ..Weight::default() });
    let weighted = percentages(&group(&weights), Strategy::LeastBusy, &[READY; 3]);
    assert!(weighted[0] == 0 && weighted[1].abs_diff(50) <= 2, "drawn alike: {weighted:?}");
}

#[test]
fn the_cheapest_is_the_one_of_the_least_rates_and_an_unknown_price_is_the_dearest() {
    let price = |pico| {
        let mut sheet = Sheet::default();
        sheet.set(Rate::of(Kind::Input), PicoUsd(pico));
        Pricing::from(sheet.price(Adjustment::default()))
    };
    let of = |prices: &[Pricing]| {
        let mut group = group(&vec![Weight::default(); prices.len()]);
        for (deployment, price) in group.deployments.iter_mut().zip(prices) {
            Arc::make_mut(deployment).price = price.clone();
        }
        percentages(&group, Strategy::Cheapest, &vec![READY; prices.len()])
    };
    assert_eq!(of(&[price(2_000_000), price(1_000_000), Pricing::Unpriced]), [0, 100, 0]);
    assert_eq!(of(&[price(1_000_000), Pricing::Free]), [0, 100]);
    let ties = of(&[price(1_000_000), price(1_000_000)]);
    assert!(ties[0].abs_diff(50) <= 2, "{ties:?}");
}

#[test]
fn usage_goes_to_the_least_used_and_latency_to_the_fastest() {
    let two = group(&[Weight::default(); 2]);
    let used = |tokens| Seen { used: Tokens(tokens), ..READY };
    assert_eq!(percentages(&two, Strategy::LeastUsed, &[used(10), used(9)]), [0, 100]);
    let took = |ms| Seen { latency: Some(Duration::from_millis(ms)), ..READY };
    let fastest = |within| Strategy::Fastest { within, stream: true };
    assert_eq!(percentages(&two, fastest(0.0), &[took(100), took(120)]), [100, 0]);
    let near = percentages(&two, fastest(0.5), &[took(100), took(120)]);
    assert!(near[0].abs_diff(50) <= 2, "as good as each other: {near:?}");
    let unknown = percentages(&two, fastest(0.0), &[took(100), READY]);
    assert!(unknown[0].abs_diff(50) <= 2, "it must become known: {unknown:?}");
    let cooling = Seen { cooling_until: Some(MonoMillis(1)), ..took(1) };
    assert_eq!(percentages(&two, fastest(0.0), &[cooling, took(900)]), [0, 100]);
}
