//! `dunlin log info`: all of one request, with prompt and answer if they are on record.

use clap::Args;
use serde_json::Value;

use super::row::Row;
use crate::failure::{Exit, Failure, Result};
use crate::session::{Object, Session};

#[derive(Args, Debug)]
pub struct InfoArgs {
    /// The request's id: the one in its answer, or the one in the header `x-litellm-call-id`.
    request: String,
}

pub(super) async fn run(args: &InfoArgs, session: &Session) -> Result {
    if args.request.trim().is_empty() {
        return Err(Failure::usage("the request's id is empty", "`dunlin log list` shows them"));
    }
    let query = [("request_id", args.request.as_str()), ("summarize", "false"), ("limit", "1")];
    let answer = session.get("/spend/logs", &query).await?;
    let mut found: Vec<Object> = answer.read()?;
    let Some(json) = found.pop() else {
        let message = format!("request {} is not in the log", args.request);
        return Err(Failure::new(
            Exit::NotFound,
            message,
            "`dunlin log list` shows the newest ones",
        ));
    };
    let row = Row::of(&answer, json)?;
    let mut text = row.facts();
    for name in ["messages", "response"] {
        if let Some(said) = row.json.get(name).filter(|said| **said != Value::Object(Object::new()))
        {
            text += &format!("\n{name}:\n{}\n", shown(said));
        }
    }
    session.show("dunlin.log/1", row.json, &text)
}

/// JSON over several lines, or a text with nothing in it that a terminal would obey.
fn shown(said: &Value) -> String {
    let text = said.as_str().map_or_else(|| format!("{said:#}"), str::to_owned);
    text.lines().map(crate::table::plain).collect::<Vec<_>>().join("\n")
}
