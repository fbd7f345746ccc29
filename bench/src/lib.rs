//! What the gateway costs and what it holds to, each figure by one command:
//! `cargo run --release -p dunlin-bench -- overhead`.
//!
//! It measures and does not judge: every figure comes with the machine, the commit and the command
//! that made it. Real nodes (`target.rs`), one load generator (`load.rs`), a mock that keeps account
//! of what it was asked. Read `overhead.rs` first for what is measured against the same load without
//! a gateway, `budget.rs` for what is counted by more than one witness.

mod admission;
mod budget;
mod clock;
mod dialects;
mod failover;
mod keys;
mod limits;
mod load;
mod nginx;
mod overhead;
mod process;
mod report;
mod spend;
mod target;

use std::io::Write;

use clap::{Parser, Subcommand};

/// Load and its report.
#[derive(Parser)]
#[command(name = "dunlin-bench", version)]
pub struct Cli {
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
    /// A budget in a rush of requests, counted by clients, upstream, request log and settled spend.
    Budget(budget::BudgetArgs),
    /// A limit in its worst minute, counted at the upstream, while its owner dies, stalls or is cut
    /// off.
    Limits(limits::LimitsArgs),
    /// Many keys: imported beside a load, held in memory, written as snapshots, read at a start.
    Keys(keys::KeysArgs),
    /// The death of a leader under load: what fails, what is lost, how long it takes.
    Failover(failover::FailoverArgs),
}

/// Does what a command line says and gives the report.
///
/// # Errors
/// Nothing could be measured.
pub async fn run(cli: Cli) -> anyhow::Result<String> {
    match cli.command {
        Command::Overhead(args) => overhead::run(args).await,
        Command::Admission(args) => admission::run(args).await,
        Command::Dialects(args) => dialects::run(args).await,
        Command::Budget(args) => budget::run(args).await,
        Command::Limits(args) => limits::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Failover(args) => failover::run(args).await,
    }
}

/// Progress goes to stderr.
fn say(text: &str) {
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}
