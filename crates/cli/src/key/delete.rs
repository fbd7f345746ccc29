//! `dunlin key delete`: deletes a key after asking for its name.

use clap::Args;
use serde_json::json;

use super::row::{Row, find};
use crate::failure::{Failure, Result};
use crate::session::{Object, Session};
use crate::table::plain;
use crate::terminal;

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Its alias, its hash, or the hash as `dunlin key list` shows it.
    name: String,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(args: &DeleteArgs, session: &Session) -> Result {
    let found = find(session, &args.name).await?;
    if !args.yes {
        confirm(&found)?;
    }
    let body = Object::from_iter([("keys".to_owned(), json!([found.hash()]))]);
    let answer = session.post("/key/delete", &body).await?;
    session.say(&format!("deleted {}", found.title()));
    session.show("dunlin.key.delete/1", answer.read()?, "")
}

fn confirm(found: &Row) -> Result {
    let name = found.row.key_alias.clone().unwrap_or_else(|| found.short_hash());
    let question =
        format!("Apps that use {} will stop working. Type {name} to delete it: ", found.title());
    match terminal::ask(&plain(&question)) {
        Some(typed) if typed == name => Ok(()),
        Some(_) => Err(Failure::usage("that is not the name; nothing was deleted", "")),
        None => {
            let message = format!("deleting {} must be confirmed", found.title());
            Err(Failure::usage(message, "there is no terminal to ask on: use --yes"))
        }
    }
}
