//! `dialects`: CPU for a request and for a streamed chunk, where client and provider speak the same
//! dialect and where each answer is translated.

use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use clap::Args;
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::json;

use crate::load::{self, Loop, Plan};
use crate::report::per;
use crate::target::{Gateway, Measured};
use crate::{process, report, say};

/// Tokens of short and of long streams: what the long ones cost more is their chunks'.
const SHORT: u32 = 16;
const LONG: u32 = 272;
/// Tokens per second of a stream: slow enough that each chunk is sent by itself.
const PACE: f64 = 200.0;
/// By the names of their models.
const PROVIDERS: [(&str, &str); 3] =
    [("same dialect", "openai/mock"), ("anthropic", "anthropic/mock"), ("gemini", "gemini/mock")];

#[derive(Args)]
pub(crate) struct DialectsArgs {
    /// How long each load lasts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Connections.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    #[command(flatten)]
    measured: Measured,
}

pub(crate) async fn run(args: DialectsArgs) -> anyhow::Result<String> {
    let binary = args.measured.binary().await?;
    let dir = tempfile::Builder::new().prefix("dunlin-bench-").tempdir()?;
    let fast = MockUpstream::start(Settings::default()).await?;
    let paced = Settings { tokens_per_second: Some(PACE), tokens: LONG, ..Settings::default() };
    let paced = MockUpstream::start(paced).await?;
    let gateway = Gateway::start(binary, dir.path().to_owned(), 1, config(&fast, &paced)).await?;
    let key = gateway.limited_key().await?;
    let mut text = report::heading();
    text += "\nCPU of the node, microseconds    whole answer   streamed chunk\n";
    for (name, _) in PROVIDERS {
        let whole = cost(&args, &gateway, &key, &format!("{name} whole"), None).await?;
        let stream = format!("{name} stream");
        let short = cost(&args, &gateway, &key, &stream, Some(SHORT)).await?;
        let long = cost(&args, &gateway, &key, &stream, Some(LONG)).await?;
        let chunk = (long - short) / f64::from(LONG - SHORT);
        text += &format!("  {name:<30} {whole:>12.1}   {chunk:>14.2}\n");
    }
    gateway.stop().await?;
    Ok(text)
}

fn config(fast: &MockUpstream, paced: &MockUpstream) -> String {
    let mut text = "model_list:\n".to_owned();
    for (name, model) in PROVIDERS {
        for (way, mock) in [("whole", fast), ("stream", paced)] {
            let root = format!("http://{}", mock.address());
            let base = if model.starts_with("openai/") { mock.api_base() } else { root };
            text += &format!(
                "  - model_name: {name} {way}\n    litellm_params:\n      model: {model}\n      \
                 api_base: {base}\n      api_key: sk-upstream\n      \
                 input_cost_per_token: 0.000001\n      output_cost_per_token: 0.000002\n"
            );
        }
    }
    text
}

/// Microseconds of CPU for one request to `model`; a stream of so many tokens, or a whole answer.
async fn cost(
    args: &DialectsArgs,
    gateway: &Gateway,
    key: &str,
    model: &str,
    stream: Option<u32>,
) -> anyhow::Result<f64> {
    say(&format!("{model} {}\n", stream.map_or(String::new(), |tokens| tokens.to_string())));
    let body = json!({
        "model": model,
        "messages": [{"role": "user", "content": "x".repeat(1_000)}],
        "max_tokens": stream.unwrap_or(SHORT),
        "stream": stream.is_some(),
    });
    let target = gateway.target()?;
    let plan = Plan {
        addresses: target.whole,
        keys: [key.to_owned()].into(),
        body: Bytes::from(body.to_string()),
        stream: stream.is_some(),
        mode: Loop::Closed,
        connections: args.connections,
        lasts: Duration::from_secs(args.seconds),
    };
    load::run(Plan { lasts: Duration::from_millis(500), ..plan.clone() }).await?;
    let before = process::cpu(&target.pids)?;
    let measured = load::run(plan).await?;
    let used = process::cpu(&target.pids)? - before;
    if measured.answered() == 0 {
        bail!("{model} answered nothing: {}", measured.failure.unwrap_or_default());
    }
    Ok(1.0 / per(measured.answered(), used.micros()))
}
