//! `dunlin team block` and `unblock`.

use clap::Args;

use super::noun::TEAM;
use crate::failure::Result;
use crate::session::{Object, Session};

#[derive(Args, Debug)]
pub struct BlockArgs {
    /// Its id.
    id: String,
}

pub(super) async fn run(args: &BlockArgs, block: bool, session: &Session) -> Result {
    let (verb, done) =
        if block { ("block", "is refused on all nodes") } else { ("unblock", "is let in again") };
    let body = Object::from_iter([(TEAM.id.to_owned(), args.id.clone().into())]);
    let answer = session.post(&TEAM.path(verb), &body).await?;
    session.say(&format!("team {} {done}", args.id));
    session.show(&TEAM.schema(), TEAM.row(&answer)?, "")
}
