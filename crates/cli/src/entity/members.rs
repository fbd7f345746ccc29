//! `dunlin team members`: shows a team's members; `--add` and `--remove` change them.

use clap::Args;
use serde_json::{Value, json};

use super::noun::{TEAM, cell, dollars};
use crate::failure::Result;
use crate::session::{Object, Session};
use crate::table::table;

#[derive(Args, Debug)]
pub struct MembersArgs {
    /// The team's id.
    id: String,
    /// Users to add: ids, optionally with a role: `ann=admin`.
    #[arg(long, value_name = "USER[=ROLE],...", value_delimiter = ',')]
    add: Vec<String>,
    /// What each added user may spend in the team, in US dollars.
    #[arg(long, value_name = "USD", requires = "add")]
    max_budget: Option<String>,
    /// Users to remove; their keys of this team are deleted too.
    #[arg(long, value_name = "USER,...", value_delimiter = ',')]
    remove: Vec<String>,
}

pub(super) async fn run(args: &MembersArgs, session: &Session) -> Result {
    TEAM.find(session, &args.id).await?;
    if !args.add.is_empty() {
        session.post("/team/member_add", &joining(args)).await?;
    }
    for user in &args.remove {
        let body = json!({"team_id": args.id, "user_id": user});
        let body = body.as_object().expect("it is an object").clone();
        session.post("/team/member_delete", &body).await?;
    }
    let told = TEAM.answer(session, &args.id).await?;
    let members = members(&TEAM.row(&told)?, &told.read()?);
    let text = table(
        ["USER", "EMAIL", "ROLE", " SPEND", " BUDGET", "EVERY"],
        &members.iter().map(cells).collect::<Vec<_>>(),
    );
    let members = members.into_iter().map(Value::Object).collect();
    let json = Object::from_iter([("members".to_owned(), members)]);
    session.show("dunlin.team.members/1", json, &text)
}

/// The members with what each has spent and may spend in the team, which the answer tells apart.
fn members(team: &Object, told: &Object) -> Vec<Object> {
    let rows = |of: &Object, name: &str| of.get(name).and_then(Value::as_array).cloned();
    let memberships = rows(told, "team_memberships").unwrap_or_default();
    let joined = rows(team, "members_with_roles").unwrap_or_default().into_iter();
    let objects = joined.filter_map(|member| member.as_object().cloned());
    let of = |mut member: Object| {
        let is_its = |row: &&Value| row.get("user_id") == member.get("user_id");
        if let Some(row) = memberships.iter().find(is_its).cloned() {
            let spend = row["spend"].clone();
            let limits = &row["litellm_budget_table"];
            let (most, every) = (limits["max_budget"].clone(), limits["budget_duration"].clone());
            let added = [("spend", spend), ("max_budget", most), ("budget_duration", every)];
            member.extend(added.map(|(name, value)| (name.to_owned(), value)));
        }
        member
    };
    objects.map(of).collect()
}

fn cells(member: &Object) -> [String; 6] {
    [
        cell(member, "user_id"),
        cell(member, "user_email"),
        cell(member, "role"),
        dollars(member, "spend"),
        dollars(member, "max_budget"),
        cell(member, "budget_duration"),
    ]
}

fn joining(args: &MembersArgs) -> Object {
    let member = |named: &String| {
        let (user, role) = named.split_once('=').unwrap_or((named, "user"));
        json!({"user_id": user, "role": role})
    };
    let members: Vec<_> = args.add.iter().map(member).collect();
    let mut body = Object::from_iter([
        ("team_id".to_owned(), json!(args.id)),
        ("member".to_owned(), json!(members)),
    ]);
    if let Some(budget) = &args.max_budget {
        body.insert("max_budget_in_team".to_owned(), json!(budget));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_shown_with_what_they_may_spend_in_the_team() {
        let told = json!({"team_memberships": [{
            "user_id": "ann", "spend": 0.25,
            "litellm_budget_table": {"max_budget": 0.5, "budget_duration": "1d"},
        }]});
        let team = json!({"members_with_roles": [
            {"user_id": "ann", "user_email": null, "role": "user"},
            {"user_id": "bob", "user_email": null, "role": "admin"},
        ]});
        let object = |value: Value| value.as_object().expect("an object").clone();
        let shown: Vec<_> = members(&object(team), &object(told)).iter().map(cells).collect();
        assert_eq!(shown[0], ["ann", "-", "user", "$0.25", "$0.50", "1d"]);
        assert_eq!(shown[1], ["bob", "-", "admin", "-", "-", "-"]);
    }
}
