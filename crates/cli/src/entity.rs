//! `dunlin team`, `dunlin user` and `dunlin budget`: one file per verb, one table of what differs.

use clap::{Command, Subcommand};

use crate::failure::Result;
use crate::target::{NamedKey, With};

mod block;
mod create;
mod delete;
mod fields;
mod info;
mod list;
mod members;
mod noun;
mod update;

use noun::{BUDGET, Noun, TEAM, USER};

/// What can be done with each of them.
#[derive(Subcommand, Debug)]
pub enum EntityCommand {
    /// Create one.
    Create(With<create::CreateArgs>),
    /// List them all.
    #[command(visible_alias = "ls")]
    List(With<list::ListArgs>),
    /// Show one with all its fields.
    #[command(visible_alias = "show")]
    Info(With<info::InfoArgs>),
    /// Change the given fields and keep the rest.
    Update(With<update::UpdateArgs>),
    /// Delete one for good; a team's or a user's keys are deleted with it.
    #[command(visible_alias = "rm")]
    Delete(With<delete::DeleteArgs>),
}

/// What can be done with teams.
#[derive(Subcommand, Debug)]
pub enum TeamCommand {
    #[command(flatten)]
    Common(Box<EntityCommand>),
    /// Block a team: its keys are refused on all nodes until it is unblocked.
    Block(With<block::BlockArgs>),
    /// Unblock a team: its keys work again.
    Unblock(With<block::BlockArgs>),
    /// Show a team's members; add and remove members.
    Members(With<members::MembersArgs>),
}

/// A command about teams, without the flags that teams do not have. The same of users and budgets.
pub(crate) fn of_team(command: Command) -> Command {
    fit(&TEAM, command)
}

pub(crate) fn of_user(command: Command) -> Command {
    fit(&USER, command)
}

pub(crate) fn of_budget(command: Command) -> Command {
    fit(&BUDGET, command)
}

/// Offers no flag that would be refused.
fn fit(noun: &Noun, command: Command) -> Command {
    let hide = |command: Command, flag: &&'static str| command.mut_arg(*flag, |arg| arg.hide(true));
    let command = noun.without.iter().fold(command, hide);
    if command.get_arguments().all(|arg| arg.get_id() != "clear") {
        return command;
    }
    command.mut_arg("clear", |arg| arg.value_parser(fields::flags(noun)))
}

pub(crate) async fn team(command: &TeamCommand, key: Option<NamedKey>) -> Result {
    match command {
        TeamCommand::Common(command) => run(&TEAM, command, key).await,
        TeamCommand::Block(With { own, target }) => block::run(own, true, &target.open(key)?).await,
        TeamCommand::Unblock(With { own, target }) => {
            block::run(own, false, &target.open(key)?).await
        }
        TeamCommand::Members(With { own, target }) => members::run(own, &target.open(key)?).await,
    }
}

pub(crate) async fn user(command: &EntityCommand, key: Option<NamedKey>) -> Result {
    run(&USER, command, key).await
}

pub(crate) async fn budget(command: &EntityCommand, key: Option<NamedKey>) -> Result {
    run(&BUDGET, command, key).await
}

async fn run(noun: &Noun, command: &EntityCommand, key: Option<NamedKey>) -> Result {
    match command {
        EntityCommand::Create(With { own, target }) => {
            create::run(noun, own, &target.open(key)?).await
        }
        EntityCommand::List(With { own, target }) => list::run(noun, own, &target.open(key)?).await,
        EntityCommand::Info(With { own, target }) => info::run(noun, own, &target.open(key)?).await,
        EntityCommand::Update(With { own, target }) => {
            update::run(noun, own, &target.open(key)?).await
        }
        EntityCommand::Delete(With { own, target }) => {
            delete::run(noun, own, &target.open(key)?).await
        }
    }
}
