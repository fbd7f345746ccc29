//! Budgets and limits in all the words that clients send.

use super::*;
use crate::error::Error;

fn of(text: &str) -> Result<TermsChanges, Error> {
    let mut body = Body::parse(text.as_bytes())?;
    let changes = read(&mut body);
    body.finish(FIELDS.iter().copied())?;
    Ok(changes)
}

#[test]
fn zero_is_a_limit_and_null_is_none() {
    let zero = of(r#"{"max_budget": 0, "tpm_limit": 0, "rpm_limit": null}"#).expect("terms");
    assert_eq!(zero.max_budget, Change::Set(NanoUsd::ZERO));
    assert_eq!((zero.tpm, zero.rpm), (Change::Set(0), Change::Clear));
    assert_eq!(zero.soft_budget, Change::Keep);
    let empty = of(r#"{"budget_duration": "", "budget_id": ""}"#).expect("terms");
    assert_eq!((empty.budget_duration, empty.budget_id), (Change::Clear, Change::Clear));
}

#[test]
fn budgets_are_read_in_all_their_words() {
    let dollars = |text: &str| text.parse::<NanoUsd>().expect("an amount");
    let terms = of(r#"{"max_budget": "0.1", "budget_limits":
        [{"budget_duration": "1d", "max_budget": 5}, {"budget_duration": "1mo", "max_budget": 50}],
        "model_max_budget": {"a": {"budget_limit": 1e-2, "time_period": "1h", "rpm_limit": 5},
        "b": {"max_budget": 2, "budget_duration": null}, "c": 3},
        "temp_budget_increase": 7, "temp_budget_expiry": "1970-01-02"}"#)
    .expect("terms");
    assert_eq!(terms.max_budget, Change::Set(dollars("0.1")));
    let windows = [("1d", "5"), ("1mo", "50")].map(|(w, b)| (w.to_owned(), dollars(b)));
    assert_eq!(terms.windows, Change::Set(BTreeMap::from(windows)));
    let Change::Set(models) = terms.model_budgets else { panic!("budgets of models") };
    let told = |model: &str| {
        let budget = &models[model];
        (budget.max_budget, budget.duration.as_deref(), budget.rpm)
    };
    assert_eq!(told("a"), (Some(dollars("0.01")), Some("1h"), Some(5)));
    assert_eq!(told("b"), (Some(dollars("2")), None, None));
    assert_eq!(told("c"), (Some(dollars("3")), None, None));
    let until = UnixMillis(86_400_000);
    assert_eq!(terms.temporary, Change::Set(Temporary { more: dollars("7"), until }));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for text in [
        r#"{"max_budget": -1}"#,
        r#"{"max_budget": "NaN"}"#,
        r#"{"max_budget": 1e300}"#,
        r#"{"max_budget": true}"#,
        r#"{"max_budget": 1e-12}"#,
        r#"{"model_max_budget": {"a": "4e-10"}}"#,
        r#"{"budget_duration": "soon"}"#,
        r#"{"budget_duration": "3mo"}"#,
        r#"{"budget_limits": [{"max_budget": 1}]}"#,
        r#"{"budget_limits": [{"budget_duration": "1d", "max_budget": 1},
            {"budget_duration": "1d", "max_budget": 2}]}"#,
        r#"{"model_max_budget": {"a": {"max_budgets": 1}}}"#,
        r#"{"model_rpm_limit": {"a": -1}}"#,
        r#"{"temp_budget_expiry": "tomorrow", "temp_budget_increase": 1}"#,
        r#"{"budget_reset_at": "abc"}"#,
        r#"{"budget_reset_at": [1]}"#,
        r#"{"budget_reset_at": -1}"#,
        r#"{"rpm": 5}"#,
        r#"{"max_tpm": 5}"#,
        r#"{"budget": 5}"#,
    ] {
        assert!(matches!(of(text), Err(Error::Invalid(_))), "{text}");
    }
    let tag = |bytes: usize| of(&format!(r#"{{"tags": ["{}"]}}"#, "x".repeat(bytes)));
    assert!(tag(256).is_ok() && matches!(tag(257), Err(Error::Invalid(_))));
    for tags in [r#"["a", ""]"#, r#"[" "]"#] {
        let text = format!(r#"{{"tags": {tags}}}"#);
        let mut body = Body::parse(text.as_bytes()).expect("an object").at(UnixMillis(1));
        let _taken = read(&mut body);
        let refused = body.finish(FIELDS.iter().copied());
        assert!(matches!(refused, Err(Error::BadField { name: "tags", .. })), "{tags}");
    }
    for (text, told) in [
        (r#"{"model_max_budget": {"gpt": {"max_budget": -1}}}"#, "model_max_budget.gpt: "),
        (r#"{"model_max_budget": {"gpt": "x"}}"#, "model_max_budget.gpt: "),
        (
            r#"{"temp_budget_expiry": "9999-12-31", "temp_budget_increase": 1}"#,
            "temp_budget_expiry: `9999-12-31` is not a time from 1970-01-01 to 9999-12-30",
        ),
    ] {
        let Err(Error::Invalid(faults)) = of(text) else { panic!("{text}") };
        assert!(faults[0].told().starts_with(told), "{}", faults[0].told());
    }
    let last = r#"{"temp_budget_expiry": "9999-12-30", "temp_budget_increase": 1}"#;
    assert!(of(last).is_ok());
    for zero in [r#"{"max_budget": 0e-12}"#, r#"{"max_budget": "0.0"}"#] {
        assert_eq!(of(zero).expect("terms").max_budget, Change::Set(NanoUsd::ZERO), "{zero}");
    }
    for row in [r#"{"budget_reset_at": null}"#, r#"{"budget_reset_at": "2030-01-01T00:00:00Z"}"#] {
        assert_eq!(of(row).expect("as rows have it"), TermsChanges::default(), "{row}");
    }
    let half = of(r#"{"temp_budget_increase": 1}"#);
    assert!(matches!(half, Err(Error::BadField { name: "temp_budget_increase", .. })));
}

#[test]
fn there_are_so_many_windows_and_models_and_one_amount_for_each() {
    let windows = |count: usize| {
        let window = |n| format!(r#"{{"budget_duration": "{n}h", "max_budget": 1}}"#);
        let all: Vec<_> = (1..=count).map(window).collect();
        of(&format!(r#"{{"budget_limits": [{}]}}"#, all.join(",")))
    };
    assert!(windows(MAX_WINDOWS).is_ok());
    let Err(Error::BadField { name: "budget_limits", reason }) = windows(MAX_WINDOWS + 1) else {
        panic!("too many")
    };
    assert_eq!(reason, "budget_limits has 17 entries, and may have 16");
    let models: Vec<_> = (0..=MAX_SINGLE).map(|n| format!(r#""m{n}": 1"#)).collect();
    for field in ["model_max_budget", "model_rpm_limit", "model_tpm_limit"] {
        let refused = of(&format!(r#"{{"{field}": {{{}}}}}"#, models.join(",")));
        assert!(matches!(refused, Err(Error::BadField { name, .. }) if name == field));
    }
    let differ = r#"{"model_max_budget": {"a": {"max_budget": 1, "budget_limit": 2}}}"#;
    let Err(Error::BadField { reason, .. }) = of(differ) else { panic!("which one?") };
    assert!(reason.starts_with("model_max_budget.a: `max_budget`"), "{reason}");
    assert!(of(&differ.replace('2', "1")).is_ok(), "they say the same");
}

#[test]
fn more_to_spend_until_a_moment_that_has_passed_is_refused() {
    let at = |now| {
        let text = r#"{"temp_budget_increase": 7, "temp_budget_expiry": "1970-01-02"}"#;
        let mut body = Body::parse(text.as_bytes()).expect("an object").at(UnixMillis(now));
        let _taken = read(&mut body);
        body.finish(FIELDS.iter().copied())
    };
    assert!(at(86_399_999).is_ok());
    let Err(Error::BadField { name: "temp_budget_expiry", reason }) = at(86_400_000) else {
        panic!("it is over")
    };
    assert!(reason.contains("1970-01-02T00:00:00"), "{reason}");
}

#[test]
fn what_stands_in_the_metadata_takes_effect_and_outlives_it() {
    let terms = of(r#"{"metadata": {"a": 1, "tags": ["x"], "model_rpm_limit": {"m": 3}}}"#);
    let terms = terms.expect("terms");
    assert_eq!(terms.tags, Change::Set(vec!["x".to_owned()]));
    assert_eq!(terms.model_rpm, Change::Set(BTreeMap::from([("m".to_owned(), 3)])));
    assert_eq!(terms.other["metadata"], Change::Set(r#"{"a":1}"#.to_owned()));
    let replaced = of(r#"{"metadata": {}}"#).expect("terms");
    assert_eq!(replaced.tags, Change::Keep, "an absent one stays");
    let both = of(r#"{"metadata": {"tags": ["x"]}, "tags": ["y"]}"#).expect("terms");
    assert_eq!(both.tags, Change::Set(vec!["y".to_owned()]));
}
