//! `keys`: a cluster that takes over many keys from LiteLLM while it serves: what that costs its
//! clients, its memory and its disk, and how long a node with so many takes to start.

mod dump;
mod snapshots;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use clap::Args;
use dunlin_cluster::wait_until;
use serde_json::json;
use tokio::process::Command;

use crate::load::{self, Load, Loop, Plan};
use crate::report::{self, line, per};
use crate::target::{Gateway, Measured, Mocks, WHOLE_MODEL};
use crate::{clock, process, say};

use snapshots::Snapshots;

/// Before and after memory is looked at.
const QUIET: Duration = Duration::from_secs(3);
/// One round of the load beside the import.
const ROUND: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 16;
/// Imported keys that are used afterwards, each of them in its turn.
const MOST_USED: u64 = 10_000;
/// A node reads its snapshot and its log.
const RESTARTED_WITHIN: Duration = Duration::from_secs(600);

#[derive(Args)]
pub(crate) struct KeysArgs {
    /// Keys in the dump.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Nodes of dunlin.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Requests per second of the light load.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// How long that load lasts before and after.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[command(flatten)]
    measured: Measured,
}

pub(crate) async fn run(args: KeysArgs) -> anyhow::Result<String> {
    let binary = args.measured.binary().await?;
    let dir = tempfile::Builder::new().prefix("dunlin-bench-").tempdir()?;
    let mocks = Mocks::start().await?;
    let nodes = usize::from(args.nodes);
    let home = dir.path().join("cluster");
    let mut gateway = Gateway::start(binary.clone(), home, nodes, mocks.config()).await?;
    let dump = dump::write(dir.path(), args.keys)?;
    let key = gateway.limited_key().await?;
    let lasts = Duration::from_secs(args.seconds);

    say("a quiet load\n");
    let light = plan(&gateway, vec![key], args.rate, lasts)?;
    let quiet = load::run(light.clone()).await?;
    tokio::time::sleep(QUIET).await;
    let pids = gateway.target()?.pids;
    let before = process::resident_bytes(&pids)?;

    say("the same load and the import\n");
    let mut beside = Beside::new(&gateway);
    let import = import(&gateway, &binary, &dump, dir.path());
    let round = Plan { lasts: ROUND, ..light };
    let imported = load::beside(&round, import, |load| beside.round(load)).await?;
    tokio::time::sleep(QUIET).await;
    let after = process::resident_bytes(&pids)?;

    say("a load of imported keys\n");
    let used: Vec<String> = (0..args.keys.min(MOST_USED)).map(dump::key).collect();
    let imported_keys = load::run(plan(&gateway, used, args.rate, lasts)?).await?;
    let restarted = restart(&mut gateway, nodes - 1).await?;

    let mut text = report::heading() + "\n";
    let took = imported.as_secs_f64();
    let each = after.saturating_sub(before) / (args.keys * u64::from(args.nodes));
    let rate = per(args.keys, took);
    text += &line("import", &format!("{} keys in {took:.1} s, {rate:.0} a second", args.keys));
    text += &line("memory", &format!("{each} bytes for a key on each of {nodes} nodes"));
    text += &line("restart", &format!("{restarted:.2} s from a kill -9 to ready"));
    text += &line("snapshots", &beside.snapshots.told());
    text += &look_up(&args).await?;
    text += "\nload                      answered   p50 ms   p99 ms   failed\n";
    text += &row("quiet", &quiet);
    text += &row("beside the import", &beside.sum(false)?);
    text += &row("and beside a snapshot", &beside.sum(true)?);
    text += &row("with imported keys", &imported_keys);
    gateway.stop().await?;
    Ok(text)
}

fn plan(
    gateway: &Gateway,
    keys: Vec<String>,
    per_second: u32,
    lasts: Duration,
) -> anyhow::Result<Plan> {
    let messages = json!([{"role": "user", "content": "x".repeat(1_000)}]);
    let body = json!({"model": WHOLE_MODEL, "messages": messages, "max_tokens": 64});
    Ok(Plan {
        addresses: gateway.target()?.whole,
        keys: keys.into(),
        body: Bytes::from(body.to_string()),
        stream: false,
        mode: Loop::Open { per_second },
        connections: CONNECTIONS,
        lasts,
    })
}

