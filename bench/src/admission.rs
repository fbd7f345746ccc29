//! `admission`: what keys with limits and budgets add to a request's time on three nodes, and how
//! many commands the ledger needs while many keys spend.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::load::{self, Load, Loop, Plan};
use crate::report::per;
use crate::target::{Gateway, Measured, Mocks, NEVER, WHOLE_MODEL};
use crate::{clock, report, say};

/// Limits and budgets are decided together by so many nodes.
const NODES: usize = 3;
/// Keys that are each used for the first time.
const FRESH_KEYS: usize = 300;
/// Keys that are made at a time.
const MADE_AT_ONCE: usize = 16;
/// Leases settle to a rate before commands are counted.
const WARM_UP: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct AdmissionArgs {
    /// How long each load lasts.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Requests per second while commands are counted.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Keys that spend at that rate together: one load for each number.
    #[arg(long, value_delimiter = ',', default_value = "10,10000")]
    keys: Vec<usize>,
    #[command(flatten)]
    measured: Measured,
}

pub(crate) async fn run(args: AdmissionArgs) -> anyhow::Result<String> {
    let binary = args.measured.binary().await?;
    let dir = tempfile::Builder::new().prefix("dunlin-bench-").tempdir()?;
    let mocks = Mocks::start().await?;
    let mut gateway = Gateway::start(binary, dir.path().to_owned(), NODES, mocks.config()).await?;
    let mut text = report::heading();
    text += "\none request at a time (milliseconds)\n                                 p50      \
             p99   failed\n";
    for (name, load) in loads(&gateway).await? {
        let measured = load::run(load).await?;
        text += &row(name, &measured);
    }
    text += "\nledger, commands a second while keys with a budget spend\n";
    for keys in &args.keys {
        text += &commands(&args, &mut gateway, *keys).await?;
    }
    gateway.stop().await?;
    Ok(text)
}

/// Each kind of key, and how it is used.
async fn loads(gateway: &Gateway) -> anyhow::Result<Vec<(&'static str, Plan)>> {
    let lasts = Duration::from_secs(3);
    let governed = json!({"rpm_limit": NEVER, "tpm_limit": NEVER, "max_budget": 1_000_000.0});
    let free = make_keys(gateway, 1, &json!({})).await?;
    let leased = make_keys(gateway, 1, &governed).await?;
    let fresh = make_keys(gateway, FRESH_KEYS, &governed).await?;
    let one = |keys: &Arc<[String]>| plan(gateway, keys, Loop::Closed, 1, lasts);
    // Each key once, on the first node, which owns a third of them; then each once more, when its
    // lease on money has come and its limits are still its owner's alone.
    let slowly = Loop::Open { per_second: 100 };
    let each = Duration::from_millis(FRESH_KEYS as u64 * 10);
    let first = plan(gateway, &fresh, slowly, 1, each);
    Ok(vec![
        ("no limits, no budget", one(&free)),
        ("lease at hand", one(&leased)),
        ("first touch", first.clone()),
        ("owner elsewhere for two thirds", first),
    ])
}

fn plan(
    gateway: &Gateway,
    keys: &Arc<[String]>,
    mode: Loop,
    connections: usize,
    lasts: Duration,
) -> Plan {
    let body = json!({
        "model": WHOLE_MODEL,
        "messages": [{"role": "user", "content": "x".repeat(1_000)}],
        "max_tokens": 64,
    });
    let addresses = gateway.target().map(|target| target.whole).unwrap_or_default();
    let addresses = if connections == 1 { addresses[..1].to_vec() } else { addresses };
    let body = Bytes::from(body.to_string());
    Plan { addresses, keys: Arc::clone(keys), body, stream: false, mode, connections, lasts }
}

fn row(name: &str, measured: &Load) -> String {
    let (p50, p99, failed) = (measured.millis(0.5), measured.millis(0.99), measured.failed);
    format!("  {name:<30} {p50:>6.2}   {p99:>6.2}   {failed:>6}\n")
}

/// How far the log grows in a second while so many keys spend together.
async fn commands(
    args: &AdmissionArgs,
    gateway: &mut Gateway,
    keys: usize,
) -> anyhow::Result<String> {
    say(&format!("making {keys} keys\n"));
    let keys = make_keys(gateway, keys, &json!({"max_budget": 1_000_000.0})).await?;
    let mode = Loop::Open { per_second: args.rate };
    let load = plan(gateway, &keys, mode, 48, WARM_UP);
    let warm = load::run(load.clone()).await?;
    let before = gateway.cluster.status(0).await?.applied;
    let began = clock::now();
    let measured = load::run(Plan { lasts: Duration::from_secs(args.seconds), ..load }).await?;
    let took = (clock::now() - began).as_secs_f64();
    let applied = gateway.cluster.status(0).await?.applied - before;
    if measured.answered() == 0 || warm.answered() == 0 {
        bail!("nothing was answered: {}", measured.failure.unwrap_or_default());
    }
    let (keys, answered, failed) = (keys.len(), measured.answered(), measured.failed);
    let rate = per(answered, took);
    let each = per(applied, took);
    let p99 = measured.millis(0.99);
    Ok(format!(
        "  {keys} keys: {each:.0} at {rate:.0} requests/s, p99 {p99:.2} ms, {failed} failed\n"
    ))
}

async fn make_keys(
    gateway: &Gateway,
    count: usize,
    terms: &Value,
) -> anyhow::Result<Arc<[String]>> {
    let (client, url) = (gateway.cluster.client(), gateway.cluster.url(0, "/key/generate"));
    let mut makers = JoinSet::new();
    for maker in 0..MADE_AT_ONCE.min(count) {
        let (client, url, terms) = (client.clone(), url.clone(), terms.clone());
        let share = (count + MADE_AT_ONCE - 1 - maker) / MADE_AT_ONCE;
        makers.spawn(async move {
            let mut made = Vec::with_capacity(share);
            for _ in 0..share {
                let reply: Value = client.post(&url, &terms).await?.json()?;
                let key = reply["key"].as_str().with_context(|| format!("no key: {reply}"))?;
                made.push(key.to_owned());
            }
            anyhow::Ok(made)
        });
    }
    let mut keys = Vec::with_capacity(count);
    while let Some(made) = makers.join_next().await {
        keys.extend(made.context("making keys panicked")??);
    }
    Ok(keys.into())
}
