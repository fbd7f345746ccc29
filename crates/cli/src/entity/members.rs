//! `dunlin team members`: who belongs to a team; with `--add` and `--remove`, who joins and leaves.

use clap::Args;
use serde_json::{Value, json};

use super::noun::{TEAM, cell};
use crate::failure::Result;
use crate::session::{Object, Session};
use crate::table::table;

#[derive(Args, Debug)]
pub struct MembersArgs {
    /// The team's id.
    id: String,
    /// Who joins: an id, perhaps with a role: `ann=admin`.
    #[arg(long, value_name = "USER[=ROLE],...", value_delimiter = ',')]
    add: Vec<String>,
    /// What each of them may spend in the team, in US dollars.
    #[arg(long, value_name = "USD", requires = "add")]
    max_budget: Option<String>,
    /// Who leaves; their keys of this team go with them.
    #[arg(long, value_name = "USER,...", value_delimiter = ',')]
    remove: Vec<String>,
}

pub(super) async fn run(args: &MembersArgs, session: &Session) -> Result {
    if !args.add.is_empty() {
        session.post("/team/member_add", &joining(args)).await?;
    }
    for user in &args.remove {
        let body = json!({"team_id": args.id, "user_id": user});
        let body = body.as_object().expect("it is an object").clone();
        session.post("/team/member_delete", &body).await?;
    }
    let row = TEAM.find(session, &args.id).await?;
    let members = row.get("members_with_roles").and_then(Value::as_array).cloned();
    let members = members.unwrap_or_default();
    let cells = members
        .iter()
        .filter_map(Value::as_object)
        .map(|member| [cell(member, "user_id"), cell(member, "user_email"), cell(member, "role")]);
    let text = table(["USER", "EMAIL", "ROLE"], &cells.collect::<Vec<_>>());
    let json = Object::from_iter([("members".to_owned(), Value::Array(members))]);
    session.show("dunlin.team.members/1", json, &text)
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
