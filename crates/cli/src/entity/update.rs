//! `update`: changes the fields that are given.

use clap::Args;

use super::fields::{self, Fields};
use super::noun::{Noun, cell};
use crate::failure::Result;
use crate::session::Session;
use crate::terms::named;

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Its id.
    #[arg(value_parser = named)]
    id: String,
    #[command(flatten)]
    fields: Fields,
    /// Fields to clear: no limit, no budget, all models.
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',')]
    clear: Vec<String>,
}

pub(super) async fn run(noun: &Noun, args: &UpdateArgs, session: &Session) -> Result {
    let mut body = args.fields.changes(noun, &args.clear)?;
    body.insert(noun.id.to_owned(), args.id.clone().into());
    let answer = session.post(&noun.path("update"), &body).await;
    let answer = answer.map_err(|failure| failure.of_flags(fields::all()))?;
    let row = noun.row(&answer)?;
    session.say(&format!("{} {} was changed", noun.word, cell(&row, noun.id)));
    session.warn(&row);
    session.show(&noun.schema(), row, "")
}
