//! The mock upstream as a program: serves until it is killed.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use dunlin_mock_upstream::{MockUpstream, Settings};

/// A fake provider with OpenAI's endpoints, on loopback.
#[derive(Parser)]
struct Args {
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A model it has (repeatable); without any, every name is a model
    #[arg(long)]
    model: Vec<String>,
    /// Milliseconds before the first byte of an answer
    #[arg(long, default_value_t = 0)]
    first_byte_ms: u64,
    /// How fast answers are written; without it, at once
    #[arg(long)]
    tokens_per_second: Option<f64>,
    /// Tokens of an answer
    #[arg(long, default_value_t = 16)]
    tokens: u32,
    /// How much the first wait varies, as a share of itself from 0 to 1
    #[arg(long, default_value_t = 0.0)]
    jitter: f64,
    /// Decides how waits vary
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mock = MockUpstream::start(Settings {
        port: args.port,
        models: (!args.model.is_empty()).then_some(args.model),
        first_byte: Duration::from_millis(args.first_byte_ms),
        tokens_per_second: args.tokens_per_second,
        tokens: args.tokens,
        jitter: args.jitter,
        seed: args.seed,
        ..Settings::default()
    })
    .await
    .context("cannot listen")?;
    writeln!(std::io::stdout(), "{}", mock.api_base()).context("cannot say where it listens")?;
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}
