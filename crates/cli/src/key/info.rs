//! `dunlin key info`: all of one key.

use clap::Args;
use serde_json::Value;

use super::row::{Row, SCHEMA, find};
use crate::failure::{Exit, Failure, Result};
use crate::session::{Object, Session};

#[derive(Args, Debug)]
pub struct InfoArgs {
    /// Its alias, its hash, or the hash as `dunlin key list` shows it.
    name: Option<String>,
}

pub(super) async fn run(args: &InfoArgs, session: &Session) -> Result {
    let row = match &args.name {
        Some(name) => find(session, name).await?,
        None => own(session).await?,
    };
    let text = row.facts();
    session.show(SCHEMA, row.json, &text)
}

/// The calling key. The master key has no row.
async fn own(session: &Session) -> Result<Row> {
    let answer = session.get("/key/info", &[]).await.map_err(|failure| {
        if failure.exit == Exit::NotFound {
            Failure::usage(
                "the master key is not a virtual key",
                "name a key: see `dunlin key list`",
            )
        } else {
            failure
        }
    })?;
    let mut told: Object = answer.read()?;
    let (Some(Value::Object(mut row)), Some(hash)) = (told.remove("info"), told.remove("key"))
    else {
        return Err(answer.strange("it holds no key"));
    };
    row.insert("token".to_owned(), hash);
    Row::of(&answer, row)
}
