//! Cooldown and reach, as transcripts: outcomes at times, and the state after them.

use std::time::Duration;

use dunlin_types::MonoMillis;

use super::{CooldownRules, Health, HealthState, Outcome, Reach};

const RULES: CooldownRules =
    CooldownRules { cooldown: Duration::from_secs(5), allowed_fails: None, has_siblings: true };
const ALONE: CooldownRules = CooldownRules { has_siblings: false, ..RULES };
const NEVER: CooldownRules = CooldownRules { cooldown: Duration::ZERO, ..RULES };
const ONE_ALLOWED: CooldownRules = CooldownRules { allowed_fails: Some(1), ..RULES };

const fn refused(status: u16) -> Outcome {
    Outcome::Refused { status, retry_after: None }
}

/// When the deployment may be used again, in ms after `outcomes` came 1 ms apart.
fn cooled_until(rules: &CooldownRules, outcomes: &[Outcome]) -> Option<u64> {
    let mut health = Health::default();
    let mut now = MonoMillis(0);
    for outcome in outcomes {
        health.observe(*outcome, rules, now);
        now = now.plus(Duration::from_millis(1));
    }
    match health.state(now) {
        HealthState::CoolingDown { until } => Some(until.0),
        other => {
            assert_eq!(other, HealthState::Ready);
            None
        }
    }
}

#[test]
fn a_deployment_cools_down_by_litellms_rules() {
    let asked = Outcome::Refused { status: 429, retry_after: Some(Duration::from_secs(7)) };
    let absurd = Outcome::Refused { status: 429, retry_after: Some(Duration::MAX) };
    let half = [Outcome::Served, refused(500), Outcome::Served, refused(500), Outcome::Served];
    let mostly = [Outcome::Served, refused(500), Outcome::Served, refused(500), refused(500)];
    let hopeless = vec![refused(500); 1000];
    let cases: &[(&str, CooldownRules, &[Outcome], Option<u64>)] = &[
        ("429 with a sibling", RULES, &[refused(429)], Some(5_000)),
        ("its retry-after", RULES, &[asked], Some(7_000)),
        ("an absurd retry-after", RULES, &[absurd], Some(3_600_000)),
        ("429 alone", ALONE, &[asked], None),
        ("401 alone", ALONE, &[refused(401)], Some(5_000)),
        ("404 alone", ALONE, &[refused(404)], Some(5_000)),
        ("400", RULES, &[refused(400); 9], None),
        ("422", RULES, &[refused(422); 9], None),
        ("four of four", RULES, &[refused(503); 4], None),
        ("half", RULES, &half, None),
        ("more than half", RULES, &mostly, Some(5_004)),
        ("more than half, alone", ALONE, &mostly, None),
        ("hopeless, alone", ALONE, &hopeless, Some(5_999)),
        ("switched off", NEVER, &[refused(401)], None),
        ("one allowed", ONE_ALLOWED, &[refused(500)], None),
        ("two of one allowed", ONE_ALLOWED, &[refused(500), refused(500)], Some(5_001)),
    ];
    for (what, rules, outcomes, expected) in cases {
        assert_eq!(cooled_until(rules, outcomes), *expected, "{what}");
    }
}

#[test]
fn failures_are_forgotten_after_their_window() {
    let mut health = Health::default();
    for second in 0..10 {
        health.observe(refused(500), &ONE_ALLOWED, MonoMillis(second * 6_000));
        assert_eq!(health.state(MonoMillis(second * 6_000)), HealthState::Ready, "{second}");
    }
}

#[test]
fn peers_are_told_of_rate_limits_only() {
    let mut health = Health::default();
    health.observe(refused(401), &RULES, MonoMillis(0));
    assert_eq!(health.rate_limited_for(MonoMillis(1)), None);
    health.observe(refused(429), &RULES, MonoMillis(0));
    assert_eq!(health.rate_limited_for(MonoMillis(1_000)), Some(Duration::from_secs(4)));
    assert_eq!(health.rate_limited_for(MonoMillis(5_000)), None);
}

#[test]
fn a_refused_connection_puts_a_backend_out_until_a_probe_succeeds() {
    let mut reach = Reach::default();
    reach.observe(Outcome::NoConnection, MonoMillis(0));
    let mut probes = vec![];
    for _ in 0..6 {
        assert!(reach.is_out());
        let due = reach.next_probe().expect("it is probed while it is out");
        probes.push(due.0);
        // Calls that fail meanwhile do not put the probe off.
        reach.observe(Outcome::NoConnection, MonoMillis(due.0 - 1));
        reach.observe_probe(false, due);
    }
    assert_eq!(probes, [1_000, 3_000, 7_000, 15_000, 25_000, 35_000]);
    reach.observe_probe(true, MonoMillis(40_000));
    assert!(!reach.is_out() && reach.next_probe().is_none());
    let warmth = [0, 5_000, 10_000, 90_000].map(|ms| reach.warmth(MonoMillis(40_000 + ms)));
    assert!((warmth[0] - 0.1).abs() < 1e-9 && (warmth[1] - 0.55).abs() < 1e-9, "{warmth:?}");
    assert!(warmth[2] >= 1.0 && warmth[3] <= 1.0, "{warmth:?}");
}

#[test]
fn what_is_only_odd_is_probed_before_it_is_out() {
    for odd in [Outcome::Broken, refused(503), refused(408)] {
        let mut reach = Reach::default();
        reach.observe(odd, MonoMillis(5));
        assert!(!reach.is_out(), "{odd:?}");
        assert_eq!(reach.next_probe(), Some(MonoMillis(5)), "{odd:?}");
        let mut served = reach;
        served.observe(Outcome::Served, MonoMillis(6));
        assert_eq!(served.next_probe(), None, "{odd:?}");
        assert!(served.warmth(MonoMillis(6)) >= 1.0, "it never went away");
        reach.observe_probe(false, MonoMillis(7));
        assert!(reach.is_out(), "{odd:?}");
    }
    let mut reach = Reach::default();
    reach.observe(refused(429), MonoMillis(5));
    assert_eq!(reach.next_probe(), None, "a server that says no is there");
}
