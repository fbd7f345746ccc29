//! `dunlin key delete`: deletes a key after asking for its name.

use clap::Args;
use serde_json::json;

use super::row::find;
use crate::failure::Result;
use crate::session::{Object, Session};
use crate::terminal::Deed;

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
    let name = found.row.key_alias.clone().unwrap_or_else(|| found.short_hash());
    let title = found.title();
    let warning = format!("Apps that use {title} will stop working.");
    let what = format!("delete {title}");
    Deed { warning: &warning, what: &what, name: &name }.confirm(args.yes)?;
    let body = Object::from_iter([("keys".to_owned(), json!([found.hash()]))]);
    let answer = session.post("/key/delete", &body).await?;
    session.say(&format!("deleted {}", found.title()));
    session.show("dunlin.key.delete/1", answer.read()?, "")
}
