//! `dunlin audit`: one file per verb.

use clap::Subcommand;

use crate::failure::{Exit, Result};
use crate::target::{NamedKey, With};

mod list;
mod show;
mod verify;

/// The commands for the audit log.
#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// List changes, newest first.
    #[command(visible_alias = "ls")]
    List(With<list::ListArgs>),
    /// Show one change: each field as it was and as it is.
    #[command(visible_alias = "info")]
    Show(With<show::ShowArgs>),
    /// Recompute the log's hashes; exit code 10 if a row was changed. Prints the hash of the whole
    /// log, for you to note elsewhere.
    Verify(With<verify::VerifyArgs>),
}

pub(crate) async fn run(command: &AuditCommand, key: Option<NamedKey>) -> Result<Exit> {
    match command {
        AuditCommand::List(With { own, target }) => list::run(own, &target.open(key)?).await?,
        AuditCommand::Show(With { own, target }) => show::run(own, &target.open(key)?).await?,
        AuditCommand::Verify(With { own, target }) => {
            return verify::run(own, &target.open(key)?).await;
        }
    }
    Ok(Exit::Done)
}
