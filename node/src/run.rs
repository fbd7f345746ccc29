//! A serving node: starts its parts in dependency order, says what it is, and ends when it is
//! told to, or when a part that it cannot do without has failed: each of those cancels a token.
//!
//! Two runtimes: the cluster's own thread carries Raft, gossip and calls between nodes, so that a
//! busy data path cannot starve a heartbeat; the other carries clients and upstreams.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use dunlin_admission::Left;
use dunlin_proxy::server;
use dunlin_types::{Clock, NanoUsd, NodeId};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::args::ServeArgs;
use crate::config::{self, NodeConfig};
use crate::door::Door;
use crate::logs::Log;
use crate::parts::{ClusterPart, DataPart, Outside};
use crate::{Exit, clock, descriptors, exit_of, logs, told};

/// How long open requests may run on after the listener is closed.
const DRAIN: Duration = Duration::from_secs(600);
/// How long the last spend may take to settle, and money of budgets to be given back; what does not
/// is at the next start.
const SETTLE: Duration = Duration::from_secs(2);
/// How long receivers of request records have to take the last ones.
const TELL: Duration = Duration::from_secs(2);
/// How long the rest of the node may take to end.
const LEAVE: Duration = Duration::from_secs(3);

/// Tasks that stop together.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Tasks {
    async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(LEAVE, self.tracker.wait()).await.is_err() {
            warn!(tasks = self.tracker.len(), "some tasks did not finish in time");
        }
    }
}

/// `dunlin serve`.
pub(crate) fn serve(args: &ServeArgs) -> anyhow::Result<Exit> {
    let clock = clock::system();
    let config = config::read(args)?;
    let log = logs::start(logs::Settings::new(&config.log_filter, config.log_json))?;
    let ended = run_on_both(config, clock, &log);
    let exit = ended.unwrap_or_else(|error| {
        log.say(&told(&error), || error!("{error:#}"));
        exit_of(&error)
    });
    log.end();
    Ok(exit)
}

fn run_on_both(config: NodeConfig, clock: Clock, log: &Log) -> anyhow::Result<Exit> {
    let cluster = runtime("dunlin-cluster", Some(1))?;
    let data = runtime("dunlin-data", None)?;
    let ended = data.block_on(run(config, clock, cluster.handle().clone(), log));
    // A task that ignores its stop signal must not keep the process.
    cluster.shutdown_timeout(LEAVE);
    data.shutdown_timeout(LEAVE);
    ended
}

fn runtime(name: &str, workers: Option<usize>) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    builder.thread_name(name).enable_all().build()
}

