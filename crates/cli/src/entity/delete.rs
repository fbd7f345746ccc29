//! `delete`: deletes one after asking for its id.

use clap::Args;
use serde_json::{Value, json};

use super::noun::Noun;
use crate::failure::Result;
use crate::session::{Object, Session};
use crate::terminal::Deed;

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
    let (word, id) = (noun.word, &*args.id);
    let what = format!("delete the {word}");
    Deed { warning: noun.loss, what: &what, name: id }.confirm(args.yes)?;
    let ids = if noun.ids == "id" { json!(args.id) } else { json!([args.id]) };
    session.post(&noun.path("delete"), &Object::from_iter([(noun.ids.to_owned(), ids)])).await?;
    session.say(&format!("deleted {} {}", noun.word, args.id));
    let json = Object::from_iter([("deleted".to_owned(), Value::from(args.id.clone()))]);
    session.show(&format!("dunlin.{}.delete/1", noun.word), json, "")
}
