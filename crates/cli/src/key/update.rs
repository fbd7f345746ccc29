//! `dunlin key update`: changes the fields that are given.

use clap::Args;

use super::fields::{Fields, flags};
use super::row::change;
use crate::failure::Result;
use crate::session::Session;

#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Its alias, its hash, or the hash as `dunlin key list` shows it.
    name: String,
    #[command(flatten)]
    fields: Fields,
    /// Fields to clear: no limit, all models, no expiry.
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', value_parser = flags())]
    clear: Vec<String>,
}

pub(super) async fn run(args: &UpdateArgs, session: &Session) -> Result {
    let body = args.fields.changes(&args.clear)?;
    change(session, &args.name, "/key/update", body, "was changed").await
}
