//! What a request says about models, budgets and limits: the same fields for keys, teams, users and
//! everyone else who spends.

use std::collections::BTreeMap;

use dunlin_callbacks::FIELD;
use dunlin_ledger::Every;
use dunlin_state::{Change, ModelBudget, Temporary, TermsChanges};
use dunlin_types::{NanoUsd, OnLoss, UnixMillis};
use serde_json::Value;

use crate::body::{self, Body, Wrong, senseless};
use crate::{logging, moment};

/// The fields that [`read`] takes.
pub(crate) const FIELDS: &[&str] = &[
    "blocked",
    "budget_duration",
    "budget_id",
    "budget_limits",
    "logging",
    "max_budget",
    "max_parallel_requests",
    "metadata",
    "model_max_budget",
    "model_rpm_limit",
    "model_tpm_limit",
    "models",
    "on_loss",
    "rpm_limit",
    "soft_budget",
    "strict_budget",
    "tag_rpm_limit",
    "tags",
    "temp_budget_expiry",
    "temp_budget_increase",
    "throttle_on_budget_exceeded",
    "tpm_limit",
];

/// What LiteLLM keeps inside `metadata`, where clients may send it too. It outlives a `metadata` that
/// is replaced.
const IN_METADATA: &[&str] = &[
    "auto_rotate",
    "enforced_params",
    "guardrails",
    "logging",
    "mcp_rpm_limit",
    "model_rpm_limit",
    "model_tpm_limit",
    "policies",
    "prompts",
    "rpm_limit_type",
    "tag_rpm_limit",
    "tags",
    "throttle_on_budget_exceeded",
    "tpm_limit_type",
];

/// Budgets beside the main one that somebody may have: each is a pot of every request.
const MAX_WINDOWS: usize = 16;
/// Models for which somebody may have a budget or a limit, and tags.
const MAX_SINGLE: usize = 1_000;

/// Takes the fields of all who spend from `body`.
pub(crate) fn read(body: &mut Body) -> TermsChanges {
    hoist(body);
    check(body);
    let changes = TermsChanges {
        models: body.take_names("models"),
        blocked: body.take("blocked", body::flag),
        max_budget: body.take("max_budget", body::budget),
        soft_budget: body.take("soft_budget", body::budget),
        budget_duration: none_if_empty(body.take("budget_duration", every)),
        windows: body.take("budget_limits", windows),
        model_budgets: body.take("model_max_budget", model_budgets),
        budget_id: none_if_empty(body.take("budget_id", body::text)),
        temporary: temporary(body),
        strict: body.take("strict_budget", body::flag),
        throttle: body.take("throttle_on_budget_exceeded", body::flag),
        rpm: body.take("rpm_limit", body::count),
        tpm: body.take("tpm_limit", body::count),
        parallel: body.take("max_parallel_requests", body::count),
        on_loss: body.take("on_loss", on_loss),
        model_rpm: body.take("model_rpm_limit", body::counts),
        model_tpm: body.take("model_tpm_limit", body::counts),
        tag_rpm: body.take("tag_rpm_limit", body::counts),
        tags: body.take("tags", body::names),
        other: BTreeMap::new(),
        defaulted: Change::Keep,
    };
    let metadata = body.take("metadata", |value| body::object(value).cloned());
    let metadata = metadata.map(|map| Value::Object(map).to_string());
    let logging = body.take("logging", logging::read);
    let other = [("metadata", metadata), (FIELD, logging)].into_iter();
    let other = other.filter(|(_, change)| !change.keeps());
    let other = other.map(|(name, change)| (name.to_owned(), change)).collect();
    TermsChanges { other, ..changes }
}

