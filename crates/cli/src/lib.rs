//! The command line for a running cluster: what an operator asks of nodes over HTTP, one file per
//! subcommand. The `dunlin` binary passes these commands on and exits with the [`Exit`] it gets.
//!
//! Knows the admin API's shapes and no rule behind them: the server decides what a field means and
//! who may change it. Reads the environment only through clap. Data goes to stdout, everything else
//! to stderr. A change that one node may have begun is never sent to another. Read `session.rs`
//! first, then `key/create.rs`.

mod audit;
mod bounds;
mod budgets;
mod cluster;
mod credential;
mod drain;
mod entity;
mod failure;
mod health;
mod key;
mod log;
mod migrate;
mod model;
mod models;
mod output;
mod revisions;
mod session;
mod settings;
mod spend;
mod status;
mod table;
mod target;
mod terminal;
mod terms;

use clap::Subcommand;
use dunlin_types::Secret;

pub use failure::Exit;
pub use migrate::{IMPORT, Judge, Known, Litellm, MigrateCommand, migrate};
pub use output::Output;
pub use revisions::RevisionCommand;
pub use terminal::{print, say};

use crate::failure::{Failure, Result};
use crate::target::{NamedKey, Target, With};

/// The commands for a running cluster.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show the cluster: nodes, leader, config revision, backends with their load and health.
    Status(Target),
    /// Show the cluster's members; remove a node for good and reclaim its budget money.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Take one node out of service without stopping it, before a restart or while its machine is
    /// worked on. Other nodes take its clients; open requests finish.
    Drain(With<drain::DrainArgs>),
    /// Create, show, update, block and delete keys.
    #[command(subcommand)]
    Key(Box<key::KeyCommand>),
    /// Create, show, update, block and delete teams; manage their members.
    #[command(subcommand, mut_subcommand("create", entity::of_team))]
    #[command(mut_subcommand("update", entity::of_team))]
    Team(Box<entity::TeamCommand>),
    /// Create, show, update and delete users.
    #[command(subcommand, mut_subcommand("create", entity::of_user))]
    #[command(mut_subcommand("update", entity::of_user))]
    User(Box<entity::EntityCommand>),
    /// Create, show, update and delete shared budgets.
    #[command(subcommand, mut_subcommand("create", entity::of_budget))]
    #[command(mut_subcommand("update", entity::of_budget))]
    Budget(Box<entity::EntityCommand>),
    /// Show the requests that the cluster has served.
    #[command(subcommand)]
    Log(Box<log::LogCommand>),
    /// Show spend by key, team, user, model or day, and what is left of the budgets.
    Spend(Box<spend::SpendArgs>),
    /// Show the audit log: who changed what, from where; verify that the log is unchanged.
    #[command(subcommand)]
    Audit(Box<audit::AuditCommand>),
    /// Add, show, update and delete the deployments of models, on all nodes at once.
    #[command(subcommand)]
    Model(Box<model::ModelCommand>),
    /// Create, show, update and delete credentials that models share.
    #[command(subcommand)]
    Credential(Box<credential::CredentialCommand>),
    /// List the models that the key may call.
    Models(Target),
    /// Ask every URL whether its node is ready: exit code 0 if all are, else 1, as container health
    /// checks expect.
    Health(health::HealthArgs),
}

/// Runs a command and says on stderr why it failed, if it did. `keys` are those from the
/// environment, best first: the variable's name and its value.
#[must_use]
pub fn run(command: &Command, keys: Vec<(&'static str, Secret)>) -> Exit {
    run_with(keys, async |key| dispatch(command, key).await)
}

/// The same for the commands about the config's revisions.
#[must_use]
pub fn run_revisions(command: &RevisionCommand, keys: Vec<(&'static str, Secret)>) -> Exit {
    run_with(keys, async |key| revisions::run(command, key).await.map(|()| Exit::Done))
}

fn run_with(
    keys: Vec<(&'static str, Secret)>,
    work: impl AsyncFnOnce(Option<NamedKey>) -> Result<Exit>,
) -> Exit {
    let key = keys.into_iter().next().map(|(variable, key)| NamedKey::of(variable, key));
    block_on(work(key))
}

/// Runs work and says on stderr why it failed, if it did.
fn block_on(work: impl Future<Output = Result<Exit>>) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::here(format!("cannot start: {error}")));
    runtime.and_then(|runtime| runtime.block_on(work)).unwrap_or_else(|failure| {
        if !failure.is_silent() {
            say(&failure.to_string());
        }
        failure.exit
    })
}

async fn dispatch(command: &Command, key: Option<NamedKey>) -> Result<Exit> {
    match command {
        Command::Status(target) => return status::run(&target.open(key)?).await,
        Command::Cluster(command) => return cluster::run(command, key).await,
        Command::Drain(With { own, target }) => drain::run(own, &target.open(key)?).await?,
        Command::Key(command) => key::run(command, key).await?,
        Command::Team(command) => entity::team(command, key).await?,
        Command::User(command) => entity::user(command, key).await?,
        Command::Budget(command) => entity::budget(command, key).await?,
        Command::Log(command) => log::run(command, key).await?,
        Command::Spend(args) => spend::run(args, &args.target.open(key)?).await?,
        Command::Audit(command) => return audit::run(command, key).await,
        Command::Model(command) => model::run(command, key).await?,
        Command::Credential(command) => credential::run(command, key).await?,
        Command::Models(target) => models::run(&target.open(key)?).await?,
        Command::Health(nodes) => return health::run(nodes).await,
    }
    Ok(Exit::Done)
}