async fn run(
    config: NodeConfig,
    clock: Clock,
    cluster_runtime: Handle,
    log: &Log,
) -> anyhow::Result<Exit> {
    let identity = dunlin_consensus::Identity::open(&config.data_dir)?;
    let door = Door::take(&config.host, config.port).await?;
    let api = door.address()?;
    let meeting = config.meeting().await?;
    let me = identity.node;
    introduce(&config, me, api, log);

    let (cluster_tasks, data_tasks) = (Tasks::default(), Tasks::default());
    let secrets = meeting.secrets.clone();
    let starting = ClusterPart::start(meeting, identity, clock.clone(), cluster_tasks.clone());
    let cluster = cluster_runtime.spawn(starting).await.context("starting the node panicked")??;
    let consensus = cluster.consensus.clone();
    let open = server::Open::default();
    let outside = Outside { api, open: open.clone(), log: log.clone() };
    let data = DataPart::start(&config, &secrets, cluster, outside, &data_tasks)?;
    data_tasks.tracker.spawn(say_ready(data.able.clone(), clock.clone(), api, log.clone()));

    let (app, front) = (data.app.clone(), data.front.clone());
    let passed_on = server::serve_passed_on(data.clients, app, front, open.clone());
    data_tasks.tracker.spawn(passed_on);

    let leaving = open.leaving.clone();
    let bounds = server::Bounds {
        connections: descriptors::room_for_clients(),
        keep_alive: config.keep_alive,
        drain: DRAIN,
    };
    let serving = async {
        match leaving.run_until_cancelled(door.open(data.able)).await {
            Some(Ok(listener)) => {
                server::serve(listener, data.app, data.front, open, bounds, clock).await;
            }
            Some(Err(cause)) => error!("{cause:#}"),
            None => {}
        }
    };
    let mut serving = Box::pin(serving);
    let failed = tokio::select! {
        () = &mut serving => true,
        () = cluster_tasks.stop.cancelled() => true,
        () = data_tasks.stop.cancelled() => true,
        why = consensus.removed() => {
            error!(node.id = %me, "this node leaves the cluster: {why}");
            false
        }
        asked = asked_to_stop() => asked.is_err(),
    };
    leaving.cancel();
    if failed {
        // What keeps this node right is gone: its clients are better off elsewhere, at once.
        drop(serving);
        error!("this node cannot continue and exits: open requests are cut");
    } else {
        info!("stopping: no new connections, open requests continue; a second signal cuts them");
        tokio::select! {
            () = &mut serving => {}
            _ = asked_to_stop() => warn!("open requests were cut"),
        }
    }
    data.admission.drain();
    let telling = data.callbacks.flush(TELL);
    let (Left { granted, .. }, ()) = tokio::join!(data.admission.hand_over(SETTLE), telling);
    if granted > NanoUsd::ZERO {
        let usd = granted.as_usd();
        info!(usd, "leased budget money could not be returned; the next start settles it");
    }
    if tokio::time::timeout(LEAVE, consensus.leave()).await.is_err() {
        warn!("leadership was not handed over in time");
    }
    data_tasks.end().await;
    cluster_tasks.end().await;
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// The facts of this node, before the first log line.
fn introduce(config: &NodeConfig, me: NodeId, api: SocketAddr, log: &Log) {
    let cluster = match &config.cluster {
        None => "single node, with an embedded store and no other service".to_owned(),
        Some(cluster) => format!(
            "listens on {}, advertises {}, joins {}, forms with {}",
            cluster.listen,
            cluster.advertise,
            if cluster.seeds.is_empty() { "nobody".to_owned() } else { cluster.seeds.join(", ") },
            cluster.bootstrap_expect,
        ),
    };
    let (version, data_dir) = (env!("CARGO_PKG_VERSION"), config.data_dir.display());
    let text = format!(
        "dunlin {version}\n  node     {me} in {data_dir}\n  api      http://{api}\n  cluster  \
         {cluster}\n",
    );
    log.say(&text, || info!(version, node.id = %me, %data_dir, %api, cluster, "dunlin starts"));
    for warning in &config.remarks.warnings {
        warn!("{warning}");
    }
    for note in &config.remarks.notes {
        info!("{note}");
    }
}

/// Says once that clients can come, and how long that took.
async fn say_ready(mut able: watch::Receiver<bool>, clock: Clock, api: SocketAddr, log: Log) {
    if able.wait_for(|able| *able).await.is_ok() {
        let duration_ms = clock.mono().0;
        let since_start = Duration::from_millis(duration_ms);
        // Every address of this machine: one that can be opened here stands for all.
        let shown = if api.ip().is_unspecified() {
            format!("localhost:{}", api.port())
        } else {
            api.to_string()
        };
        let text = format!("Ready in {:.1} s: http://{shown}/v1\n", since_start.as_secs_f64());
        log.say(&text, || info!(duration_ms, %api, "ready"));
    }
}

/// Waits for Ctrl-C or SIGTERM. A SIGHUP, which a closed terminal sends, and whoever means that files
/// are to be read again, stops nobody's requests.
async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return interrupted,
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => info!(
                "SIGHUP changes nothing: settings are changed over the API, a file is read at start, \
                 and SIGTERM stops this node"
            ),
        }
    }
}
