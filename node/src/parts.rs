//! The two halves of a node, each started in dependency order: the part that other nodes speak to
//! and the part that clients speak to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dunlin_admin::Admin;
use dunlin_admission::Admission;
use dunlin_callbacks::Callbacks;
use dunlin_consensus::{Calls, Consensus, Identity};
use dunlin_egress::Egress;
use dunlin_gossip::Gossip;
use dunlin_journal::{Bounds, Journal, OlderEpoch};
use dunlin_metrics::Metrics;
use dunlin_metrics::vital;
use dunlin_proxy::server::Open;
use dunlin_proxy::{Front, OnStale, Proxy, Published};
use dunlin_records::Records;
use dunlin_rpc::{Inbox, Incoming, PassedOn, Rpc};
use dunlin_seal::Sealer;
use dunlin_state::Format;
use dunlin_store::{Parts, Store};
use dunlin_tokens::Tokenizer;
use dunlin_types::{Clock, Epoch, NodeId, Secrets};
use dunlin_upstream::Upstream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::NodeConfig;
use crate::facts::{Facts, reachable};
use crate::logs::Log;
use crate::reseal::Reseal;
use crate::revision::{InForce, Revisions};
use crate::run::Tasks;
use crate::{leader, metrics, odd_ones, ports};

/// How often it is looked whether the node has become able to serve.
const READY_LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a node meets others: settled before anything is started.
pub(crate) struct Meeting {
    pub(crate) listen: SocketAddr,
    pub(crate) advertise: String,
    pub(crate) seeds: Vec<String>,
    pub(crate) bootstrap_expect: usize,
    pub(crate) secrets: Secrets,
}

/// What speaks to other nodes.
pub(crate) struct ClusterPart {
    pub(crate) me: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) rpc: Rpc,
    pub(crate) gossip: Gossip,
    pub(crate) consensus: Consensus,
    /// What other nodes ask this one about limits.
    limits: mpsc::Receiver<Incoming>,
    /// What other nodes ask this one to give back of budgets.
    money: mpsc::Receiver<Incoming>,
    /// What other nodes ask this one about the request log, until somebody answers.
    records: Option<mpsc::Receiver<Incoming>>,
    /// What other nodes ask this one to store, until somebody answers.
    store: Option<mpsc::Receiver<Incoming>>,
    /// Requests of clients of other nodes, until they are served.
    clients: Option<mpsc::Receiver<PassedOn>>,
    /// Where others reach this node.
    advertise: String,
}

impl ClusterPart {
    /// Starts it on the current runtime.
    pub(crate) async fn start(
        meeting: Meeting,
        identity: Identity,
        clock: Clock,
        tasks: Tasks,
    ) -> anyhow::Result<Self> {
        let (me, epoch) = (identity.node, identity.epoch);
        let Meeting { listen, advertise, seeds, bootstrap_expect, secrets } = meeting;
        let (socket, (rpc, inbox)) = ports::both(listen, |listen| {
            Rpc::start(dunlin_rpc::Config {
                me,
                listen,
                secrets: secrets.clone(),
                tasks: tasks.tracker.clone(),
                stop: tasks.stop.clone(),
            })
        })?;
        let Inbox { raft, propose, limits, money, records, store, join, clients } = inbox;
        let (records, store, clients) = (Some(records), Some(store), Some(clients));
        let bound = rpc.local_addr();
        let advertise = at_port(&advertise, bound.port());
        let gossip = Gossip::start_on(
            socket,
            dunlin_gossip::Config {
                me,
                epoch,
                listen: bound,
                advertise: advertise.clone(),
                seeds: seeds.clone(),
                cluster_name: "dunlin".to_owned(),
                secrets,
                tasks: tasks.tracker.clone(),
                stop: tasks.stop.clone(),
            },
            clock.clone(),
        )?;
        let config = dunlin_consensus::Config {
            advertise: advertise.clone(),
            seeds,
            bootstrap_expect,
            format: Format::NEWEST,
            tasks: tasks.tracker,
            stop: tasks.stop,
        };
        let calls = Calls { raft, propose, join };
        let consensus =
            Consensus::start(config, identity, clock, rpc.clone(), gossip.clone(), calls).await?;
        Ok(Self {
            me,
            epoch,
            rpc,
            gossip,
            consensus,
            limits,
            money,
            records,
            store,
            clients,
            advertise,
        })
    }
}

