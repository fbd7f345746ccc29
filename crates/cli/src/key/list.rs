//! `dunlin key list`: all keys, or those that match.

use clap::Args;
use serde_json::Value;

use super::row::{Page, Row, count};
use crate::failure::Result;
use crate::session::{Object, Session};
use crate::table::table;
use crate::terms::named;

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only keys with this text in their alias or at the start of their hash.
    #[arg(long, value_name = "TEXT", value_parser = named)]
    search: Option<String>,
    /// Only keys of this user.
    #[arg(long, value_name = "ID", value_parser = named)]
    user: Option<String>,
    /// Only keys of this team.
    #[arg(long, value_name = "ID", value_parser = named)]
    team: Option<String>,
}

pub(super) async fn run(args: &ListArgs, session: &Session) -> Result {
    let rows = all(args, session).await?;
    if rows.is_empty() {
        session.say("note: there are no matching keys; `dunlin key create` creates one");
    }
    let head = [
        "HASH",
        "KEY",
        "ALIAS",
        "STATE",
        " RPM",
        " TPM",
        " PARALLEL",
        " SPEND",
        "EXPIRES",
        "MODELS",
    ];
    let text = table(head, &rows.iter().map(cells).collect::<Vec<_>>());
    let keys = rows.into_iter().map(|row| Value::Object(row.json)).collect();
    let json = Object::from_iter([("keys".to_owned(), keys)]);
    session.show("dunlin.key.list/1", json, &text)
}

/// Every page. Oldest first, so that a key made meanwhile moves no other to another page.
async fn all(args: &ListArgs, session: &Session) -> Result<Vec<Row>> {
    let order = [("sort_by", "created_at"), ("sort_order", "asc"), ("return_full_object", "true")];
    let search = args.search.as_deref().map(|text| ("search", text));
    let user = args.user.as_deref().map(|user| ("user_id", user));
    let team = args.team.as_deref().map(|team| ("team_id", team));
    let mut rows = Vec::new();
    for page in 1_usize.. {
        let number = page.to_string();
        let query = [("size", "100"), ("page", number.as_str())];
        let query = order.into_iter().chain(query).chain(search).chain(user);
        let query: Vec<_> = query.chain(team).collect();
        let answer = session.get("/key/list", &query).await?;
        let Page { keys, total_pages, .. } = answer.read()?;
        for json in keys {
            rows.push(Row::of(&answer, json)?);
        }
        if page >= total_pages {
            break;
        }
    }
    Ok(rows)
}

fn cells(one: &Row) -> [String; 10] {
    let row = &one.row;
    [
        one.short_hash(),
        row.key_name.clone(),
        row.key_alias.clone().unwrap_or_else(|| "-".to_owned()),
        one.state().to_owned(),
        count(row.rpm_limit, "-"),
        count(row.tpm_limit, "-"),
        count(row.max_parallel_requests, "-"),
        one.spend(),
        one.expires(),
        one.models(),
    ]
}
