//! The command line of a running cluster: what an operator asks of nodes over HTTP, one file per
//! subcommand. The `dunlin` binary hands these commands over and ends with the [`Exit`] it gets.
//!
//! Knows the admin API's shapes and no rule behind them: what a field means and who may change it
//! is the server's answer. Reads no environment but through clap. Data goes to stdout, all other
//! words to stderr. A change that one node may have begun is never sent to another.
//! Read `session.rs` first, then `key/create.rs`.

mod audit;
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
pub use migrate::{Known, Litellm, MigrateCommand, migrate};
pub use output::Output;
pub use revisions::RevisionCommand;
pub use terminal::{print, say};

use crate::failure::{Failure, Result};
use crate::target::{NamedKey, Target, With};

/// What can be asked of a running cluster.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show the cluster: nodes, leader, config revision, backends with their load and health.
    Status(Target),
    /// See who belongs to the cluster; remove a node for good, take back what it had of budgets.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Have one node leave its clients to the others and finish what it has begun, without a stop:
    /// before a restart, or while its machine is worked on.
    Drain(With<drain::DrainArgs>),
    /// Make, look at, change, block and delete keys.
    #[command(subcommand)]
    Key(Box<key::KeyCommand>),
    /// Make, look at, change, block and delete teams; who belongs to them.
    #[command(subcommand)]
    Team(Box<entity::TeamCommand>),
    /// Make, look at, change and delete users.
    #[command(subcommand)]
    User(Box<entity::EntityCommand>),
    /// Make, look at, change and delete budgets whose terms are shared.
    #[command(subcommand)]
    Budget(Box<entity::EntityCommand>),
    /// Look at the requests that the cluster has served.
    #[command(subcommand)]
    Log(Box<log::LogCommand>),
    /// Show who spent how much on what, and what is left of the budgets.
    Spend(Box<spend::SpendArgs>),
    /// Look at the audit log: who changed what, from where; prove that nobody changed it since.
    #[command(subcommand)]
    Audit(Box<audit::AuditCommand>),
    /// Add, look at, change and delete the deployments of models, on all nodes at once.
    #[command(subcommand)]
    Model(Box<model::ModelCommand>),
    /// Make, look at, change and delete credentials that models share.
    #[command(subcommand)]
    Credential(Box<credential::CredentialCommand>),
    /// List the models that the key may call.
    Models(Target),
    /// Ask every URL whether its node is ready: exit code 0 if all are, else 1, as container
    /// health checks want it.
    Health(health::HealthArgs),
}

/// Carries a command out and says on stderr why it failed, if it did. `keys` are those that the
/// environment offers, best first: the variable's name and its value.
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

/// Carries work out and says on stderr why it failed, if it did.
fn block_on(work: impl Future<Output = Result<Exit>>) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::here(format!("cannot start: {error}")));
    runtime.and_then(|runtime| runtime.block_on(work)).unwrap_or_else(|failure| {
        say(&failure.to_string());
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
