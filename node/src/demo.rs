//! `dunlin demo`: a whole cluster on this machine with nothing to configure. Mock backends run in
//! this process; the nodes are real processes of the same binary. Everything is removed at the end.

mod backends;
mod chaos;
mod directory;
mod load;
mod screen;
mod stops;

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use dunlin_cluster::{Client, Cluster, ClusterStatus, Launcher};
use dunlin_types::Clock;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use backends::Backends;
use chaos::{Act, Chaos};
use directory::Directory;
use load::Load;
use screen::{BackendRow, NodeRow, Picture, Screen};
use stops::Stops;

const READY_WITHIN: Duration = Duration::from_secs(30);
const USUAL_PORT: u16 = 4000;
/// How often the table is drawn, chaos is asked, and a line is printed without a terminal.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LINE_EVERY: u32 = 10;

/// What a demo can be.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// The number of nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Requests per second, spread over the nodes; 0 for none.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000))]
    load: u32,
    /// Kill a node every 20 seconds and restart it 6 seconds later.
    #[arg(long)]
    chaos: bool,
    /// Keep data and logs in this directory; it must be new or empty.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The first node's API port; the others follow [default: 4000, or any free ones].
    #[arg(long)]
    port: Option<u16>,
}

/// Runs the demo until Ctrl-C or SIGTERM; a second one forces the end.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let keeps = args.keep.is_some();
    if args.chaos && args.nodes < 3 {
        bail!("--chaos needs 3 nodes or more: a majority must be left with one node down");
    }
    let mut stops = Stops::new()?;
    let mut screen = Screen::new();
    let dir = Directory::new(args.keep.as_deref())?;
    let nodes = args.nodes;
    screen.say(&format!(
        "dunlin {} demo: a cluster of {nodes} on this machine, data and logs in {} ({})\n",
        env!("CARGO_PKG_VERSION"),
        dir.path().display(),
        if args.keep.is_some() { "kept" } else { "removed at the end" },
    ))?;
    let started = tokio::select! {
        started = Demo::start(&args, dir.path()) => started,
        () = stops.next() => return Ok(()),
    };
    let mut demo = started?;
    screen.say(&demo.facts())?;
    let watched = tokio::select! {
        watched = demo.watch(&mut screen) => watched,
        () = stops.next() => Ok(()),
    };
    screen.say("\nStopping.\n")?;
    tokio::select! {
        stopped = demo.stop(keeps) => watched.and(stopped),
        // Dropping the cluster kills its nodes.
        () = stops.next() => watched,
    }
}