/// `address` with its port filled in if that was left to the system.
fn at_port(address: &str, port: u16) -> String {
    match address.strip_suffix(":0") {
        Some(host) => format!("{host}:{port}"),
        None => address.to_owned(),
    }
}

/// What a node has open to the outside.
pub(crate) struct Outside {
    pub(crate) api: SocketAddr,
    pub(crate) open: Open,
    pub(crate) log: Log,
}

/// What speaks to clients.
pub(crate) struct DataPart {
    pub(crate) admission: Admission,
    pub(crate) callbacks: Callbacks,
    pub(crate) app: dunlin_proxy::Routes,
    pub(crate) front: Front,
    /// Requests that other nodes pass on to this one.
    pub(crate) clients: mpsc::Receiver<PassedOn>,
    /// Whether this node is ready, as `/health/readiness` says it. Once true it stays so.
    pub(crate) able: watch::Receiver<bool>,
}

impl DataPart {
    /// Starts it on the current runtime.
    pub(crate) fn start(
        config: &NodeConfig,
        secrets: &Secrets,
        mut cluster: ClusterPart,
        Outside { api, open, log }: Outside,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let clock = cluster.consensus.clock();
        let Logs { journal, older, records } = Logs::open(config, &mut cluster, &clock, tasks)?;
        let store = start_store(config, &mut cluster, &clock, tasks)?;
        let clients = cluster.clients.take().expect("they are served once");
        let ClusterPart { me, epoch, rpc, gossip, consensus, limits, money, advertise, .. } =
            cluster;
        let (tracker, stop) = (tasks.tracker.clone(), tasks.stop.clone());
        let egress = Egress::new(config.proxies()?);
        let (identity, upstream) = way_out(config, &egress, &clock, &gossip, tasks);
        let sealer = Arc::new(Sealer::new(secrets));
        let calling = (egress, journal.clone(), Arc::clone(&sealer));
        let callbacks = start_callbacks((config, epoch), &consensus, calling, tasks);
        let (calls, kept) = ((rpc.clone(), limits, money), (journal.clone(), older, &store));
        let admission = start_admission((me, epoch), &consensus, kept, calls, tasks);
        let api_address = reachable(api, &advertise);
        let leaving = (open.leaving.clone(), admission.clone());
        let (publish, in_force) = watch::channel(InForce::default());
        let told = metrics::Parts {
            me: (me, epoch),
            consensus: consensus.clone(),
            gossip: gossip.clone(),
            journal: journal.clone(),
            records: records.clone(),
            store,
            admission: admission.clone(),
            upstream: upstream.clone(),
            callbacks: callbacks.clone(),
            open,
            log,
            in_force: in_force.clone(),
        };
        let (metrics, exporter) = metrics::of(told.clone(), tasks);
        let proxy = start_proxy(config, &told, secrets, tasks);
        let admin = admin_config(config, me, api_address.clone(), Arc::clone(&sealer));
        let admin = start_admin(admin, told, metrics);
        let front = config.front(&proxy, admission.clone(), rpc);
        let app = routes(&proxy, &admin, &front.root_path);
        let able = become_able(admin.clone(), in_force.clone(), tracker.clone(), stop.clone());
        let revisions = Revisions {
            consensus: consensus.clone(),
            upstream,
            identity,
            proxy,
            admin,
            admission: admission.clone(),
            records,
            exporter,
            callbacks: callbacks.clone(),
            log_bytes: config.log_bytes,
            sealer: Arc::clone(&sealer),
            environment: config.environment.clone(),
            options: config.options.clone(),
            master_key: config.master_key.clone(),
            in_force: publish,
            stop: stop.clone(),
        };
        tracker.spawn(vital(revisions.follow(config.document.clone()), end(tasks)));
        let known = sealer.known().collect();
        reseal(secrets, sealer, &consensus, &gossip, tasks);
        let prices = config.options.prices.fingerprint().to_owned();
        let told =
            Facts { cluster_address: advertise, api_address, known, prices, in_force, leaving };
        let telling = told.keep_telling(gossip.clone(), consensus.clone(), stop);
        tracker.spawn(vital(telling, end(tasks)));
        keep_watch(config, gossip, consensus, clock, tasks);
        Ok(Self { admission, callbacks, app, front, clients, able })
    }
}

