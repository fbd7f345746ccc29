//! `dunlin key create`: creates a key. Stdout gets the key and nothing else.

use clap::Args;

use super::fields::{self, Fields};
use super::row::{Row, SCHEMA};
use crate::failure::{Failure, Result};
use crate::session::Session;

#[derive(Args, Debug)]
pub struct CreateArgs {
    #[command(flatten)]
    fields: Fields,
}

pub(super) async fn run(args: &CreateArgs, session: &Session) -> Result {
    let answer = session.post("/key/generate", &args.fields.given()?).await;
    let answer = answer.map_err(|failure| failure.of_flags(fields::all()))?;
    let made = Row::of(&answer, answer.read()?)?;
    let clear = made.row.key.as_ref().ok_or_else(|| answer.strange("it shows no key"))?;
    session.say(&format!(
        "created {}, models: {}, expires: {}. The key, shown only once:",
        made.title(),
        made.models(),
        made.expires(),
    ));
    session.warn(&made.json);
    session.show(SCHEMA, made.json.clone(), &format!("{clear}\n")).map_err(|failure| {
        let delete = format!("dunlin key delete --yes {}", made.short_hash());
        let unread = "the key was created, but its text could not be written; to delete it:";
        Failure::here(format!("{}\n{unread} {delete}", failure.message))
    })
}
