//! `dunlin log list`: the newest requests, or those that match.

use clap::Args;
use serde_json::Value;

use super::filters::{Filters, PAGE};
use super::row::lines;
use crate::failure::Result;
use crate::session::{Object, Session};
use crate::table::rows;

#[derive(Args, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    filters: Filters,
    /// The most requests to show.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, allow_negative_numbers = true, value_parser = rows)]
    limit: usize,
}

pub(super) async fn run(args: &ListArgs, session: &Session) -> Result {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    let last = loop {
        let size = (args.limit - found.len()).clamp(1, PAGE);
        let (more, page) = args.filters.page(session, cursor.as_deref(), size).await?;
        found.extend(more);
        cursor.clone_from(&page.next_cursor);
        if cursor.is_none() || found.len() >= args.limit {
            break page;
        }
    };
    found.truncate(args.limit);
    if let Some(lacks) = last.lacks() {
        session.say(&lacks);
    }
    if found.is_empty() {
        session.say("note: no matching request is in the log");
    } else if cursor.is_some() {
        session.say("note: there may be more: use a larger -n");
    }
    let text = lines(&found);
    let found = found.into_iter().map(|row| Value::Object(row.json)).collect();
    let mut json = Object::from_iter([("requests".to_owned(), found)]);
    last.completeness(&mut json);
    session.show("dunlin.log.list/1", json, &text)
}