fn row(name: &str, load: &Load) -> String {
    let why = load.failure.as_deref().map(|why| format!("  {why}")).unwrap_or_default();
    let (answered, failed) = (load.answered(), load.failed + load.refused);
    let (p50, p99) = (load.millis(0.5), load.millis(0.99));
    format!("  {name:<22}{answered:>10}{p50:>9.2}{p99:>9.2}{failed:>9}{why}\n")
}

/// The rounds of the load beside the import, and whether a node wrote a snapshot meanwhile.
struct Beside {
    rounds: Vec<(Load, bool)>,
    snapshots: Snapshots,
}

impl Beside {
    fn new(gateway: &Gateway) -> Self {
        let logs = gateway.cluster.nodes().iter().map(|node| node.log().to_owned());
        Self { rounds: Vec::new(), snapshots: Snapshots::told_in(logs) }
    }

    /// A snapshot is told of when it is written: the rounds before were beside it too.
    fn round(&mut self, load: Load) -> anyhow::Result<()> {
        self.rounds.push((load, false));
        let Some(longest) = self.snapshots.look()? else { return Ok(()) };
        let rounds = usize::try_from(longest.as_secs() / ROUND.as_secs())? + 2;
        self.rounds.iter_mut().rev().take(rounds).for_each(|(_, beside)| *beside = true);
        Ok(())
    }

    fn sum(&mut self, beside_snapshot: bool) -> anyhow::Result<Load> {
        let mut sum = Load::none()?;
        for (load, _) in self.rounds.extract_if(.., |(_, beside)| *beside == beside_snapshot) {
            sum.add(load)?;
        }
        Ok(sum)
    }
}

/// What an operator does, and how long it takes: `dunlin migrate litellm --apply`.
async fn import(
    gateway: &Gateway,
    binary: &Path,
    dump: &Path,
    dir: &Path,
) -> anyhow::Result<Duration> {
    let config = dir.join("litellm.yaml");
    let model =
        "model_list:\n  - model_name: chat\n    litellm_params: {model: openai/x, api_key: k}\n";
    std::fs::write(&config, model)?;
    let urls: Vec<_> = gateway.cluster.nodes().iter().map(|node| node.url("")).collect();
    let mut command = Command::new(binary);
    command.args(["migrate", "litellm", "--config"]).arg(&config).arg("--dump").arg(dump);
    command.arg("--apply").env_clear().env("DUNLIN_URL", urls.join(","));
    command.env("LITELLM_MASTER_KEY", gateway.cluster.master_key());
    let began = clock::now();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let took = began.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the import ended with {}: {told}{said}", output.status);
    Ok(took)
}

/// From the start of a killed node's process until it serves.
async fn restart(gateway: &mut Gateway, node: usize) -> anyhow::Result<f64> {
    gateway.cluster.kill(node).await?;
    let began = clock::now();
    gateway.cluster.restart(node)?;
    let url = gateway.cluster.url(node, "/health/readiness");
    let client = gateway.cluster.client();
    wait_until("a node has started again", RESTARTED_WITHIN, async || {
        client.get(&url).await.is_ok_and(|reply| reply.ok())
    })
    .await?;
    Ok(began.elapsed().as_secs_f64())
}

/// What to find a key takes, without a request around it.
async fn look_up(args: &KeysArgs) -> anyhow::Result<String> {
    let keys = args.keys.to_string();
    let Some(told) = args.measured.example("dunlin-state", "many_keys", &keys).await? else {
        return Ok(line(
            "look-up",
            &format!("cargo run --release -p dunlin-state --example many_keys -- {keys}"),
        ));
    };
    Ok(told.lines().map(|told| line("in memory", told)).collect())
}