/// Ends the node.
fn end(tasks: &Tasks) -> impl Fn() + Send + Unpin + 'static {
    let stop = tasks.stop.clone();
    move || stop.cancel()
}

/// Begins to answer clients, once there is a config.
fn start_proxy(
    config: &NodeConfig,
    parts: &metrics::Parts,
    secrets: &Secrets,
    tasks: &Tasks,
) -> Proxy {
    let prices = Arc::clone(&config.options.prices);
    let published = Published::new(move |provider, model| {
        dunlin_config::published_of(&prices, provider, model)
    });
    let tasks = tasks.tracker.clone();
    let (ids, tokenizer) = (dunlin_proxy::Ids::new(secrets), Tokenizer::new(&tasks));
    let metrics::Parts { consensus, store, admission, upstream, callbacks, open, .. } =
        parts.clone();
    let root_path = config.root_path();
    let own = dunlin_proxy::Config {
        ids,
        store,
        tokenizer,
        published,
        callbacks,
        tasks,
        open,
        root_path,
    };
    Proxy::new(consensus.clock(), admission, upstream, own)
}

/// Begins to answer admins, once there is a config.
fn start_admin(config: dunlin_admin::Config, parts: metrics::Parts, metrics: Metrics) -> Admin {
    let metrics::Parts { consensus, gossip, upstream, admission, records, callbacks, .. } = parts;
    let clock = consensus.clock();
    let parts = dunlin_admin::Parts {
        clock,
        consensus,
        gossip,
        upstream,
        admission,
        records,
        callbacks,
        metrics,
    };
    Admin::start(config, parts)
}

/// All that clients are served.
fn routes(proxy: &Proxy, admin: &Admin, root: &str) -> dunlin_proxy::Routes {
    let (admins, paths) = dunlin_admin::router(admin.clone());
    dunlin_proxy::router(proxy.clone(), admins, paths, root)
}

/// Begins to let requests in, and to settle what they cost.
fn start_admission(
    (me, epoch): (NodeId, Epoch),
    consensus: &Consensus,
    (journal, older, store): (Journal, Vec<OlderEpoch>, &Store),
    (rpc, limits, money): (Rpc, mpsc::Receiver<Incoming>, mpsc::Receiver<Incoming>),
    tasks: &Tasks,
) -> Admission {
    let (tasks, stop) = (tasks.tracker.clone(), tasks.stop.clone());
    let (clock, consensus) = (consensus.clock(), consensus.clone());
    let parts = dunlin_admission::Parts { clock, consensus, journal, older, rpc, limits, money };
    let awaited = dunlin_proxy::awaited(store.clone());
    Admission::start(dunlin_admission::Config { me, epoch, tasks, stop }, parts, awaited)
}

/// What this node did, and the request log of the whole cluster.
struct Logs {
    journal: Journal,
    older: Vec<OlderEpoch>,
    records: Records,
}

impl Logs {
    fn open(
        config: &NodeConfig,
        cluster: &mut ClusterPart,
        clock: &Clock,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let (me, tracker, stop) = (cluster.me, tasks.tracker.clone(), tasks.stop.clone());
        let bounds = Bounds { bytes: config.log_bytes, ..Bounds::default() };
        let journal = dunlin_journal::Config {
            dir: config.data_dir.join("journal"),
            bounds,
            clock: clock.clone(),
            tasks: tracker.clone(),
            stop: stop.clone(),
        };
        let (journal, older) = Journal::open(journal, cluster.epoch).context("the journal")?;
        let dir = config.data_dir.join("copies");
        let copies = dunlin_records::Config { me, dir, bounds, tasks: tracker, stop };
        let parts = dunlin_records::Parts {
            clock: clock.clone(),
            journal: journal.clone(),
            consensus: cluster.consensus.clone(),
            gossip: cluster.gossip.clone(),
            rpc: cluster.rpc.clone(),
            inbox: cluster.records.take().expect("the log is opened once"),
        };
        let records = Records::start(copies, parts).context("the copies of other nodes' logs")?;
        Ok(Self { journal, older, records })
    }
}

