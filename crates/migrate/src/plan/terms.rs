//! The terms of a spender, from the columns that LiteLLM's tables share, and its spend.

use std::collections::BTreeSet;

use dunlin_admin_api::values::{self as api, MAX_SINGLE, MAX_WINDOWS, Wrong};
use dunlin_ledger::{BadDuration, Every};
use dunlin_types::{AmountError, NanoUsd, UnixMillis};
use serde_json::{Map, Value, json};

use super::draft::Draft;
use crate::values::{self, Moment};

/// Periods that end within this time of each other are the same: a clock was read in between.
const SAME: u64 = 1_000;
/// What LiteLLM takes a duration for that it cannot read.
const A_DAY: &str = "1d";

impl Draft<'_, '_> {
    /// Budgets, limits and models.
    pub(super) fn terms(&mut self) {
        for column in ["max_budget", "soft_budget"] {
            self.usd(column);
        }
        for column in ["tpm_limit", "rpm_limit", "max_parallel_requests"] {
            self.count(column);
        }
        if let Some(blocked) = self.flag("blocked") {
            self.put("blocked", blocked);
        }
        let models = self.array("models");
        if !models.is_empty() {
            self.put("models", models);
        }
        if let Some(duration) = self.text("budget_duration") {
            let duration = self.duration("budget_duration", duration);
            self.put("budget_duration", duration);
        }
        self.windows();
        self.model_budgets();
    }

    fn usd(&mut self, column: &str) {
        let Some(text) = self.text(column).map(str::trim) else { return };
        match text.parse::<NanoUsd>() {
            Err(AmountError::Negative) => {
                self.changed(column, "negative: 0, which lets nothing through either");
                self.put(column, 0);
            }
            Err(AmountError::Unreadable) if text.parse::<f64>().is_ok() => {
                self.changed(column, "neither a number nor a limit: left out, as LiteLLM reads it");
            }
            Ok(_) | Err(_) => self.judged(column, number(text), api::budget),
        }
    }

    fn count(&mut self, column: &str) {
        let Some(text) = self.text(column).map(str::trim) else { return };
        if text.parse::<i64>().is_ok_and(|count| count < 0) {
            self.changed(column, "negative: 0, which lets nothing through either");
            self.put(column, 0);
            return;
        }
        let count = text.parse::<u64>().map_or_else(|_| text.into(), Value::from);
        self.judged(column, count, api::count);
    }

    /// A budget's period; one that cannot be read is a day, as for LiteLLM. One that can be read and
    /// is none here is in the way: a shorter one would let more through.
    pub(super) fn duration(&mut self, field: &str, text: &str) -> String {
        match Every::parse(text) {
            Ok(_) => {}
            Err(BadDuration::Unreadable) => {
                self.changed(field, format!("`{text}` is no duration: a day, as LiteLLM takes it"));
                return A_DAY.to_owned();
            }
            Err(bad @ (BadDuration::Nothing | BadDuration::TooLong | BadDuration::Months)) => {
                self.blocked(field, format!("`{text}` is {bad}"));
            }
        }
        text.to_owned()
    }

    /// More budget for a while, unless that is over.
    pub(super) fn temporary(&mut self, more: &Value, until: &str) {
        match values::moment(until) {
            Some(Moment::At(until)) if until > self.world.options.now => {
                self.judged("temp_budget_increase", more.clone(), api::budget);
                self.put("temp_budget_expiry", values::iso(until));
            }
            Some(Moment::At(_)) => {}
            Some(Moment::Never) | None => {
                let reason = format!("left out: `{until}` is not a point in time");
                self.changed("temp_budget_expiry", reason);
            }
        }
    }