/// What runs. Fields are dropped in order: the nodes go before their backends.
struct Demo {
    cluster: Cluster,
    backends: Backends,
    key: Client,
    load: Load,
    chaos: Option<Chaos>,
    event: Option<String>,
    clock: Clock,
    took: Duration,
    per_second: u32,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Demo {
    async fn start(args: &DemoArgs, dir: &Path) -> anyhow::Result<Self> {
        let clock = clock::system();
        let started = clock.mono();
        let nodes = usize::from(args.nodes);
        let backends = Backends::start().await?;
        let binary = std::env::current_exe().context("cannot find the dunlin binary")?;
        let launcher = Launcher {
            nodes,
            first_port: args.port.or_else(|| usual_ports_are_free(nodes).then_some(USUAL_PORT)),
            ..Launcher::new(binary, dir.to_owned(), backends.config())
        };
        let mut cluster = launcher.start().await?;
        cluster.wait_ready(READY_WITHIN).await?;
        let key = generate_key(&cluster, args.load).await?;

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(Backends::misbehave(backends.flaky(), stop.clone()));
        let urls = (0..nodes).map(|node| cluster.url(node, "/v1/chat/completions")).collect();
        let load = Load::start(key.clone(), urls, args.load, clock.clone(), &tasks, stop.clone());
        let now = clock.mono();
        Ok(Self {
            chaos: args.chaos.then(|| Chaos::new(nodes, now)),
            took: now.since(started),
            per_second: args.load,
            event: None,
            cluster,
            backends,
            key,
            load,
            clock,
            tasks,
            stop,
        })
    }

    /// What a newcomer needs, once: addresses, keys, lines to paste.
    fn facts(&self) -> String {
        let api = self.cluster.url(0, "");
        let nodes = self.cluster.nodes().iter().map(|node| node.url(""));
        let nodes = nodes.collect::<Vec<_>>().join("  ");
        let models: Vec<&str> = Backends::names().collect();
        format!(
            "\n  nodes   {nodes}\n  key     {key}   (for apps; rate-limited)\n  master  {master}   (for admins)\n  \
             models  chat (all backends, least-busy), {models}\n\nTry it:\n\
             \x20 curl {api}/v1/chat/completions -H \"Authorization: Bearer {key}\" \\\n    \
             -H \"Content-Type: application/json\" \\\n    \
             -d '{{\"model\": \"chat\", \"messages\": [{{\"role\": \"user\", \"content\": \"hi\"}}]}}'\n\
             \x20 export DUNLIN_URL={api} DUNLIN_API_KEY={master}   (then: dunlin status, dunlin key list)\n\
             \x20 export OPENAI_BASE_URL={api}/v1 OPENAI_API_KEY={key}\n\n\
             Ready in {took:.1} s. Ctrl-C ends it all.\n",
            key = self.key.key(),
            master = self.cluster.master_key(),
            models = models.join(", "),
            took = self.took.as_secs_f64(),
        )
    }

    /// Draws, and does what chaos decides, until a node exits unexpectedly.
    async fn watch(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let every = if screen.is_live() { 1 } else { LINE_EVERY };
        for number in 1_u32.. {
            ticks.tick().await;
            let now = self.clock.mono();
            if let Some(act) = self.chaos.as_mut().and_then(|chaos| chaos.due(now)) {
                self.act(act, screen).await?;
            }
            if number % every == 0 {
                let picture = self.picture().await;
                screen.show(&picture)?;
            }
        }
        Ok(())
    }

    async fn act(&mut self, act: Act, screen: &mut Screen) -> anyhow::Result<()> {
        let event = match act {
            Act::Kill(node) => {
                let led = self.cluster.leader().await == Some(node);
                self.cluster.kill(node).await?;
                let role = if led { ", the leader," } else { "" };
                format!("killed {}{role} with SIGKILL", self.cluster.nodes()[node].name())
            }
            Act::Restart(node) => {
                self.cluster.restart(node)?;
                format!("restarted {}", self.cluster.nodes()[node].name())
            }
        };
        if !screen.is_live() {
            screen.say(&format!("chaos: {event}\n"))?;
        }
        self.event = Some(event);
        Ok(())
    }

    async fn picture(&mut self) -> Picture {
        let running = self.cluster.running();
        let mut statuses = Vec::new();
        for node in 0..self.cluster.nodes().len() {
            let asked = running.contains(&node);
            statuses.push(if asked { self.cluster.status(node).await.ok() } else { None });
        }
        let counts = self.load.counts();
        let rows = self.cluster.nodes().iter().zip(&statuses).enumerate();
        let nodes = rows
            .map(|(index, (node, status))| NodeRow {
                name: node.name().to_owned(),
                api: node.url(""),
                state: state_of(running.contains(&index), status.as_ref()).to_owned(),
                answered: counts.by_node[index],
            })
            .collect();
        let seen: Vec<&ClusterStatus> = statuses.iter().flatten().collect();
        Picture {
            backends: self.backend_rows(&seen),
            spend: self.spend(&running).await,
            per_second: self.per_second,
            event: self.event.clone(),
            nodes,
            counts,
        }
    }

    /// Each node's own in-flight counts, added up: every request is counted where it was sent.
    fn backend_rows(&self, seen: &[&ClusterStatus]) -> Vec<BackendRow> {
        let row = |name| {
            let all = seen.iter().flat_map(|status| &status.backends);
            let mine = all.filter(|backend| self.backends.name_of(&backend.backend) == Some(name));
            let mut row = BackendRow { name, in_flight: 0, state: "ready".to_owned() };
            for backend in mine {
                row.in_flight += u64::from(backend.in_flight);
                if backend.state != "ready" {
                    row.state = backend.state.clone();
                }
            }
            row
        };
        Backends::names().map(row).collect()
    }

    async fn spend(&self, running: &[usize]) -> Option<f64> {
        #[derive(Deserialize)]
        struct Answer {
            info: Info,
        }
        #[derive(Deserialize)]
        struct Info {
            spend: f64,
        }
        let url = self.cluster.url(*running.first()?, "/key/info");
        let answer: Answer = self.key.get(&url).await.ok()?.json().ok()?;
        Some(answer.info.spend)
    }

    /// The data is thrown away, so the nodes need no orderly stop.
    async fn stop(mut self, keeps_data: bool) -> anyhow::Result<()> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if keeps_data { self.cluster.stop_all().await } else { self.cluster.kill_all().await }
    }
}

fn state_of(running: bool, status: Option<&ClusterStatus>) -> &'static str {
    match status {
        None if running => "starting",
        None => "down",
        Some(status) if status.leader == Some(status.node) => "leader",
        Some(status) if status.leader.is_some() => "follower",
        Some(_) => "no leader",
    }
}

fn usual_ports_are_free(nodes: usize) -> bool {
    let mut ports = (USUAL_PORT..).take(nodes);
    ports.all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

/// A key for the load, with limits that it keeps.
async fn generate_key(cluster: &Cluster, per_second: u32) -> anyhow::Result<Client> {
    let asked = json!({
        "key_alias": "demo",
        "rpm_limit": 600 + 90 * u64::from(per_second),
        "max_parallel_requests": 2000,
    });
    let key = cluster.make_key(&asked).await?;
    Ok(cluster.client().with_key(&key))
}
