//! The budgets of a key, a team or a user beside the main one, and what is spent of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::session::Object;
use crate::table::{dollars, moment};

/// `$5.00 every 30d`.
pub(crate) fn budget(most: f64, every: Option<&str>) -> String {
    let every = every.map(|every| format!(" every {every}")).unwrap_or_default();
    format!("{}{every}", dollars(most))
}

/// Those of windows, one behind the other; nothing if there are none.
pub(crate) fn windows(row: &Object) -> String {
    let standing: Vec<_> = standing(row).filter(|one| one["model"].is_null()).collect();
    let plain = || row.get("budget_limits").and_then(Value::as_array).into_iter().flatten();
    let told: Vec<_> = if standing.is_empty() {
        plain().filter_map(told).collect()
    } else {
        standing.into_iter().filter_map(told).collect()
    };
    told.join("; ")
}

/// Those of single models, with the limits of each.
pub(crate) fn models(row: &Object) -> String {
    let mut models: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in standing(row) {
        if let Some(model) = one["model"].as_str() {
            models.entry(model).or_default().extend(told(one));
        }
    }
    let set = row.get("model_max_budget").and_then(Value::as_object).into_iter().flatten();
    for (model, of) in set {
        let parts = models.entry(model).or_default();
        if parts.is_empty() {
            parts.extend(told(of));
        }
        for (name, unit) in [("rpm_limit", "rpm"), ("tpm_limit", "tpm")] {
            parts.extend(of[name].as_u64().map(|most| format!("{most} {unit}")));
        }
    }
    let told = models.into_iter().map(|(model, parts)| format!("{model}: {}", parts.join(", ")));
    told.collect::<Vec<_>>().join("; ")
}

fn standing(row: &Object) -> impl Iterator<Item = &Value> {
    row.get("budgets").and_then(Value::as_array).into_iter().flatten()
}

/// `$0.25 of $2.00 every 1d, resets 2027-01-15 00:00:00 UTC`.
fn told(of: &Value) -> Option<String> {
    let whole = budget(of["max_budget"].as_f64()?, of["budget_duration"].as_str());
    let spent = of["spend"].as_f64().map(|spent| format!("{} of ", dollars(spent)));
    let resets = of["budget_reset_at"].as_str().map(|at| format!(", resets {}", moment(at)));
    Some(format!("{}{whole}{}", spent.unwrap_or_default(), resets.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_spent_of_each_is_shown_with_its_whole() {
        let row = json!({
            "budget_limits": [{"budget_duration": "1d", "max_budget": 2.0}],
            "model_max_budget": {
                "gpt": {"max_budget": 7.0, "budget_duration": "7d", "rpm_limit": 3},
                "limited": {"max_budget": null, "tpm_limit": 9},
            },
            "budgets": [
                {"budget_duration": "1d", "max_budget": 2.0, "spend": 0.25,
                    "budget_reset_at": "2027-01-15T00:00:00.000000Z"},
                {"model": "gpt", "budget_duration": "7d", "max_budget": 7.0, "spend": 0.0,
                    "budget_reset_at": null},
                {"model": "shared", "budget_duration": null, "max_budget": 1.0, "spend": 1.0,
                    "budget_reset_at": null},
            ],
        });
        let row = row.as_object().expect("an object");
        assert_eq!(windows(row), "$0.25 of $2.00 every 1d, resets 2027-01-15 00:00:00 UTC");
        let expected =
            "gpt: $0.00 of $7.00 every 7d, 3 rpm; limited: 9 tpm; shared: $1.00 of $1.00";
        assert_eq!(models(row), expected);
        assert_eq!(
            (windows(&Object::new()), models(&Object::new())),
            (String::new(), String::new())
        );
    }
}
