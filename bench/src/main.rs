//! `cargo run --release -p dunlin-bench -- COMMAND`: see `README.md`.

use std::io::Write;

use clap::Parser;
use dunlin_bench::Cli;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(dunlin_bench::run(cli))?;
    // A reader that has left is no failure of ours.
    drop(std::io::stdout().lock().write_all(report.as_bytes()));
    Ok(())
}
