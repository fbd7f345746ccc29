//! `cargo run -p dunlin-chaos -- sim --seed N`: see `README.md`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use dunlin_chaos::live::Fault;
use dunlin_chaos::report::{Judgement, Report};
use dunlin_chaos::{invariants, live, sim};

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
    /// Real processes of a `dunlin` binary, with clients over HTTP.
    Live(LiveArgs),
    /// The faults and the invariants.
    List,
}

#[derive(Args)]
struct LiveArgs {
    /// The `dunlin` binary.
    #[arg(long)]
    binary: PathBuf,
    /// What clients do, and which fault comes when, is drawn from it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// No fault begins after so long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=9))]
    nodes: u8,
    /// Names of faults, with commas between them [default: all].
    #[arg(long)]
    faults: Option<String>,
    /// Writes the report there, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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

/// The exit code of a run that broke no promise and says nothing of some.
const UNKNOWN: u8 = 3;

fn main() -> anyhow::Result<ExitCode> {
    let verdict = match Cli::parse().command {
        Command::Sim(args) => simulate(&args),
        Command::Live(args) => go_live(args)?,
        Command::List => {
            print(&list());
            Judgement::Held
        }
    };
    Ok(match verdict {
        Judgement::Held => ExitCode::SUCCESS,
        Judgement::Violated => ExitCode::FAILURE,
        Judgement::Unknown => ExitCode::from(UNKNOWN),
    })
}

/// Runs seeds one after the other. Of many, an invariant is unknown if none of them had anything to
/// look at; how many had nothing is told.
fn simulate(args: &SimArgs) -> Judgement {
    let (mut violated, mut unknown) = (0_u64, BTreeMap::<_, u64>::new());
    for seed in (args.seed..).take(usize::try_from(args.seeds).unwrap_or(usize::MAX)) {
        let judged =
            std::panic::catch_unwind(|| Report::of(&sim::run(seed), seed, sim::replay(seed)));
        match &judged {
            Ok(report) if report.verdict != Judgement::Violated && args.seeds > 1 => {}
            Ok(report) => print(&report.text()),
            Err(_) => print(&format!("seed {seed} panicked; again: {}\n", sim::replay(seed))),
        }
        let Ok(report) = judged else {
            violated += 1;
            continue;
        };
        violated += u64::from(report.verdict == Judgement::Violated);
        report.unknown().for_each(|name| *unknown.entry(name).or_default() += 1);
    }
    if args.seeds > 1 {
        let named = unknown.iter().map(|(name, seeds)| format!("; {name} unknown in {seeds}"));
        let named: String = named.collect();
        print(&format!("{} seeds, {violated} with a violation{named}\n", args.seeds));
    }
    match violated {
        0 if unknown.values().any(|seeds| *seeds == args.seeds) => Judgement::Unknown,
        0 => Judgement::Held,
        _ => Judgement::Violated,
    }
}

fn go_live(args: LiveArgs) -> anyhow::Result<Judgement> {
    let LiveArgs { binary, seed, seconds, nodes, faults, json } = args;
    let all = || live::FAULTS.iter().map(|(fault, ..)| *fault).collect();
    let faults = match faults.as_deref().map(Fault::list) {
        None => all(),
        Some(Ok(faults)) => faults,
        Some(Err(name)) => bail!("`{name}` is no fault; `list` shows them"),
    };
    let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
    let (lasts, nodes) = (Duration::from_secs(seconds), usize::from(nodes));
    let plan = live::Plan { binary, seed, lasts, nodes, faults, progress };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(live::run(&plan))?;
    print(&report.text());
    if let Some(file) = json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    Ok(report.verdict)
}

/// What happens, while it happens, goes to stderr.
fn progress(what: &str) {
    drop(std::io::stderr().lock().write_all(format!("{what}\n").as_bytes()));
}

fn list() -> String {
    let line = |name: &str, says: &str| format!("  {name:<22}{says}\n");
    let sim: String = sim::FAULTS.iter().map(|(_, name, says)| line(name, says)).collect();
    let live: String = live::FAULTS.iter().map(|(_, name, says)| line(name, says)).collect();
    let invariants = invariants::ALL.iter().map(|known| line(known.name, known.promise));
    let invariants: String = invariants.collect();
    format!("faults of `sim`:\n{sim}\nfaults of `live`:\n{live}\ninvariants:\n{invariants}")
}

/// A reader that has left is no failure of ours.
fn print(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}
