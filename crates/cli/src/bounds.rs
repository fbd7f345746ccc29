//! What bounds a key, a team or a user: what is set on it, and whoever it belongs to. Where nothing is
//! set, all is not allowed by that.

use serde_json::Value;

use crate::session::Object;
use crate::table::{dollars, listed, moment};

/// A field that names an owner, and what that one is.
pub(crate) type Owner = (&'static str, &'static str);

/// Of those whose a key is, the first one that there is bounds it.
pub(crate) const OF_KEY: &[Owner] =
    &[("team_id", "team"), ("organization_id", "organization"), ("user_id", "user")];
pub(crate) const OF_ENTITY: &[Owner] = &[("organization_id", "organization")];
/// The holder of the master key, who is bound by nothing.
const MASTER: &str = "default_user_id";

/// The models that may be called.
pub(crate) fn models(row: &Object, owners: &[Owner]) -> String {
    let all =
        owner(row, owners).map_or_else(|| "all".to_owned(), |owner| format!("all of {owner}"));
    listed(&texts(row, "models"), &all)
}

/// What is said where there is no limit.
pub(crate) fn none(row: &Object, owners: &[Owner]) -> &'static str {
    let shares = row.get("budget_id").is_some_and(Value::is_string);
    if shares || owner(row, owners).is_some() { "no limit of its own" } else { "no limit" }
}

fn owner(row: &Object, owners: &[Owner]) -> Option<String> {
    let named = |(field, kind): &Owner| {
        let id = row.get(*field)?.as_str().filter(|id| *id != MASTER)?;
        Some(format!("{kind} {id}"))
    };
    owners.iter().find_map(named)
}

/// The texts of a list.
pub(crate) fn texts(row: &Object, field: &str) -> Vec<String> {
    let items = row.get(field).and_then(Value::as_array).into_iter().flatten();
    items.map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

/// A limit of a minute, and when it holds.
pub(crate) fn minute(row: &Object, field: &str) -> Option<String> {
    let most = row.get(field)?.as_u64()?;
    let how = row.get(&format!("{field}_type")).and_then(Value::as_str);
    let when = if how == Some("dynamic") { ", only while the model fails" } else { "" };
    Some(format!("{most}{when}"))
}

/// Bounds that few have: what each is called, and what it says; nothing of those that are not set.
pub(crate) fn seldom(row: &Object) -> Vec<(&'static str, String)> {
    let throttled = row.get("throttle_on_budget_exceeded") == Some(&Value::Bool(true));
    let throttled = throttled.then_some("fewer requests and tokens a minute, no refusal");
    let bounds = [
        ("model limits", by_name(row, &[("model_rpm_limit", "rpm"), ("model_tpm_limit", "tpm")])),
        ("tag limits", by_name(row, &[("tag_rpm_limit", "rpm")])),
        ("more budget", more(row).unwrap_or_default()),
        ("once spent", throttled.unwrap_or_default().to_owned()),
        ("instead", instead(row)),
        ("tags", texts(row, "tags").join(", ")),
    ];
    bounds.into_iter().filter(|(_, said)| !said.is_empty()).collect()
}

/// `gpt: 1 rpm, 9 tpm; other: 5 rpm`.
fn by_name(row: &Object, fields: &[(&str, &str)]) -> String {
    let mut names = std::collections::BTreeMap::<&str, Vec<String>>::new();
    for (field, unit) in fields {
        for (name, most) in row.get(*field).and_then(Value::as_object).into_iter().flatten() {
            names.entry(name).or_default().push(format!("{most} {unit}"));
        }
    }
    let told = names.into_iter().map(|(name, limits)| format!("{name}: {}", limits.join(", ")));
    told.collect::<Vec<_>>().join("; ")
}

/// `$5.00 until 2027-01-15 08:00:00 UTC`.
fn more(row: &Object) -> Option<String> {
    let (more, until) = (row.get("temp_budget_increase")?, row.get("temp_budget_expiry")?);
    Some(format!("{} until {}", dollars(more.as_f64()?), moment(until.as_str()?)))
}

/// The models that are asked once the budget for one is spent: `gpt: cheap, cheaper`.
fn instead(row: &Object) -> String {
    let all = row.get("budget_fallbacks").and_then(Value::as_object);
    let told = all.into_iter().flatten().map(|(model, to)| {
        let to = to.as_array().into_iter().flatten().filter_map(Value::as_str);
        format!("{model}: {}", to.collect::<Vec<_>>().join(", "))
    });
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_nothing_is_set_an_owner_says_what_holds() {
        for (row, owners, expected, limit) in [
            (json!({}), OF_KEY, "all", "no limit"),
            (json!({"user_id": "default_user_id"}), OF_KEY, "all", "no limit"),
            (json!({"team_id": "t"}), OF_KEY, "all of team t", "no limit of its own"),
            (json!({"team_id": "t"}), OF_ENTITY, "all", "no limit"),
            (
                json!({"team_id": "t", "organization_id": "o"}),
                OF_ENTITY,
                "all of organization o",
                "no limit of its own",
            ),
            (
                json!({"user_id": "ann", "team_id": null, "models": []}),
                OF_KEY,
                "all of user ann",
                "no limit of its own",
            ),
            (json!({"team_id": "t", "models": ["a", "b"]}), OF_KEY, "a, b", "no limit of its own"),
            (json!({"budget_id": "b"}), OF_KEY, "all", "no limit of its own"),
        ] {
            let row = row.as_object().expect("an object");
            assert_eq!((&*models(row, owners), none(row, owners)), (expected, limit), "{row:?}");
        }
    }

    #[test]
    fn what_few_have_is_shown_if_it_is_there() {
        let row = json!({
            "model_rpm_limit": {"gpt": 1}, "model_tpm_limit": {"gpt": 9, "z": 2},
            "tag_rpm_limit": {"a": 2}, "temp_budget_increase": 5.0,
            "temp_budget_expiry": "2027-01-01T00:00:00.000000Z", "tags": ["x", "y"],
            "throttle_on_budget_exceeded": true, "budget_fallbacks": {"gpt": ["cheap", "free"]},
            "rpm_limit": 5, "rpm_limit_type": "dynamic", "tpm_limit": 6,
        });
        let row = row.as_object().expect("an object");
        let told = seldom(row).into_iter().map(|(name, said)| format!("{name}: {said}"));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "model limits: gpt: 1 rpm, 9 tpm; z: 2 tpm",
                "tag limits: a: 2 rpm",
                "more budget: $5.00 until 2027-01-01 00:00:00 UTC",
                "once spent: fewer requests and tokens a minute, no refusal",
                "instead: gpt: cheap, free",
                "tags: x, y",
            ]
        );
        assert_eq!(minute(row, "rpm_limit").as_deref(), Some("5, only while the model fails"));
        assert_eq!(minute(row, "tpm_limit").as_deref(), Some("6"));
        assert!(seldom(&Object::new()).is_empty() && minute(&Object::new(), "rpm_limit").is_none());
    }
}
