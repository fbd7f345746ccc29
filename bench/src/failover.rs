//! `failover`: a small cluster from its start, over the death of its leader under load, to the dead
//! node's return.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use clap::Args;
use dunlin_cluster::{Client, Cluster, wait_until};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::load::{self, Load, Loop, Plan};
use crate::report::{self, line, megabytes};
use crate::target::{Gateway, Measured, Mocks, READY_WITHIN, WHOLE_MODEL};
use crate::{clock, process, say};

/// A refused write is tried again after so long.
const AGAIN: Duration = Duration::from_millis(10);
/// Memory is looked at when the start is over and nothing happens.
const IDLE: Duration = Duration::from_secs(2);
/// Nodes have all writes that were acknowledged by then.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 16;

#[derive(Args)]
pub(crate) struct FailoverArgs {
    /// Nodes of dunlin.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=9))]
    nodes: u8,
    /// Requests per second, spread over the nodes.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(9..))]
    rate: u32,
    /// How long the load lasts; the leader is killed at a third of it.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    #[command(flatten)]
    measured: Measured,
}

pub(crate) async fn run(args: FailoverArgs) -> anyhow::Result<String> {
    let binary = args.measured.binary().await?;
    let dir = tempfile::Builder::new().prefix("dunlin-bench-").tempdir()?;
    let mocks = Mocks::start().await?;
    let began = clock::now();
    let nodes = usize::from(args.nodes);
    let mut gateway =
        Gateway::start(binary.clone(), dir.path().to_owned(), nodes, mocks.config()).await?;
    let ready = began.elapsed();
    sleep(IDLE).await;
    let mut text = report::heading() + "\n";
    text += &line("binary", &format!("{:.1} MB", megabytes(size(&binary)?)));
    text += &line("ready", &format!("{:.2} s from nothing, {nodes} nodes", ready.as_secs_f64()));
    text += &line("idle", &format!("{} MB of resident memory", resident(&gateway)?));

    let leader = gateway.cluster.wait_leader(READY_WITHIN).await?;
    let survivors: Vec<usize> = (0..nodes).filter(|node| *node != leader).collect();
    let key = gateway.known_key(&json!({})).await?;
    say("a load, and the leader dies\n");
    let lasts = Duration::from_secs(args.seconds);
    let each = args.rate / u32::from(args.nodes);
    let of_survivors = each * (u32::from(args.nodes) - 1);
    let at_survivors = load::run(plan(&gateway, &survivors, &key, (of_survivors, lasts))?);
    let at_leader = load::run(plan(&gateway, &[leader], &key, (each, lasts))?);
    let (done, stop) = watch::channel(false);
    let writer = Writer::to(&gateway.cluster, &survivors);
    let writing = writer.write(stop);
    let dying = async {
        sleep(lasts / 3).await;
        let at = clock::now();
        gateway.cluster.kill(leader).await?;
        anyhow::Ok(at)
    };
    let loads = async {
        let loads = tokio::join!(at_survivors, at_leader);
        done.send_replace(true);
        loads
    };
    let ((alive, dead), writes, killed) = tokio::join!(loads, writing, dying);
    let (killed, writes) = (killed?, writes?);
    text += &line("killed", &format!("n{} (-9), which led, under load", leader + 1));
    text += &of_load("survivors", &alive?);
    text += &of_load("the dead", &dead?);
    text += &line("writes", &next_write(&writes, killed)?);

    let began = clock::now();
    gateway.cluster.restart(leader)?;
    ready_again(&gateway.cluster, leader).await?;
    let back = began.elapsed().as_secs_f64();
    text += &line("restart", &format!("{back:.2} s until the dead node was ready"));
    let lost = lost(&gateway.cluster, &writes).await?;
    text += &line("lost", &format!("{lost} of {} keys that were acknowledged", writes.len()));
    gateway.stop().await?;
    Ok(text)
}

fn size(binary: &PathBuf) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(binary)?.len())
}

