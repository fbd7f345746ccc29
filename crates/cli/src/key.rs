//! `dunlin key`: one file per verb.

use clap::Subcommand;

use crate::failure::Result;
use crate::target::{NamedKey, With};

mod block;
mod create;
mod delete;
mod fields;
mod info;
mod list;
mod regenerate;
mod row;
mod update;

pub(crate) use row::hash;

/// What can be done with keys.
#[derive(Subcommand, Debug)]
pub enum KeyCommand {
    /// Create a key and write it to stdout; it is not shown again. `KEY=$(dunlin key create -q)`
    Create(With<create::CreateArgs>),
    /// List keys, oldest first.
    #[command(visible_alias = "ls")]
    List(With<list::ListArgs>),
    /// Show one key with all its fields; without NAME, the calling key.
    #[command(visible_alias = "show")]
    Info(With<info::InfoArgs>),
    /// Change the given fields and keep the rest.
    Update(With<update::UpdateArgs>),
    /// Replace a key's text and write the new one to stdout; the key keeps its spend and limits.
    Regenerate(With<regenerate::RegenerateArgs>),
    /// Block a key: it is refused on all nodes until it is unblocked.
    Block(With<block::BlockArgs>),
    /// Unblock a key.
    Unblock(With<block::BlockArgs>),
    /// Delete a key for good.
    #[command(visible_alias = "rm")]
    Delete(With<delete::DeleteArgs>),
}

pub(crate) async fn run(command: &KeyCommand, key: Option<NamedKey>) -> Result {
    match command {
        KeyCommand::Create(With { own, target }) => create::run(own, &target.open(key)?).await,
        KeyCommand::List(With { own, target }) => list::run(own, &target.open(key)?).await,
        KeyCommand::Info(With { own, target }) => info::run(own, &target.open(key)?).await,
        KeyCommand::Update(With { own, target }) => update::run(own, &target.open(key)?).await,
        KeyCommand::Regenerate(With { own, target }) => {
            regenerate::run(own, &target.open(key)?).await
        }
        KeyCommand::Block(With { own, target }) => block::run(own, true, &target.open(key)?).await,
        KeyCommand::Unblock(With { own, target }) => {
            block::run(own, false, &target.open(key)?).await
        }
        KeyCommand::Delete(With { own, target }) => delete::run(own, &target.open(key)?).await,
    }
}