fn start_store(
    config: &NodeConfig,
    cluster: &mut ClusterPart,
    clock: &Clock,
    tasks: &Tasks,
) -> anyhow::Result<Store> {
    let store = dunlin_store::Config {
        me: cluster.me,
        dir: config.data_dir.join("store"),
        tasks: tasks.tracker.clone(),
        stop: tasks.stop.clone(),
    };
    let parts = Parts {
        clock: clock.clone(),
        gossip: cluster.gossip.clone(),
        rpc: cluster.rpc.clone(),
        inbox: cluster.store.take().expect("the store is started once"),
    };
    Store::start(store, parts).context("the store")
}

/// The way to providers, and the credentials for it.
fn way_out(
    config: &NodeConfig,
    egress: &Egress,
    clock: &Clock,
    gossip: &Gossip,
    tasks: &Tasks,
) -> (dunlin_identity::Identity, Upstream) {
    let identity = identity(config, egress, clock.clone(), tasks);
    let (tasks, stop) = (tasks.tracker.clone(), tasks.stop.clone());
    let egress = egress.clone();
    let calls = dunlin_upstream::Config { egress, identity: identity.clone(), tasks, stop };
    (identity, Upstream::start(&calls, clock.clone(), gossip.clone()))
}

/// Begins to tell others of requests.
fn start_callbacks(
    (config, epoch): (&NodeConfig, Epoch),
    consensus: &Consensus,
    (egress, journal, sealer): (Egress, Journal, Arc<Sealer>),
    tasks: &Tasks,
) -> Callbacks {
    let (tasks, stop) = (tasks.tracker.clone(), tasks.stop.clone());
    let (clock, consensus) = (consensus.clock(), consensus.clone());
    let parts = dunlin_callbacks::Parts { clock, journal, consensus, sealer };
    let path = config.data_dir.join("callbacks.json");
    Callbacks::start(dunlin_callbacks::Config { epoch, path, egress, tasks, stop }, parts)
}

/// Brings a change of the cluster secret to its end, if there is one.
fn reseal(
    secrets: &Secrets,
    sealer: Arc<Sealer>,
    consensus: &Consensus,
    gossip: &Gossip,
    tasks: &Tasks,
) {
    let (consensus, gossip) = (consensus.clone(), gossip.clone());
    let reseal = Reseal { secrets: secrets.clone(), sealer, consensus, gossip };
    tasks.tracker.spawn(reseal.run(tasks.stop.clone()));
}

/// What the admin API tells of this node.
fn admin_config(
    config: &NodeConfig,
    me: NodeId,
    api: String,
    sealer: Arc<Sealer>,
) -> dunlin_admin::Config {
    let refuses = config.on_stale == OnStale::Refuse;
    let max_staleness = refuses.then_some(config.max_staleness);
    let root_path = config.root_path();
    dunlin_admin::Config { me, api, sealer, max_staleness, root_path }
}

/// Has the log say what an operator looks for.
fn keep_watch(
    config: &NodeConfig,
    gossip: Gossip,
    consensus: Consensus,
    clock: Clock,
    tasks: &Tasks,
) {
    let (max_staleness, on_stale) = (config.max_staleness, config.on_stale);
    let stop = || tasks.stop.clone();
    let staleness = leader::watch_staleness(consensus.clone(), max_staleness, on_stale, stop());
    tasks.tracker.spawn(odd_ones::watch(gossip, stop()));
    tasks.tracker.spawn(leader::watch(consensus, clock, stop()));
    tasks.tracker.spawn(staleness);
}

/// Begins to keep the credentials of clouds.
fn identity(
    config: &NodeConfig,
    egress: &Egress,
    clock: Clock,
    tasks: &Tasks,
) -> dunlin_identity::Identity {
    let config = dunlin_identity::Config {
        surroundings: config.surroundings(),
        egress: egress.clone(),
        tasks: tasks.tracker.clone(),
        stop: tasks.stop.clone(),
    };
    dunlin_identity::Identity::start(config, clock)
}

/// Catches up with the cluster, and tells when this node is ready.
fn become_able(
    admin: Admin,
    mut in_force: watch::Receiver<InForce>,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> watch::Receiver<bool> {
    let (tell, able) = watch::channel(false);
    let becoming = async move {
        let telling = async {
            if in_force.wait_for(|in_force| in_force.revision > 0).await.is_ok() {
                while !admin.is_ready().await {
                    tokio::time::sleep(READY_LOOK_EVERY).await;
                }
                tell.send_replace(true);
            }
        };
        tokio::join!(admin.become_ready(), telling);
    };
    tracker.spawn(stop.run_until_cancelled_owned(becoming));
    able
}
