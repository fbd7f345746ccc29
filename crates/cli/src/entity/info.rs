//! `info`: all of one.

use clap::Args;
use serde_json::Value;

use super::noun::{Noun, cell, dollars};
use crate::bounds::{self, OF_ENTITY};
use crate::budgets;
use crate::failure::Result;
use crate::session::{Object, Session};
use crate::table::{moment, plain};

#[derive(Args, Debug)]
pub struct InfoArgs {
    /// Its id.
    id: String,
}

/// How a field is shown; nothing of one that is not worth a line.
type Show = fn(&Object, &str) -> Option<String>;

/// What people look for: the field, what it is called, and how it is shown.
const SHOWN: &[(&str, &str, Show)] = &[
    ("team_id", "team", set),
    ("user_id", "user", set),
    ("team_alias", "alias", set),
    ("user_alias", "alias", set),
    ("user_email", "email", set),
    ("user_role", "role", set),
    ("budget_id", "budget id", set),
    ("organization_id", "organization", set),
    ("blocked", "state", state),
    ("models", "models", models),
    ("spend", "spend", spend),
    ("max_budget", "budget", budget),
    ("budget_reset_at", "resets", at),
    ("soft_budget", "soft budget", spend),
    ("budget_limits", "windows", windows),
    ("model_max_budget", "model budgets", models_budgets),
    ("strict_budget", "strict budget", set),
    ("rpm_limit", "rpm", limit),
    ("tpm_limit", "tpm", limit),
    ("max_parallel_requests", "parallel", limit),
    ("on_loss", "on loss", set),
    ("admins", "admins", set),
    ("members", "members", set),
    ("teams", "teams", set),
    ("created_at", "created", at),
    ("created_by", "created by", set),
];

pub(super) async fn run(noun: &Noun, args: &InfoArgs, session: &Session) -> Result {
    let row = noun.find(session, &args.id).await?;
    let text = facts(&row);
    session.show(&noun.schema(), row, &text)
}

fn facts(row: &Object) -> String {
    let there = SHOWN.iter().filter(|(field, ..)| row.contains_key(*field));
    let lines = there.filter_map(|(field, name, show)| Some((name, show(row, field)?)));
    let lines = lines.map(|(name, value)| (*name, value)).chain(bounds::seldom(row));
    lines.map(|(name, value)| format!("{name:14}  {}\n", plain(&value))).collect()
}

/// As it is, if it says anything.
fn set(row: &Object, field: &str) -> Option<String> {
    Some(cell(row, field)).filter(|text| !matches!(&**text, "-" | "{}" | "[]"))
}

fn state(row: &Object, field: &str) -> Option<String> {
    let blocked = row.get(field) == Some(&Value::Bool(true));
    Some(if blocked { "blocked" } else { "active" }.to_owned())
}

fn models(row: &Object, _: &str) -> Option<String> {
    Some(bounds::models(row, OF_ENTITY))
}

fn limit(row: &Object, field: &str) -> Option<String> {
    Some(bounds::minute(row, field).unwrap_or_else(|| bounds::none(row, OF_ENTITY).to_owned()))
}

fn spend(row: &Object, field: &str) -> Option<String> {
    Some(dollars(row, field)).filter(|text| text != "-")
}

/// `$5.00 every 30d`.
fn budget(row: &Object, field: &str) -> Option<String> {
    let Some(most) = spend(row, field) else {
        return Some(bounds::none(row, OF_ENTITY).to_owned());
    };
    let every = set(row, "budget_duration").map(|every| format!(" every {every}"));
    Some(format!("{most}{}", every.unwrap_or_default()))
}

fn windows(row: &Object, _: &str) -> Option<String> {
    Some(budgets::windows(row)).filter(|told| !told.is_empty())
}

fn models_budgets(row: &Object, _: &str) -> Option<String> {
    Some(budgets::models(row)).filter(|told| !told.is_empty())
}

fn at(row: &Object, field: &str) -> Option<String> {
    set(row, field).as_deref().map(moment)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_set_takes_no_line_and_what_bounds_nothing_says_so() {
        let row = json!({"team_id": "t", "team_alias": null, "blocked": false, "models": [],
            "spend": 0.0, "max_budget": 500.0, "budget_duration": "30d", "model_max_budget": {},
            "budget_reset_at": "2027-01-01T00:00:00Z", "rpm_limit": null, "tpm_limit": 9,
            "members": ["ann", "bob"], "created_at": "2026-11-26T18:22:01.123456Z"});
        let told = facts(row.as_object().expect("an object"));
        let expected = "\
team            t
state           active
models          all
spend           $0.00
budget          $500.00 every 30d
resets          2027-01-01 00:00:00 UTC
rpm             no limit
tpm             9
members         ann, bob
created         2026-11-26 18:22:01 UTC
";
        assert_eq!(told, expected);
    }
}
