//! `limits`: one limit, whose requests come in through all nodes, most of them through one. The worst
//! minute is counted at the upstream, which every request that was let through has reached.

mod minute;
mod trouble;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use dunlin_cluster::{Launcher, UPSTREAMS, alone, wait_until};
use dunlin_mock_upstream::{Account, MockUpstream, Settings};
use serde_json::json;

use crate::load::{self, Load, Loop, Plan};
use crate::report::{self, line};
use crate::target::{self, Gateway, Measured, READY_WITHIN};
use crate::{clock, say, spend};

use minute::Minute;
use trouble::Mode;

const MODEL: &str = "chat";
/// Of so many requests, one comes in through each node, and the rest through the one that most use.
const OF: u32 = 20;
const CONNECTIONS: usize = 16;

#[derive(Args)]
pub(crate) struct LimitsArgs {
    /// What happens at half-time.
    #[arg(long, value_enum, default_value = "calm")]
    mode: Mode,
    /// The limit of requests a minute.
    #[arg(long, default_value_t = 600)]
    rpm: u32,
    /// Nodes of dunlin. With five, 80 % of the requests come in through one, 5 % through each other.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=9))]
    nodes: u8,
    /// Requests a second, a multiple of 20.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(20..))]
    rate: u32,
    /// How long the load lasts.
    #[arg(long, default_value_t = 150)]
    seconds: u64,
    /// How long a node stands still, or is cut off from the others.
    #[arg(long, default_value_t = 20)]
    away: u64,
    /// Set by this program when it starts itself in a network of its own.
    #[arg(long, hide = true)]
    alone: bool,
    #[command(flatten)]
    measured: Measured,
}

pub(crate) async fn run(args: LimitsArgs) -> anyhow::Result<String> {
    ensure!(args.rate.is_multiple_of(OF), "--rate is a multiple of {OF}");
    if args.mode == Mode::Cut && !args.alone {
        return run_alone().await;
    }
    let binary = args.measured.binary().await?;
    let dir = tempfile::Builder::new().prefix("dunlin-bench-").tempdir()?;
    let began = clock::now();
    let (mock, mut gateway) = start(&args, &binary, dir.path()).await?;
    let fields = json!({"rpm_limit": args.rpm});
    let key = gateway.known_key(&fields).await?;
    let owner = owner(&gateway, &key).await?;
    let nodes = usize::from(args.nodes);
    let most_used = (owner + 1) % nodes;

    say(&format!("{} s of load\n", args.seconds));
    let lasts = Duration::from_secs(args.seconds);
    let loads = (0..nodes).map(|node| {
        let through = if node == most_used { OF + 1 - u32::from(args.nodes) } else { 1 };
        plan(&gateway, node, &key, (args.rate / OF * through, lasts)).map(load::run)
    });
    let loads = together(loads.collect::<anyhow::Result<_>>()?);
    let before = began.elapsed();
    let victim = args.mode.victim(owner, most_used);
    let trouble = args.mode.happen(&mut gateway.cluster, victim, lasts / 2, args.away);
    let (loads, happened) = tokio::join!(loads, trouble);
    let (loads, happened) = (loads?, happened?);

    let mut accounts = mock.accounts();
    accounts.iter_mut().for_each(|account| account.at = account.at.saturating_sub(before));
    let mut text = report::heading() + "\n";
    text += &line("limit", &terms(&args, most_used));
    text += &line("owner", &name(owner));
    text += &line("happened", &happened);
    text += &answers(&loads);
    text += &worst(&accounts, &args);
    if args.mode != Mode::Calm {
        text += &own(&accounts, victim, lasts / 2);
    }
    text += &line("by shares", &format!("{} decisions", by_shares(&mut gateway).await?));
    gateway.stop().await?;
    Ok(text)
}

fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

/// The same command in a network of its own, which writes the report.
async fn run_alone() -> anyhow::Result<String> {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    arguments.push("--alone".into());
    let ended = alone(&std::env::current_exe()?, &arguments).status().await;
    let ended = ended.context("no `unshare`: nodes are cut off in networks of their own")?;
    ensure!(ended.success(), "the run in a network of its own ended with {ended}");
    Ok(String::new())
}

