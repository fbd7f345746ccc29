//! The `dunlin` binary: arguments, logs, the chosen command, an exit code. Start reading at
//! `run.rs` for what a serving node is made of, and at `args.rs` for what can be asked of it.

mod args;
mod clock;
mod config;
mod demo;
mod explain;
mod leader;
mod logs;
mod parts;
mod revision;
mod run;
mod seal;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command, ConfigCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a command ended; the number is the exit code that `dunlin --help` documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    ProblemsFound = 10,
}

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
        Command::Explain { code } => Ok(explain::run(&code)),
        Command::Version => Ok(print_version()),
    }
}

fn print_version() -> Exit {
    print(concat!("dunlin ", env!("CARGO_PKG_VERSION"), "\n"));
    Exit::Done
}

/// Data for pipes goes to stdout. A reader that has left is no failure of ours.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Words for people go to stderr.
fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
