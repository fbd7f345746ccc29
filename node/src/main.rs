//! The `dunlin` binary: arguments, logs, the chosen command, an exit code. Start reading at
//! `run.rs` for what a serving node is made of, and at `args.rs` for what can be asked of it.

mod args;
mod clock;
mod config;
mod demo;
mod descriptors;
mod door;
mod explain;
mod leader;
mod log_size;
mod logs;
mod master_key;
mod metrics;
mod migrate;
mod parts;
mod recover;
mod reseal;
mod revision;
mod rules;
mod run;
mod secrets;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use dunlin_cli::{Exit, MigrateCommand, say};

use crate::args::{Cli, Command, ConfigCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match dispatch(cli) {
        Ok(exit) => exit,
        Err(error) => {
            let text = format!("{error:#}");
            // A rendered list of mistakes says itself that they are errors.
            let head = if text.starts_with("error") { "" } else { "error: " };
            say(&format!("{head}{text}\n"));
            if error.is::<config::Invalid>() { Exit::Usage } else { Exit::Failed }
        }
    };
    ExitCode::from(exit as u8)
}

fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    match cli.into_command() {
        Command::Serve(serve) if serve.litellm.asks_version() => Ok(print_version()),
        Command::Serve(serve) if serve.litellm.asks_check() => {
            config::check(&config::checked_path(&serve)?, serve.strict)
        }
        Command::Serve(serve) => run::serve(&serve),
        Command::Demo(demo) => {
            logs::start(logs::Settings::quiet())?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(demo::run(demo))?;
            Ok(Exit::Done)
        }
        Command::Config(ConfigCommand::Check { file, strict }) => config::check(&file, strict),
        Command::Migrate(MigrateCommand::Litellm(args)) => migrate::run(&args),
        Command::Config(ConfigCommand::Revisions(command)) => {
            Ok(dunlin_cli::run_revisions(&command, config::keys_from_environment()))
        }
        Command::Recover(args) => recover::run(&args),
        Command::Explain { code } => Ok(explain::run(&code)),
        Command::Cluster(command) => Ok(dunlin_cli::run(&command, config::keys_from_environment())),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dunlin", &mut script);
            print(&String::from_utf8(script)?);
            Ok(Exit::Done)
        }
        Command::Version => Ok(print_version()),
    }
}

fn print_version() -> Exit {
    print(concat!("dunlin ", env!("CARGO_PKG_VERSION"), "\n"));
    Exit::Done
}

/// A reader that has left is no failure of ours.
fn print(text: &str) {
    drop(dunlin_cli::print(text));
}
