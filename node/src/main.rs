//! The `dunlin` binary: arguments, logs, the chosen command, an exit code. Start reading at
//! `run.rs` for what a serving node is made of, and at `args.rs` for what can be asked of it.

mod args;
mod clock;
mod config;
mod config_check;
mod demo;
mod descriptors;
mod door;
mod explain;
mod facts;
mod leader;
mod log_size;
mod logs;
mod metrics;
mod migrate;
mod odd_ones;
mod parts;
mod ports;
mod recover;
mod reseal;
mod revision;
mod rules;
mod run;
mod secrets;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use dunlin_cli::{Exit, MigrateCommand, Output, say};

use crate::args::{Cli, Command, ConfigCommand};
use crate::config_check::CheckArgs;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = dispatch(cli).unwrap_or_else(|error| {
        say(&told(&error));
        exit_of(&error)
    });
    ExitCode::from(exit as u8)
}

/// An error as the last thing that people are told.
fn told(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    // A rendered list of mistakes says itself that they are errors.
    let head = if text.starts_with("error") { "" } else { "error: " };
    format!("{head}{text}\n")
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<config::Invalid>() { Exit::Usage } else { Exit::Failed }
}

fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    match cli.into_command() {
        Command::Serve(serve) if serve.litellm.asks_version() => Ok(print_version(Output::TABLE)),
        Command::Serve(serve) if serve.litellm.asks_check() => {
            let file = config::checked_path(&serve)?;
            config_check::run(&CheckArgs::of(file, serve.strict))
        }
        Command::Serve(serve) => run::serve(&serve),
        Command::Demo(demo) => {
            let log = logs::start(logs::Settings::quiet())?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let ran = runtime.block_on(demo::run(demo));
            log.end();
            ran.map(|()| Exit::Done)
        }
        Command::Config(ConfigCommand::Check(args)) => config_check::run(&args),
        Command::Migrate(MigrateCommand::Litellm(args)) => migrate::run(&args),
        Command::Config(ConfigCommand::Revisions(command)) => {
            Ok(dunlin_cli::run_revisions(&command, config::keys_from_environment()))
        }
        Command::Recover(args) => recover::run(&args),
        Command::Explain { code, output } => Ok(explain::run(&code, output)),
        Command::Cluster(command) => Ok(dunlin_cli::run(&command, config::keys_from_environment())),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dunlin", &mut script);
            print(&String::from_utf8(script)?);
            Ok(Exit::Done)
        }
        Command::Version(output) => Ok(print_version(output)),
    }
}

fn print_version(output: Output) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    let json = serde_json::json!({"version": version});
    // A reader that has left is no failure of ours.
    drop(output.show("dunlin.version/1", json, &format!("dunlin {version}\n")));
    Exit::Done
}

/// A reader that has left is no failure of ours.
fn print(text: &str) {
    drop(dunlin_cli::print(text));
}
