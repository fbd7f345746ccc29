//! `list`: all of them.

use clap::Args;
use serde_json::Value;

use super::noun::{Noun, cell, dollars};
use crate::bounds::{self, OF_ENTITY};
use crate::failure::Result;
use crate::session::{Object, Session};
use crate::table::table;

#[derive(Args, Debug)]
pub struct ListArgs {}

pub(super) async fn run(noun: &Noun, _: &ListArgs, session: &Session) -> Result {
    let rows = all(noun, session).await?;
    if rows.is_empty() {
        session.say(&format!("note: there are none; `dunlin {} create` creates one", noun.word));
    }
    let head = ["ID", "NAME", "STATE", " SPEND", " BUDGET", "EVERY", " RPM", " TPM", "MODELS"];
    let head = if noun.word == "budget" {
        ["ID", "", "", "", " BUDGET", "EVERY", " RPM", " TPM", ""]
    } else {
        head
    };
    let text = table(head, &rows.iter().map(|row| cells(noun, row)).collect::<Vec<_>>());
    let rows: Value = rows.into_iter().map(Value::Object).collect();
    let json = Object::from_iter([(format!("{}s", noun.word), rows)]);
    session.show(&format!("dunlin.{}.list/1", noun.word), json, &text)
}

pub(super) async fn all(noun: &Noun, session: &Session) -> Result<Vec<Object>> {
    let mut rows = Vec::new();
    for page in 1_u64.. {
        let number = page.to_string();
        let query = [("page_size", "100"), ("page", number.as_str())];
        let query = if noun.word == "user" { &query[..] } else { &[] };
        let answer = session.get(&noun.path("list"), query).await?;
        let told: Value = answer.read()?;
        let list = told.as_array().or(told["users"].as_array());
        let list = list.ok_or_else(|| answer.strange("it holds no list"))?;
        let pages = told["total_pages"].as_u64().unwrap_or(1);
        rows.extend(list.iter().filter_map(Value::as_object).cloned());
        if page >= pages {
            break;
        }
    }
    Ok(rows)
}

fn cells(noun: &Noun, row: &Object) -> [String; 9] {
    let blocked = row.get("blocked") == Some(&Value::Bool(true));
    let state = if blocked { "blocked" } else { "active" };
    let of = |name: &str| cell(row, name);
    let (budget, every) = (dollars(row, "max_budget"), of("budget_duration"));
    let (rpm, tpm) = (of("rpm_limit"), of("tpm_limit"));
    if noun.word == "budget" {
        let none = String::new;
        return [of(noun.id), none(), none(), none(), budget, every, rpm, tpm, none()];
    }
    let models = bounds::models(row, OF_ENTITY);
    let name = if noun.word == "user" && of(noun.alias) == "-" {
        of("user_email")
    } else {
        of(noun.alias)
    };
    [of(noun.id), name, state.to_owned(), dollars(row, "spend"), budget, every, rpm, tpm, models]
}
