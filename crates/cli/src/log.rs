//! `dunlin log`: the requests that the cluster has served, one file per verb.

use clap::Subcommand;

use crate::failure::Result;
use crate::target::{NamedKey, With};

mod filters;
mod follow;
mod info;
mod list;
mod row;

/// The commands for the request log.
#[derive(Subcommand, Debug)]
pub enum LogCommand {
    /// List requests, newest first, whichever node served them.
    #[command(visible_alias = "ls")]
    List(With<list::ListArgs>),
    /// Show requests as they end, until interrupted.
    #[command(visible_alias = "tail")]
    Follow(With<follow::FollowArgs>),
    /// Show one request with all its fields.
    #[command(visible_alias = "show")]
    Info(With<info::InfoArgs>),
}

pub(crate) async fn run(command: &LogCommand, key: Option<NamedKey>) -> Result {
    match command {
        LogCommand::List(With { own, target }) => list::run(own, &target.open(key)?).await,
        LogCommand::Follow(With { own, target }) => follow::run(own, &target.open(key)?).await,
        LogCommand::Info(With { own, target }) => info::run(own, &target.open(key)?).await,
    }
}