/// Refuses what has its type and cannot be meant: more than there may be, and a budget in two words
/// that differ.
fn check(body: &mut Body) {
    let bounds = [
        ("budget_limits", MAX_WINDOWS),
        ("model_max_budget", MAX_SINGLE),
        ("model_rpm_limit", MAX_SINGLE),
        ("model_tpm_limit", MAX_SINGLE),
        ("tag_rpm_limit", MAX_SINGLE),
    ];
    for (name, most) in bounds {
        let count = match body.peek(name) {
            Some(Value::Array(items)) => items.len(),
            Some(Value::Object(entries)) => entries.len(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => 0,
        };
        if count > most {
            body.refuse(name, format!("{name} has {count} entries, and may have {most}"));
        }
    }
    let Some(Value::Object(budgets)) = body.peek("model_max_budget") else { return };
    for (model, budget) in &budgets {
        let is_set = |name: &str| budget.get(name).filter(|value| !value.is_null());
        for (one, other) in [("max_budget", "budget_limit"), ("budget_duration", "time_period")] {
            if let (Some(first), Some(second)) = (is_set(one), is_set(other))
                && first != second
            {
                let reason = format!(
                    "model_max_budget.{model}: `{one}` and `{other}` are two words for the same, \
                     and they differ: send one"
                );
                body.refuse("model_max_budget", reason);
            }
        }
    }
}

/// Moves what LiteLLM keeps inside `metadata` beside it; what stands there already wins.
fn hoist(body: &mut Body) {
    let Some(mut metadata) = body.peek("metadata") else { return };
    let Value::Object(entries) = &mut metadata else { return };
    let mut moved = false;
    for name in IN_METADATA {
        if let Some(value) = entries.remove(*name) {
            moved = true;
            if !body.has(name) && !value.is_null() {
                body.put(name, &value);
            }
        }
    }
    if moved {
        body.put("metadata", &metadata);
    }
}

/// What limits do while nodes are lost.
pub(crate) fn on_loss(value: &Value) -> Result<OnLoss, Wrong> {
    let names = || OnLoss::ALL.map(OnLoss::name).join(", ");
    let read = OnLoss::parse(body::text(value)?.as_str());
    read.ok_or_else(|| senseless(format!("must be one of: {}", names())))
}

pub(crate) fn none_if_empty(change: Change<String>) -> Change<String> {
    match change {
        Change::Set(text) if text.is_empty() => Change::Clear,
        Change::Keep | Change::Clear | Change::Set(_) => change,
    }
}

/// A budget's period. LiteLLM takes what it cannot read for a day.
pub(crate) fn every(value: &Value) -> Result<String, Wrong> {
    let text = body::text(value)?;
    if !text.is_empty() {
        Every::parse(&text).map_err(|bad| senseless(format!("`{text}` is {bad}")))?;
    }
    Ok(text)
}

/// `[{"budget_duration": "1d", "max_budget": 5}]`: budgets beside the main one.
fn windows(value: &Value) -> Result<BTreeMap<String, NanoUsd>, Wrong> {
    let mut windows = BTreeMap::new();
    for item in body::list(value)? {
        let item = body::object(item)?;
        let (duration, budget) = (item.get("budget_duration"), item.get("max_budget"));
        let (Some(duration), Some(budget)) = (duration, budget) else {
            let reason = "each window has a `budget_duration` and a `max_budget`";
            return Err(senseless(reason.to_owned()));
        };
        let duration = every(duration)?;
        if duration.is_empty() || windows.insert(duration.clone(), body::budget(budget)?).is_some()
        {
            let reason = format!("the `budget_duration` `{duration}` is given twice, or empty");
            return Err(senseless(reason));
        }
    }
    Ok(windows)
}

/// `{"gpt-4o": {"max_budget": 5, "budget_duration": "1d"}}`, also in LiteLLM's older words.
fn model_budgets(value: &Value) -> Result<BTreeMap<String, ModelBudget>, Wrong> {
    let mut budgets = BTreeMap::new();
    for (model, budget) in body::object(value)? {
        let budget = if budget.is_object() {
            model_budget(body::object(budget)?)?
        } else {
            ModelBudget { max_budget: Some(body::budget(budget)?), ..ModelBudget::default() }
        };
        budgets.insert(model.clone(), budget);
    }
    Ok(budgets)
}

fn model_budget(fields: &serde_json::Map<String, Value>) -> Result<ModelBudget, Wrong> {
    let mut budget = ModelBudget::default();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "max_budget" | "budget_limit" => budget.max_budget = Some(body::budget(value)?),
            "budget_duration" | "time_period" => {
                budget.duration = Some(every(value)?).filter(|text| !text.is_empty());
            }
            "rpm_limit" => budget.rpm = Some(body::count(value)?),
            "tpm_limit" => budget.tpm = Some(body::count(value)?),
            other => {
                let reason = format!(
                    "`{other}` is none of max_budget, budget_duration, rpm_limit, tpm_limit"
                );
                return Err(senseless(reason));
            }
        }
    }
    Ok(budget)
}

/// More to spend until some moment.
pub(crate) fn temporary(body: &mut Body) -> Change<Temporary> {
    let more = body.take("temp_budget_increase", body::budget);
    let until = body.take("temp_budget_expiry", moment);
    match (more, until) {
        (Change::Keep, Change::Keep) => Change::Keep,
        (Change::Set(_), Change::Set(until)) if body.is_past(until) => {
            let reason = format!("temp_budget_expiry: {} has passed already", moment::iso(until));
            body.refuse("temp_budget_expiry", reason);
            Change::Keep
        }
        (Change::Set(more), Change::Set(until)) => Change::Set(Temporary { more, until }),
        (Change::Clear, Change::Clear | Change::Keep) | (Change::Keep, Change::Clear) => {
            Change::Clear
        }
        (Change::Set(_), Change::Clear | Change::Keep)
        | (Change::Clear | Change::Keep, Change::Set(_)) => {
            let reason = "temp_budget_increase and temp_budget_expiry must be set \
                          together"
                .to_owned();
            body.refuse("temp_budget_increase", reason);
            Change::Keep
        }
    }
}

/// A moment, or a day's beginning, in UTC unless it says otherwise.
pub(crate) fn moment(value: &Value) -> Result<UnixMillis, Wrong> {
    let text = body::text(value)?;
    moment::parse(&text).ok_or_else(|| {
        senseless(format!("`{text}` is not a time: expected 2027-01-15 or 2027-01-15T08:00:00Z"))
    })
}

#[cfg(test)]
mod tests {
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
        ] {
            assert!(matches!(of(text), Err(Error::Invalid(_))), "{text}");
        }
        let tag = |bytes: usize| of(&format!(r#"{{"tags": ["{}"]}}"#, "x".repeat(bytes)));
        assert!(tag(256).is_ok() && matches!(tag(257), Err(Error::Invalid(_))));
        for zero in [r#"{"max_budget": 0e-12}"#, r#"{"max_budget": "0.0"}"#] {
            assert_eq!(of(zero).expect("terms").max_budget, Change::Set(NanoUsd::ZERO), "{zero}");
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
        let Err(Error::BadField { name: "budget_limits", reason }) = windows(MAX_WINDOWS + 1)
        else {
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
}