async fn start(
    args: &LimitsArgs,
    binary: &Path,
    dir: &Path,
) -> anyhow::Result<(MockUpstream, Gateway)> {
    let seconds = usize::try_from(args.seconds)?;
    let host = if args.alone { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let accounts = (args.rate as usize + 1) * (seconds + 1);
    let mock = MockUpstream::start(Settings { host, accounts, ..Settings::default() }).await?;
    let mut address = mock.address();
    if args.alone {
        address.set_ip(UPSTREAMS.into());
    }
    let deployment = target::deployment(MODEL, address);
    let config = format!("model_list:\n{deployment}router_settings:\n  num_retries: 0\n");
    let launcher = Launcher::new(binary.to_owned(), dir.to_owned(), config);
    let launcher = Launcher { nodes: usize::from(args.nodes), apart: args.alone, ..launcher };
    Ok((mock, Gateway::launch(launcher).await?))
}

/// The node that counts for the key: beside the one that was asked, the only one that has heard of it.
async fn owner(gateway: &Gateway, key: &str) -> anyhow::Result<usize> {
    let cluster = &gateway.cluster;
    let metric = async |node: usize, name: &str| spend::metric(cluster, node, name).await;
    for node in 0..cluster.nodes().len() {
        wait_until("limits have their owners", READY_WITHIN, async || {
            metric(node, "dunlin_limiter_gathering").await.is_ok_and(|is| is < 1.0)
        })
        .await?;
    }
    let caller = cluster.client().with_key(key);
    let reply = caller.post(&cluster.url(0, "/v1/chat/completions"), &body(0)).await?;
    ensure!(reply.ok(), "the first request: {} {}", reply.status, reply.body);
    for node in 1..cluster.nodes().len() {
        if metric(node, "dunlin_limiter_scopes").await? > 0.0 {
            return Ok(node);
        }
    }
    Ok(0)
}

/// A request that says through which node it went.
fn body(node: usize) -> serde_json::Value {
    let messages = json!([{"role": "user", "content": name(node)}]);
    json!({"model": MODEL, "messages": messages, "max_tokens": 1})
}

fn plan(
    gateway: &Gateway,
    node: usize,
    key: &str,
    (per_second, lasts): (u32, Duration),
) -> anyhow::Result<Plan> {
    Ok(Plan {
        addresses: vec![gateway.address(node)?],
        keys: [key.to_owned()].into(),
        body: Bytes::from(body(node).to_string()),
        stream: false,
        mode: Loop::Open { per_second },
        connections: CONNECTIONS,
        lasts,
    })
}

/// All loads at once, in their order.
async fn together(
    loads: Vec<impl Future<Output = anyhow::Result<Load>> + Send + 'static>,
) -> anyhow::Result<Vec<Load>> {
    let mut running = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for (node, load) in loads.into_iter().enumerate() {
        tasks.spawn(async move { (node, load.await) });
    }
    while let Some(ended) = tasks.join_next().await {
        let (node, load) = ended.context("a load panicked")?;
        running.push((node, load.with_context(|| name(node))?));
    }
    running.sort_by_key(|(node, _)| *node);
    Ok(running.into_iter().map(|(_, load)| load).collect())
}

fn terms(args: &LimitsArgs, most_used: usize) -> String {
    let LimitsArgs { rpm, nodes, rate, seconds, .. } = args;
    let (most, each) = (rate / OF * (OF + 1 - u32::from(*nodes)), rate / OF);
    format!(
        "{rpm} requests a minute; {rate} a second for {seconds} s, {most} of them through {}, {each} \
         through each other of {nodes} nodes",
        name(most_used)
    )
}

fn answers(loads: &[Load]) -> String {
    let one = |(node, load): (usize, &Load)| {
        let why = load.failure.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        let (answered, refused, failed) = (load.answered(), load.refused, load.failed);
        let p99 = load.millis(0.99);
        line(
            if node == 0 { "answers" } else { "" },
            &format!(
                "{} {answered:>5} 200 (p99 {p99:.1} ms), {refused:>5} 429, {failed} failed{why}",
                name(node)
            ),
        )
    };
    loads.iter().enumerate().map(one).collect()
}

fn worst(accounts: &[Account], args: &LimitsArgs) -> String {
    let times: Vec<Duration> = accounts.iter().map(|account| account.at).collect();
    let Minute { from, count } = Minute::worst(&times);
    let limit = u64::from(args.rpm);
    let verdict = match count.checked_sub(limit) {
        Some(0) => "exact".to_owned(),
        Some(over) => format!("{over} more"),
        None => format!("{} less", limit - count),
    };
    let by = |node: usize| {
        let name = name(node);
        let here = accounts.iter().filter(|account| account.said == name);
        format!("{name} {}", here.filter(|account| Minute::holds(from, account.at)).count())
    };
    let by: Vec<String> = (0..usize::from(args.nodes)).map(by).collect();
    let from = from.as_secs_f64();
    line("worst 60 s", &format!("{count} of {limit}: {verdict}; from {from:.1} s of the load on"))
        + &line("", &format!("of them {}", by.join(", ")))
}

/// What the node that dies, stalls or is cut off had let in itself: nobody else may know of it.
fn own(accounts: &[Account], victim: usize, at: Duration) -> String {
    let name = name(victim);
    let from = at.saturating_sub(minute::WINDOW);
    let own = accounts.iter().filter(|one| one.said == name && (from..at).contains(&one.at));
    line("its own", &format!("{} went through {name} in the minute before", own.count()))
}

async fn by_shares(gateway: &mut Gateway) -> anyhow::Result<f64> {
    let mut decisions = 0.0;
    for node in gateway.cluster.running() {
        decisions += spend::metric(&gateway.cluster, node, "dunlin_limiter_shares_total").await?;
    }
    Ok(decisions)
}
