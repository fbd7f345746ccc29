//! `cargo run -p dunlin-chaos -- sim --seed N`: see `README.md`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dunlin_chaos::report::Report;
use dunlin_chaos::{invariants, sim};

/// Faults, and what must hold in spite of them.
#[derive(Parser)]
#[command(name = "dunlin-chaos", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Simulated nodes under a seeded clock and network.
    Sim(SimArgs),
    /// The faults and the invariants.
    List,
}

#[derive(Args)]
struct SimArgs {
    /// The first seed, or the only one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let ok = match Cli::parse().command {
        Command::Sim(args) => simulate(&args),
        Command::List => {
            print(&list());
            true
        }
    };
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn simulate(args: &SimArgs) -> bool {
    let mut violated = 0_u64;
    for seed in (args.seed..).take(usize::try_from(args.seeds).unwrap_or(usize::MAX)) {
        let report = Report::of(&sim::run(seed), seed, sim::replay(seed));
        if args.seeds == 1 || !report.ok {
            print(&report.text());
        }
        violated += u64::from(!report.ok);
    }
    if args.seeds > 1 {
        print(&format!("{} seeds, {violated} with a violation\n", args.seeds));
    }
    violated == 0
}

fn list() -> String {
    let mut text = "faults of `sim`:\n".to_owned();
    let mut add = |name: &str, says: &str| text.push_str(&format!("  {name:<22}{says}\n"));
    sim::FAULTS.iter().for_each(|(_, name, says)| add(name, says));
    text.push_str("\ninvariants:\n");
    let mut add = |name: &str, says: &str| text.push_str(&format!("  {name:<22}{says}\n"));
    invariants::ALL.iter().for_each(|invariant| add(invariant.name, invariant.promise));
    text
}

/// A reader that has left is no failure of ours.
fn print(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}
