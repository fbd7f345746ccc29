//! Measures what the gateway costs: `cargo run --release -p dunlin-bench -- overhead`.
//!
//! It measures and does not judge: every figure comes with the machine, the commit and the command
//! that made it, and next to the same load without a gateway and through nginx. Read `overhead.rs`
//! first.

mod admission;
mod clock;
mod dialects;
mod load;
mod nginx;
mod overhead;
mod process;
mod report;
mod target;

use std::io::Write;

use clap::{Parser, Subcommand};

/// Load and its report.
#[derive(Parser)]
#[command(name = "dunlin-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The same load direct, through nginx and through dunlin: throughput, latency, CPU, memory.
    Overhead(overhead::OverheadArgs),
    /// What limits and budgets add to a request's time, and the commands they cost the cluster.
    Admission(admission::AdmissionArgs),
    /// CPU for a request and for a streamed chunk, passed on or translated.
    Dialects(dialects::DialectsArgs),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Command::Overhead(args) => runtime.block_on(overhead::run(args)),
        Command::Admission(args) => runtime.block_on(admission::run(args)),
        Command::Dialects(args) => runtime.block_on(dialects::run(args)),
    }
}

/// The report goes to stdout; a reader that has left is no failure of ours.
fn print(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// Progress goes to stderr.
fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
