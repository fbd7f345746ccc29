//! `dunlin key block` and `unblock`.

use clap::Args;

use super::row::change;
use crate::failure::Result;
use crate::session::{Object, Session};

#[derive(Args, Debug)]
pub struct BlockArgs {
    /// Its alias, its hash, or the hash as `dunlin key list` shows it.
    name: String,
}

pub(super) async fn run(args: &BlockArgs, block: bool, session: &Session) -> Result {
    let (path, done) = if block {
        ("/key/block", "is refused on all nodes")
    } else {
        ("/key/unblock", "is let in again")
    };
    change(session, &args.name, path, Object::new(), done).await
}