    /// Budgets beside the main one. What was spent in them does not move.
    fn windows(&mut self) {
        let Some(value) = self.read("budget_limits", "JSON", values::json) else { return };
        let items = match value {
            Value::Array(items) => items,
            Value::Null => return,
            Value::Object(entries) if entries.is_empty() => return,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                self.blocked("budget_limits", "it is not a list of windows");
                return;
            }
        };
        let (mut windows, mut lengths) = (Vec::new(), BTreeSet::new());
        for item in &items {
            let duration = item.get("budget_duration").and_then(Value::as_str);
            let (Some(duration), Some(budget)) = (duration, item.get("max_budget")) else {
                self.blocked("budget_limits", "a window has a budget_duration and a max_budget");
                return;
            };
            let duration = self.duration("budget_limits", duration);
            if let Err(wrong) = api::budget(budget) {
                self.refused("budget_limits", budget, &wrong);
            }
            windows.push(json!({"budget_duration": duration, "max_budget": budget}));
            if !lengths.insert(duration.clone()) {
                self.blocked("budget_limits", format!("there are two windows of {duration}"));
            }
        }
        self.bounded("budget_limits", windows.len(), MAX_WINDOWS);
        if !windows.is_empty() {
            let reason = "the windows begin at 0: what was spent in them does not move";
            self.changed("budget_limits", reason);
            self.put("budget_limits", windows);
        }
    }

    /// Budgets and limits of single models.
    fn model_budgets(&mut self) {
        let budgets = self.object("model_max_budget");
        if budgets.is_empty() {
            return;
        }
        let mut kept = Map::new();
        for (model, budget) in budgets {
            let Value::Object(fields) = &budget else {
                if let Err(wrong) = api::budget(&budget) {
                    self.refused("model_max_budget", &budget, &wrong);
                }
                kept.insert(model, budget);
                continue;
            };
            let mut known = Map::new();
            for (name, value) in fields {
                match (name.as_str(), value) {
                    (_, Value::Null) => {}
                    ("budget_duration" | "time_period", Value::String(text)) => {
                        let duration = self.duration("model_max_budget", text);
                        known.insert(name.clone(), duration.into());
                    }
                    ("max_budget" | "budget_limit", value) => {
                        self.single(&mut known, (name, value), api::budget);
                    }
                    ("rpm_limit" | "tpm_limit", value) => {
                        self.single(&mut known, (name, value), api::count);
                    }
                    _ => self.changed("model_max_budget", format!("`{name}` is left out")),
                }
            }
            for (one, other) in [("max_budget", "budget_limit"), ("budget_duration", "time_period")]
            {
                if let (Some(first), Some(second)) = (known.get(one), known.get(other))
                    && first != second
                {
                    let reason = format!("of `{model}`, `{one}` and `{other}` differ");
                    self.blocked("model_max_budget", reason);
                }
            }
            kept.insert(model, Value::Object(known));
        }
        self.bounded("model_max_budget", kept.len(), MAX_SINGLE);
        let reason = "single models begin at 0: LiteLLM does not store what was spent on them";
        self.changed("model_max_budget", reason);
        self.put("model_max_budget", kept);
    }

    /// One word about a single model.
    fn single<T>(
        &mut self,
        known: &mut Map<String, Value>,
        (name, value): (&str, &Value),
        read: fn(&Value) -> Result<T, Wrong>,
    ) {
        if let Err(wrong) = read(value) {
            self.refused("model_max_budget", value, &wrong);
        }
        known.insert(name.to_owned(), value.clone());
    }

    /// More than there may be is in the way.
    pub(super) fn bounded(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.blocked(field, format!("it has {count} entries, and may have {most}"));
        }
    }

    /// The shared budget, which must have moved before.
    pub(super) fn budget_id(&mut self) {
        if let Some(name) = self.text("budget_id") {
            self.names_budget("budget_id", name);
        }
    }

    /// Names a shared budget in a field.
    pub(super) fn names_budget(&mut self, field: &str, name: &str) {
        if self.world.budgets.contains_key(name) {
            self.put(field, name);
        } else {
            self.blocked(field, format!("its budget `{name}` does not move"));
        }
    }

    /// When a period of its own ends that is counted from a day: it goes on as it was, whatever was
    /// spent in it.
    pub(super) fn resets(&mut self) {
        let own = self.fields.get("budget_duration").and_then(Value::as_str);
        let every = own.and_then(|own| Every::parse(own).ok()).filter(Every::is_counted);
        if let (Some(_), Some(Moment::At(ends))) = (every, self.moment("budget_reset_at")) {
            self.put("budget_reset_at", values::iso(ends));
        }
    }

    /// What was spent in the present period. Of a budget that is shared, each spends its own; its
    /// period is the shared one.
    pub(super) fn spend(&mut self) {
        self.resets();
        let Some(text) = self.text("spend").map(str::trim) else { return };
        match text.parse::<NanoUsd>() {
            Ok(NanoUsd::ZERO) => return,
            Err(AmountError::Negative) => {
                self.changed("spend", "negative: 0");
                return;
            }
            Err(AmountError::Unreadable) if text.parse::<f64>().is_ok() => {
                self.changed("spend", "neither a number nor more than nothing: 0");
                return;
            }
            Ok(_) | Err(_) => {}
        }
        let own = self.fields.get("budget_duration").and_then(Value::as_str).map(str::to_owned);
        let own_end = self.moment("budget_reset_at");
        let shared = self.fields.get("budget_id").and_then(Value::as_str);
        let shared = shared.and_then(|name| self.world.budgets.get(name)).cloned();
        let (duration, ends) = match (own, shared) {
            (None, Some(shared)) => (shared.duration, shared.resets_at.or(own_end)),
            (own, _) => (own, own_end),
        };
        let every = duration.and_then(|duration| Every::parse(&duration).ok());
        if let (Some(every), Some(Moment::At(ends))) = (every, ends) {
            self.put("budget_reset_at", values::iso(ends));
            let now = self.world.options.now;
            let here = self.world.options.calendar.period(every.since(Some(ends)), now).end;
            if ends <= now {
                let reason = format!("the period ended on {}: 0 in the new one", values::iso(ends));
                self.changed("spend", reason);
                return;
            }
            if apart(here, ends) > SAME {
                let (there, here) = (values::iso(ends), values::iso(here));
                let reason = format!("the period ends on {here}; it would have on {there}");
                self.changed("budget_reset_at", reason);
            }
        }
        self.judged("spend", number(text), api::usd);
    }
}

/// A number as JSON has it, or what a text is instead.
pub(super) fn number(text: &str) -> Value {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map_or_else(|| text.into(), |number| json!(number))
}

fn apart(a: UnixMillis, b: UnixMillis) -> u64 {
    a.0.abs_diff(b.0)
}
