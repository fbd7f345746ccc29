//! `dunlin key regenerate`: a new text for the same key, which keeps its spend and limits. Stdout
//! gets the new key and nothing else.

use clap::Args;

use super::row::{Row, SCHEMA, find};
use crate::failure::{Failure, Result};
use crate::session::{Object, Session};

#[derive(Args, Debug)]
pub struct RegenerateArgs {
    /// Its alias, its hash, or the hash as `dunlin key list` shows it.
    name: String,
    /// How long the old text keeps working: `30m`, `12h` [default: not at all].
    #[arg(long, value_name = "TIME")]
    grace: Option<String>,
}

pub(super) async fn run(args: &RegenerateArgs, session: &Session) -> Result {
    let found = find(session, &args.name).await?;
    let mut body = Object::from_iter([("key".to_owned(), found.hash().into())]);
    if let Some(grace) = &args.grace {
        body.insert("grace_period".to_owned(), grace.clone().into());
    }
    let answer = session.post("/key/regenerate", &body).await;
    let answer = answer.map_err(|failure| failure.of_flags([("grace", "grace_period")]))?;
    let made = Row::of(&answer, answer.read()?)?;
    let clear = made.row.key.as_ref().ok_or_else(|| answer.strange("it shows no key"))?;
    let old = args.grace.as_ref().map_or_else(
        || "the old text is refused".to_owned(),
        |grace| format!("the old text works for another {grace}"),
    );
    session.say(&format!("{} has a new text, {old}. Shown only once:", made.title()));
    session.show(SCHEMA, made.json.clone(), &format!("{clear}\n")).map_err(|failure| {
        let again = format!("dunlin key regenerate {}", made.short_hash());
        let unread = "the key has a new text, but it could not be written; to make another:";
        Failure::here(format!("{}\n{unread} {again}", failure.message))
    })
}
