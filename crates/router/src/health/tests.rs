//! The rules as data: what happened, and whether it is left alone afterwards.

use dunlin_types::NoConnection;

use super::*;
use crate::by_error::{ByError, ErrorClass};

const ALONE: Rules = Rules {
    alone: true,
    names_many: false,
    allowed_fails: AllowedFails { count: None, policy: None },
    cooldown: Duration::from_secs(5),
};
const SIBLING: Rules = Rules { alone: false, ..ALONE };
const MANY_NAMES: Rules = Rules { names_many: true, ..SIBLING };
const NOW: MonoMillis = MonoMillis(1_000_000);

fn status(code: u16) -> Outcome {
    Outcome::Status { code, retry_after: None }
}

/// For how many milliseconds a deployment is left alone after `outcomes` at one moment.
fn left_alone(rules: Rules, outcomes: &[Outcome]) -> Option<u64> {
    let mut cooldown = Cooldown::default();
    for outcome in outcomes {
        cooldown.observe(*outcome, rules, NOW);
    }
    cooldown.until(NOW).map(|until| until.0 - NOW.0)
}

#[test]
fn a_deployment_cools_down_by_litellms_rules() {
    let asked = Outcome::Status { code: 429, retry_after: Some(Duration::from_secs(7)) };
    let absurd = Outcome::Status { code: 429, retry_after: Some(Duration::MAX) };
    let twice = Rules { allowed_fails: AllowedFails { count: Some(2), policy: None }, ..ALONE };
    let never = Rules { cooldown: Duration::ZERO, ..SIBLING };
    let ok = Outcome::Success;
    let bad = status(500);
    let cases: [(&str, Rules, &[Outcome], Option<u64>); 18] = [
        ("429 with a sibling", SIBLING, &[status(429)], Some(5000)),
        ("429 alone", ALONE, &[status(429); 9], None),
        ("429 that asks for time", SIBLING, &[asked], Some(7000)),
        ("the longer one stays", SIBLING, &[asked, status(429)], Some(7000)),
        ("no more than an hour", SIBLING, &[absurd], Some(3_600_000)),
        ("402 with a sibling", SIBLING, &[status(402)], Some(5000)),
        ("402 alone", ALONE, &[status(402)], None),
        ("401 alone", ALONE, &[status(401)], Some(5000)),
        ("404 alone", ALONE, &[status(404)], Some(5000)),
        ("404 of one name of many", MANY_NAMES, &[status(404); 9], None),
        ("401 of many names", MANY_NAMES, &[status(401)], Some(5000)),
        ("400 never", SIBLING, &[status(400); 99], None),
        ("422 never", SIBLING, &[status(422); 99], None),
        ("three of five", SIBLING, &[ok, ok, bad, bad, bad], Some(5000)),
        ("two of five", SIBLING, &[ok, ok, ok, bad, bad], None),
        ("four are too few", SIBLING, &[bad; 4], None),
        ("more than allowed", twice, &[bad; 3], Some(5000)),
        ("cooldown 0", never, &[status(401); 3], None),
    ];
    for (what, rules, outcomes, expected) in cases {
        assert_eq!(left_alone(rules, outcomes), expected, "{what}");
    }
    assert_eq!(left_alone(ALONE, &[bad; 999]), None);
    assert_eq!(left_alone(ALONE, &[bad; 1000]), Some(5000), "a thousand straight failures");
    assert_eq!(left_alone(twice, &[bad; 2]), None, "as many as allowed");
}

#[test]
fn a_policy_that_names_bad_requests_counts_them() {
    let mut policy = ByError::default();
    policy.set(ErrorClass::BadRequest, 2);
    let allowed_fails = AllowedFails { count: None, policy: Some(policy) };
    let rules = Rules { allowed_fails, ..SIBLING };
    assert_eq!(left_alone(rules, &[status(400); 2]), None);
    assert_eq!(left_alone(rules, &[status(400), status(422), status(400)]), Some(5000));
    let mut policy = ByError::default();
    policy.set(ErrorClass::RateLimit, 2);
    let others = AllowedFails { count: None, policy: Some(policy) };
    assert_eq!(left_alone(Rules { allowed_fails: others, ..SIBLING }, &[status(400); 9]), None);
}

#[test]
fn failures_of_another_minute_do_not_count() {
    let mut cooldown = Cooldown::default();
    for _ in 0..4 {
        cooldown.observe(status(500), SIBLING, NOW);
    }
    let later = NOW.plus(Duration::from_secs(60));
    cooldown.observe(status(500), SIBLING, later);
    assert_eq!(cooldown.until(later), None);
}

#[test]
fn a_backend_is_out_when_nobody_is_there_and_back_after_a_probe() {
    let mut reach = Reach::default();
    reach.observe(Outcome::Refused(NoConnection::Refused), NOW);
    assert!(reach.is_out());
    let why = reach.out_because().expect("it is out").to_string();
    assert_eq!(why, "no connection could be made: the connection was refused");
    assert!(!reach.probe_is_due(NOW));
    let mut now = NOW;
    for wait in [1, 2, 4, 8, 10, 10] {
        now = now.plus(Duration::from_secs(wait));
        assert!(!reach.probe_is_due(MonoMillis(now.0 - 1)), "after {wait} s");
        assert!(reach.probe_is_due(now), "after {wait} s");
        reach.probed(status(503), now);
    }
    assert_eq!(reach.out_because(), Some(status(503)), "what was seen last");
    reach.probed(Outcome::Success, now);
    assert!(!reach.is_out() && reach.out_because().is_none());
    assert_eq!(reach.back_for(now.plus(Duration::from_secs(3))), Some(Duration::from_secs(3)));
}

#[test]
fn a_backend_that_breaks_is_suspect_and_a_probe_decides() {
    let suspect = || {
        let mut reach = Reach::default();
        for outcome in [Outcome::Broken, status(503), status(429), Outcome::Broken, status(408)] {
            reach.observe(outcome, NOW);
            assert!(!reach.probe_is_due(NOW), "{outcome:?}");
        }
        reach.observe(Outcome::Broken, NOW);
        assert!(reach.probe_is_due(NOW) && !reach.is_out(), "three in a row: a probe is due");
        reach
    };
    let mut well = suspect();
    well.probed(Outcome::Success, NOW);
    assert!(!well.probe_is_due(NOW) && well.back_for(NOW).is_none(), "it never was away");
    let mut ill = suspect();
    ill.probed(Outcome::Broken, NOW);
    assert!(ill.is_out() && !ill.probe_is_due(NOW));
    assert!(ill.probe_is_due(NOW.plus(Duration::from_secs(1))));
    let mut gone = suspect();
    gone.observe(Outcome::Refused(NoConnection::Refused), NOW);
    assert!(gone.is_out(), "nobody is there");
}

#[test]
fn only_a_cooldown_for_a_429_concerns_others() {
    let limited = |rules, code| {
        let mut cooldown = Cooldown::default();
        cooldown.observe(status(code), rules, NOW);
        cooldown.limited_until(NOW)
    };
    assert_eq!(limited(SIBLING, 429), Some(NOW.plus(Duration::from_secs(5))));
    assert_eq!(limited(ALONE, 429), None, "it was not left alone");
    assert_eq!(limited(SIBLING, 401), None, "this node's own key");
}
