//! `overhead`: the same load direct, through nginx and through dunlin, in one run and by turns, so
//! that what else the machine does falls on all three alike.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::json;

use crate::load::{self, Load, Loop, Plan};
use crate::nginx::Nginx;
use crate::report::{self, Idle, Machine, Report, Row, per};
use crate::target::{Gateway, Measured, Mocks, STREAM_MODEL, Target, WHOLE_MODEL};
use crate::{process, say};

/// Fills pools and caches before each measured load.
const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(crate) struct OverheadArgs {
    /// How long each of the twelve loads lasts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Requests per second of the open loop.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Nodes of dunlin; connections are spread over them.
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// Bytes of the prompt.
    #[arg(long, default_value_t = 1000)]
    prompt: usize,
    /// Writes the figures as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    measured: Measured,
}

pub(crate) async fn run(args: OverheadArgs) -> anyhow::Result<String> {
    if args.connections == 0 || args.nodes == 0 {
        bail!("--connections and --nodes are at least 1");
    }
    let binary = args.measured.binary().await?;
    let dir = tempfile::Builder::new().prefix("dunlin-bench-").tempdir()?;
    let mocks = Mocks::start().await?;
    let nginx = Nginx::start(&dir.path().join("nginx"), &mocks.addresses()).await?;
    let report = through_all(&args, binary, dir.path(), &mocks, nginx.as_ref()).await;
    if let Some(nginx) = nginx {
        nginx.stop().await?;
    }
    let report = report?;
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.table())
}

async fn through_all(
    args: &OverheadArgs,
    binary: PathBuf,
    dir: &Path,
    mocks: &Mocks,
    nginx: Option<&Nginx>,
) -> anyhow::Result<Report> {
    let gateway = Gateway::start(binary, dir.join("dunlin"), args.nodes, mocks.config()).await?;
    let key = gateway.limited_key().await?;
    let mut targets = vec![mocks.target()];
    if let Some(nginx) = nginx {
        let (whole, stream) = (vec![nginx.addresses[0]], vec![nginx.addresses[1]]);
        targets.push(Target { name: "nginx", whole, stream, pids: vec![nginx.pid()?] });
    }
    targets.push(gateway.target()?);

    let mut report = Report {
        machine: Machine::this(),
        commit: report::commit(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        nginx: nginx.map(|nginx| nginx.version.clone()),
        nodes: args.nodes,
        idle: idle(&targets)?,
        results: Vec::new(),
        remarks: remarks(),
    };
    for stream in [false, true] {
        for mode in [Loop::Closed, Loop::Open { per_second: args.rate }] {
            for target in &targets {
                let plan = plan(args, target, &key, stream, mode);
                report.results.push(measure(target, plan).await?);
            }
        }
    }
    report.compare();
    gateway.stop().await?;
    Ok(report)
}

fn plan(args: &OverheadArgs, target: &Target, key: &str, stream: bool, mode: Loop) -> Plan {
    let body = json!({
        "model": if stream { STREAM_MODEL } else { WHOLE_MODEL },
        "messages": [{"role": "user", "content": "x".repeat(args.prompt)}],
        "max_tokens": 64,
        "stream": stream,
    });
    Plan {
        addresses: if stream { target.stream.clone() } else { target.whole.clone() },
        keys: [key.to_owned()].into(),
        body: Bytes::from(body.to_string()),
        stream,
        mode,
        connections: args.connections,
        lasts: Duration::from_secs(args.seconds),
    }
}

async fn measure(target: &Target, plan: Plan) -> anyhow::Result<Row> {
    let mode = if plan.mode == Loop::Closed { "closed" } else { "open" };
    let answer = if plan.stream { "stream" } else { "whole" };
    say(&format!("{mode} loop, {answer}, {}\n", target.name));
    load::run(Plan { lasts: WARM_UP, ..plan.clone() }).await?;
    let before = process::cpu(&target.pids)?;
    let Load { refused, failed, failure, took, latency } = load::run(plan).await?;
    let answered = latency.len();
    let used = process::cpu(&target.pids)? - before;
    if answered == 0 {
        let why = failure.unwrap_or_default();
        bail!("{} answered nothing under the {mode} loop: {why}", target.name);
    }
    let is_gateway = !target.pids.is_empty();
    let resident = is_gateway.then(|| process::resident_bytes(&target.pids)).transpose()?;
    Ok(Row {
        target: target.name,
        mode,
        answer,
        answered,
        failed: failed + refused,
        failure,
        per_second: per(answered, took.as_secs_f64()),
        p50_us: latency.value_at_quantile(0.5),
        p99_us: latency.value_at_quantile(0.99),
        cpu_us_per_request: is_gateway.then(|| 1.0 / per(answered, used.micros())),
        resident_bytes: resident,
        cpu_against_nginx: None,
    })
}

fn idle(targets: &[Target]) -> anyhow::Result<Vec<Idle>> {
    let gateways = targets.iter().filter(|target| !target.pids.is_empty());
    gateways
        .map(|target| {
            let resident_bytes = process::resident_bytes(&target.pids)?;
            Ok(Idle { target: target.name, resident_bytes })
        })
        .collect()
}

fn remarks() -> Vec<String> {
    let mut remarks = vec![
        "the load generator and the mock share the machine with what is measured".to_owned(),
        "dunlin checks a key and its rpm and tpm limits, prices and books each request".to_owned(),
    ];
    if cfg!(debug_assertions) {
        remarks.push("the load generator is a debug build: use cargo run --release".to_owned());
    }
    remarks
}