/// Of each node.
fn resident(gateway: &Gateway) -> anyhow::Result<String> {
    let of_one = |pid: u32| anyhow::Ok(megabytes(process::resident_bytes(&[pid])?));
    let all: anyhow::Result<Vec<f64>> = gateway.target()?.pids.into_iter().map(of_one).collect();
    Ok(all?.iter().map(|one| format!("{one:.1}")).collect::<Vec<_>>().join(", "))
}

fn plan(
    gateway: &Gateway,
    nodes: &[usize],
    key: &str,
    (per_second, lasts): (u32, Duration),
) -> anyhow::Result<Plan> {
    let addresses: anyhow::Result<_> = nodes.iter().map(|node| gateway.address(*node)).collect();
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body = json!({"model": WHOLE_MODEL, "messages": messages, "max_tokens": 64});
    Ok(Plan {
        addresses: addresses?,
        keys: [key.to_owned()].into(),
        body: Bytes::from(body.to_string()),
        stream: false,
        mode: Loop::Open { per_second },
        connections: CONNECTIONS * nodes.len(),
        lasts,
    })
}

fn of_load(name: &str, load: &Load) -> String {
    let (answered, failed, p99) = (load.answered(), load.failed, load.millis(0.99));
    let why = load.failure.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    line(name, &format!("{failed} failed of {}, p99 {p99:.1} ms{why}", answered + failed))
}

/// A write that was acknowledged.
struct Write {
    key: String,
    sent: Instant,
    acknowledged: Instant,
}

/// Makes one key after the other.
struct Writer {
    client: Client,
    urls: Vec<String>,
}

impl Writer {
    fn to(cluster: &Cluster, nodes: &[usize]) -> Self {
        let urls = nodes.iter().map(|node| cluster.url(*node, "/key/generate")).collect();
        Self { client: cluster.client().clone(), urls }
    }

    async fn write(self, stop: watch::Receiver<bool>) -> anyhow::Result<Vec<Write>> {
        let mut writes = Vec::new();
        for url in self.urls.iter().cycle() {
            if *stop.borrow() {
                break;
            }
            let sent = clock::now();
            match self.client.post(url, &json!({})).await {
                Ok(reply) if reply.ok() => {
                    let made: Value = reply.json()?;
                    let key = made["key"].as_str().unwrap_or_default().to_owned();
                    writes.push(Write { key, sent, acknowledged: clock::now() });
                }
                Ok(_) | Err(_) => sleep(AGAIN).await,
            }
        }
        Ok(writes)
    }
}

/// How long after the kill the first write was accepted that was sent after it.
fn next_write(writes: &[Write], killed: Instant) -> anyhow::Result<String> {
    let next = writes.iter().find(|write| write.sent >= killed);
    ensure!(next.is_some(), "no write was accepted after the leader's death");
    let after = next.map(|write| write.acknowledged - killed).unwrap_or_default();
    Ok(format!("accepted again after {:.2} s", after.as_secs_f64()))
}

async fn ready_again(cluster: &Cluster, node: usize) -> anyhow::Result<()> {
    let url = cluster.url(node, "/health/readiness");
    wait_until("a node is ready", READY_WITHIN, async || {
        cluster.client().get(&url).await.is_ok_and(|reply| reply.ok())
    })
    .await
}

/// Keys that any node does not know.
async fn lost(cluster: &Cluster, writes: &[Write]) -> anyhow::Result<usize> {
    let known = async |node: usize, write: &Write| {
        let url = cluster.url(node, &format!("/key/info?key={}", write.key));
        cluster.client().get(&url).await.is_ok_and(|reply| reply.ok())
    };
    // Who has the last one has them all: writes come in their order.
    if let Some(last) = writes.last() {
        let all = wait_until("all nodes have the last write", KNOWN_WITHIN, async || {
            for node in 0..cluster.nodes().len() {
                if !known(node, last).await {
                    return false;
                }
            }
            true
        });
        drop(all.await);
    }
    let mut lost = 0;
    for write in writes {
        for node in 0..cluster.nodes().len() {
            if !known(node, write).await {
                lost += 1;
                break;
            }
        }
    }
    Ok(lost)
}
