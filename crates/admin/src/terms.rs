//! What a request says about models, budgets and limits: the same fields for keys, teams, users and
//! everyone else who spends.

pub(crate) mod budgets;
pub(crate) mod defaults;
pub(crate) mod edit;
pub(crate) mod entity_fields;
pub(crate) mod fields;
pub(crate) mod members;
pub(crate) mod model_names;
pub(crate) mod new_key;
pub(crate) mod shared;

use std::collections::BTreeMap;

use dunlin_callbacks::FIELD;
use dunlin_ledger::Every;
use dunlin_state::{Change, ModelBudget, Temporary, TermsChanges};
use dunlin_types::{NanoUsd, OnLoss, UnixMillis};
use serde_json::Value;

use crate::changes::logging;
use crate::request::body::Body;
use crate::request::moment;
use crate::request::values::{self, MAX_SINGLE, MAX_WINDOWS, Step, Wrong, senseless};

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

/// Takes the fields of all who spend from `body`.
pub(crate) fn read(body: &mut Body) -> TermsChanges {
    hoist(body);
    check(body);
    let tags = body.take("tags", values::names);
    if let Change::Set(tags) = &tags {
        body.check_names("tags", tags.iter());
    }
    let changes = TermsChanges {
        models: body.take_names("models"),
        blocked: body.take("blocked", values::flag),
        max_budget: body.take("max_budget", values::budget),
        soft_budget: body.take("soft_budget", values::budget),
        budget_duration: none_if_empty(body.take("budget_duration", every)),
        windows: body.take("budget_limits", windows),
        model_budgets: body.take("model_max_budget", model_budgets),
        budget_id: none_if_empty(body.take("budget_id", values::text)),
        temporary: temporary(body),
        strict: body.take("strict_budget", values::flag),
        throttle: body.take("throttle_on_budget_exceeded", values::flag),
        rpm: body.take("rpm_limit", values::count),
        tpm: body.take("tpm_limit", values::count),
        parallel: body.take("max_parallel_requests", values::count),
        on_loss: body.take("on_loss", on_loss),
        model_rpm: body.take("model_rpm_limit", values::counts),
        model_tpm: body.take("model_tpm_limit", values::counts),
        tag_rpm: body.take("tag_rpm_limit", values::counts),
        tags,
        other: BTreeMap::new(),
        defaulted: Change::Keep,
    };
    let metadata = body.take("metadata", |value| values::object(value).cloned());
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
            Some(Value::Object(entries)) => {
                body.check_names(name, entries.keys());
                entries.len()
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => 0,
        };
        if count > most {
            body.refuse(name, format!("{name} has {count} entries, and may have {most}"));
        }
    }
    // It sets nothing, as a period is as long as its `budget_duration`; what is no time is a mistake.
    if let Some(reset) = body.peek("budget_reset_at").filter(|reset| !reset.is_null())
        && let Err(wrong) = moment(&reset)
    {
        body.fault("budget_reset_at", wrong);
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
    let read = OnLoss::parse(values::text(value)?.as_str());
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
    let text = values::text(value)?;
    if !text.is_empty() {
        Every::parse(&text).map_err(|bad| senseless(format!("`{text}` is {bad}")))?;
    }
    Ok(text)
}

/// `[{"budget_duration": "1d", "max_budget": 5}]`: budgets beside the main one.
fn windows(value: &Value) -> Result<BTreeMap<String, NanoUsd>, Wrong> {
    let mut windows = BTreeMap::new();
    for item in values::list(value)? {
        let item = values::object(item)?;
        let (duration, budget) = (item.get("budget_duration"), item.get("max_budget"));
        let (Some(duration), Some(budget)) = (duration, budget) else {
            let reason = "each window has a `budget_duration` and a `max_budget`";
            return Err(senseless(reason.to_owned()));
        };
        let duration = every(duration)?;
        if duration.is_empty()
            || windows.insert(duration.clone(), values::budget(budget)?).is_some()
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
    for (model, budget) in values::object(value)? {
        let read = match budget {
            Value::Object(fields) => model_budget(fields),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => values::budget(budget)
                .map(|amount| ModelBudget { max_budget: Some(amount), ..ModelBudget::default() }),
        };
        let at = Some(Step::Name(model.clone()));
        budgets.insert(model.clone(), read.map_err(|wrong| Wrong { at, ..wrong })?);
    }
    Ok(budgets)
}

fn model_budget(fields: &serde_json::Map<String, Value>) -> Result<ModelBudget, Wrong> {
    let mut budget = ModelBudget::default();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "max_budget" | "budget_limit" => budget.max_budget = Some(values::budget(value)?),
            "budget_duration" | "time_period" => {
                budget.duration = Some(every(value)?).filter(|text| !text.is_empty());
            }
            "rpm_limit" => budget.rpm = Some(values::count(value)?),
            "tpm_limit" => budget.tpm = Some(values::count(value)?),
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
    let more = body.take("temp_budget_increase", values::budget);
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
    let text = values::text(value)?;
    moment::parse(&text).ok_or_else(|| {
        senseless(format!(
            "`{text}` is not a time from 1970-01-01 to 9999-12-30: expected 2027-01-15 or \
             2027-01-15T08:00:00Z"
        ))
    })
}

#[cfg(test)]
mod tests;
