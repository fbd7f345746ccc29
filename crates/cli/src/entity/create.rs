//! `create`: makes one. Stdout gets its id and nothing else.

use clap::Args;

use super::fields::{self, Fields};
use super::noun::{Noun, cell};
use crate::failure::Result;
use crate::session::Session;
use crate::terms::named;

#[derive(Args, Debug)]
pub struct CreateArgs {
    /// Its id [default: a random one].
    #[arg(value_parser = named)]
    id: Option<String>,
    #[command(flatten)]
    fields: Fields,
}

pub(super) async fn run(noun: &Noun, args: &CreateArgs, session: &Session) -> Result {
    let mut body = args.fields.given(noun)?;
    if let Some(id) = &args.id {
        body.insert(noun.id.to_owned(), id.clone().into());
    }
    if noun.word == "user" {
        // `dunlin key create --user ID` makes its keys, and shows them.
        body.insert("auto_create_key".to_owned(), false.into());
    }
    let answer = session.post(&noun.path("new"), &body).await;
    let answer = answer.map_err(|failure| failure.of_flags(fields::all()))?;
    let row = noun.row(&answer)?;
    let id = cell(&row, noun.id);
    session.say(&format!("created {} {id}", noun.word));
    session.warn(&row);
    session.show(&noun.schema(), row, &format!("{id}\n"))
}
