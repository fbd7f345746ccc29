//! `delete`: deletes one after asking for its id.

use clap::Args;
use serde_json::{Value, json};

use super::noun::Noun;
use crate::failure::{Failure, Result};
use crate::session::{Object, Session};
use crate::table::plain;
use crate::terminal;

#[derive(Args, Debug)]
pub struct DeleteArgs {
    /// Its id.
    id: String,
    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn run(noun: &Noun, args: &DeleteArgs, session: &Session) -> Result {
    noun.find(session, &args.id).await?;
    if !args.yes {
        confirm(noun, &args.id)?;
    }
    let ids = if noun.ids == "id" { json!(args.id) } else { json!([args.id]) };
    session.post(&noun.path("delete"), &Object::from_iter([(noun.ids.to_owned(), ids)])).await?;
    session.say(&format!("deleted {} {}", noun.word, args.id));
    let json = Object::from_iter([("deleted".to_owned(), Value::from(args.id.clone()))]);
    session.show(&format!("dunlin.{}.delete/1", noun.word), json, "")
}

fn confirm(noun: &Noun, id: &str) -> Result {
    let what = noun.word;
    let question = format!("Its keys will stop working. Type {id} to delete the {what}: ");
    match terminal::ask(&plain(&question)) {
        Some(typed) if typed == id => Ok(()),
        Some(_) => Err(Failure::usage("that is not the id; nothing was deleted", "")),
        None => {
            let message = format!("deleting {what} {id} must be confirmed");
            Err(Failure::usage(message, "there is no terminal to ask on: use --yes"))
        }
    }
}
