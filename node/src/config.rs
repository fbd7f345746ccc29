//! The only reader of files and of the environment: flags, variables and the config file become
//! one [`NodeConfig`]. A flag beats its variable, which beats the file's `cluster:` section.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dunlin_admission::Admission;
use dunlin_config::{ClusterSection, Diagnostic, Document, Environment, Loaded, Options, Outcome};
use dunlin_egress::Proxies;
use dunlin_identity::Surroundings;
use dunlin_prices::Table;
use dunlin_proxy::server::KEEP_ALIVE_TIMEOUT;
use dunlin_proxy::{Detour, Front, OnStale, Proxy};
use dunlin_rpc::Rpc;
use dunlin_types::{Secret, Secrets};

use crate::args::ServeArgs;
use crate::parts::Meeting;
use crate::secrets;
use crate::{log_size, say};

const DEFAULT_PORT: u16 = 4000;
const DEFAULT_CLUSTER_PORT: u16 = 4100;
pub(crate) const DEFAULT_DATA_DIR: &str = "dunlin-data";
/// Beyond, a node that hears no majority does not decide by what it knows.
const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(60);
/// All that one node is told at start.
pub(crate) struct NodeConfig {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) data_dir: PathBuf,
    /// As large as the request log may become, in bytes.
    pub(crate) log_bytes: u64,
    pub(crate) cluster: Option<ClusterConfig>,
    pub(crate) max_staleness: Duration,
    pub(crate) on_stale: OnStale,
    /// How long a client's connection may be idle between two requests.
    pub(crate) keep_alive: Duration,
    /// The file and its includes: a proposal for the cluster's config.
    pub(crate) document: Option<Document>,
    pub(crate) environment: Environment,
    pub(crate) options: Options,
    /// The master key of the file or the environment, for revisions that set none.
    pub(crate) master_key: Option<Secret>,
    pub(crate) log_filter: String,
    pub(crate) log_json: bool,
    pub(crate) remarks: Remarks,
}

/// What to say once at start, a line of the log each.
#[derive(Default)]
pub(crate) struct Remarks {
    pub(crate) warnings: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// How this node meets others. Without it the node is a cluster of one.
pub(crate) struct ClusterConfig {
    pub(crate) secrets: Secrets,
    pub(crate) listen: String,
    pub(crate) advertise: String,
    pub(crate) seeds: Vec<String>,
    pub(crate) bootstrap_expect: usize,
}

/// What was asked or configured cannot be carried out as written; the text is already complete.
#[derive(Debug)]
pub(crate) struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

pub(crate) fn invalid(text: impl Into<String>) -> anyhow::Error {
    Invalid(text.into()).into()
}

/// Reads everything a serving node needs.
///
/// # Errors
/// [`Invalid`] for what the user must change; others for what the machine refused.
pub(crate) fn read(args: &ServeArgs) -> anyhow::Result<NodeConfig> {
    if let Some((flag, way_out)) = args.litellm.refused() {
        return Err(invalid(format!("{flag} is not supported: {way_out}")));
    }
    let environment = environment();
    let document = document(args, &environment)?;
    let mut options = options(args.strict);
    if let Some(document) = &document {
        options = with_own_prices(options, document, &environment)?;
    }
    let data_dir_so_far = args.data_dir.as_deref().unwrap_or(Path::new(DEFAULT_DATA_DIR));
    let joins = args.join.is_some() || args.cluster_listen.is_some();
    if document.is_none() && !joins && !data_dir_so_far.join("raft").exists() {
        return Err(invalid(
            "there is nothing to serve: no config file is given and there is no cluster to \
             join\nhelp: dunlin serve --config FILE, or `dunlin demo` to see it work first",
        ));
    }
    let mut remarks = Remarks::default();
    let loaded = document.as_ref().map(|document| {
        let in_the_log = args.log_json.then_some(&mut remarks);
        load_or_say(document, &environment, &options, in_the_log)
    });
    let loaded = loaded.transpose()?;
    let without_meaning = args.litellm.without_meaning().into_iter();
    let without_meaning =
        without_meaning.map(|(flag, why)| format!("{flag} has no meaning here: {why}"));
    remarks.warnings.extend(without_meaning);
    let section = loaded.as_ref().map(|loaded| &loaded.cluster);
    let master_key = master_key(loaded.as_ref(), &environment)?;
    let host = first([args.host.clone(), environment.get("HOST").map(str::to_owned)])
        .or_else(|| section.and_then(|section| section.host.clone()))
        .unwrap_or_else(|| if master_key.is_some() { "0.0.0.0" } else { "127.0.0.1" }.to_owned());
    let port = match (args.port, environment.get("PORT")) {
        (Some(port), _) => port,
        (None, Some(text)) => {
            text.parse().map_err(|_| invalid(format!("PORT is `{text}`, not a port number")))?
        }
        (None, None) => section.and_then(|section| section.port).unwrap_or(DEFAULT_PORT),
    };
    let data_dir =
        first([args.data_dir.clone(), section.and_then(|s| s.data_dir.clone().map(PathBuf::from))])
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
    remarks.warnings.extend(container_remark(&data_dir, &environment));
    let log_gb = section.and_then(|section| section.request_log_max_gb);
    Ok(NodeConfig {
        log_bytes: log_size::bytes(log_gb, &data_dir),
        cluster: cluster(args, section, &environment)?,
        max_staleness: args
            .max_staleness
            .or_else(|| section.and_then(|section| section.max_staleness))
            .map_or(DEFAULT_MAX_STALENESS, Duration::from_secs),
        on_stale: args.on_stale(section),
        keep_alive: keep_alive(args, section, &environment)?,
        log_filter: log_filter(args, &environment),
        log_json: args.log_json,
        host,
        port,
        data_dir,
        document,
        environment,
        options,
        master_key,
        remarks,
    })
}

fn keep_alive(
    args: &ServeArgs,
    section: Option<&ClusterSection>,
    environment: &Environment,
) -> anyhow::Result<Duration> {
    let seconds = match (args.keepalive_timeout, environment.get("KEEPALIVE_TIMEOUT")) {
        (Some(seconds), _) => Some(seconds),
        (None, Some(text)) => match text.parse() {
            Ok(seconds @ 1..=3600) => Some(seconds),
            _ => Err(invalid(format!("KEEPALIVE_TIMEOUT is `{text}`, not 1 to 3600 seconds")))?,
        },
        (None, None) => section.and_then(|section| section.keepalive_timeout),
    };
    Ok(seconds.map_or(KEEP_ALIVE_TIMEOUT, Duration::from_secs))
}

fn first<T>(choices: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    choices.into_iter().flatten().next()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(crate) fn environment() -> Environment {
    // A name or value that is not Unicode cannot be referred to from a config file.
    let readable = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Environment::new(readable.collect())
}

/// The keys to show to a running cluster. An empty variable is as good as none.
pub(crate) fn keys_from_environment() -> Vec<(&'static str, Secret)> {
    let environment = environment();
    let key = |name| {
        let key = environment.get(name).filter(|key| !key.is_empty())?;
        Some((name, Secret::new(key)))
    };
    ["DUNLIN_API_KEY", "LITELLM_MASTER_KEY"].into_iter().filter_map(key).collect()
}

pub(crate) fn options(strict: bool) -> Options {
    let known = |provider: &&dyn dunlin_providers::Provider| dunlin_config::Provider {
        id: provider.id(),
        default_base: provider.default_base(),
        key_variables: provider.variables().keys,
        base_variables: provider.variables().bases,
        needs_key: provider.needs_key(),
    };
    let providers = dunlin_providers::ALL.iter().map(known).collect();
    let prices = Arc::new(Table::embedded());
    let unserved = dunlin_providers::UNSERVED;
    Options { strict, accepted: false, providers, unserved, prices }
}

/// With the prices of the file that `cluster.prices` names. A config that does not load keeps the
/// prices compiled in: what is wrong with it is said when it is read for good.
pub(crate) fn with_own_prices(
    options: Options,
    document: &Document,
    environment: &Environment,
) -> anyhow::Result<Options> {
    let loaded = dunlin_config::load(document, environment, &options).loaded;
    let Some(path) = loaded.and_then(|loaded| loaded.cluster.prices) else { return Ok(options) };
    let text = fs::read_to_string(&path)
        .map_err(|error| invalid(format!("cluster.prices: cannot read {path}: {error}")))?;
    let table =
        Table::parse(&text).map_err(|error| invalid(format!("cluster.prices: {path}: {error}")))?;
    Ok(Options { prices: Arc::new(table), ..options })
}

/// The file named by flag or variable with its includes, or the one that `--model` stands for.
fn document(args: &ServeArgs, environment: &Environment) -> anyhow::Result<Option<Document>> {
    let path =
        args.config.clone().or_else(|| environment.get("CONFIG_FILE_PATH").map(PathBuf::from));
    if let Some(path) = path {
        return gather(&path).map(Some);
    }
    let Some(model) = &args.litellm.model else { return Ok(None) };
    let name = args.litellm.alias.as_ref().unwrap_or(model);
    let mut text = format!(
        "model_list:\n  - model_name: {}\n    litellm_params:\n      model: {}\n",
        serde_json::to_string(name)?,
        serde_json::to_string(model)?,
    );
    if let Some(api_base) = &args.litellm.api_base {
        text += &format!("      api_base: {}\n", serde_json::to_string(api_base)?);
    }
    let (document, _) = dunlin_config::gather("--model", &mut |_| Ok(text.clone()));
    Ok(Some(document))
}

pub(crate) fn gather(path: &Path) -> anyhow::Result<Document> {
    let (document, problems) = gathered(path);
    if problems.is_empty() {
        return Ok(document);
    }
    let rendered: String =
        problems.iter().map(|problem| problem.render(&document, color())).collect();
    Err(invalid(rendered))
}

/// The file with what it includes, and what is wrong with that.
pub(crate) fn gathered(path: &Path) -> (Document, Vec<Diagnostic>) {
    let mut read = |path: &str| fs::read_to_string(path).map_err(|error| error.to_string());
    dunlin_config::gather(&path.display().to_string(), &mut read)
}

/// Loads, says every warning and note on stderr, or later in the log, and fails with all errors at
/// once.
fn load_or_say(
    document: &Document,
    environment: &Environment,
    options: &Options,
    in_the_log: Option<&mut Remarks>,
) -> anyhow::Result<Loaded> {
    let outcome = dunlin_config::load(document, environment, options);
    let rendered = render(document, &outcome);
    let Some(loaded) = outcome.loaded else {
        return Err(invalid(format!("the config was not applied\n{rendered}")));
    };
    match in_the_log {
        None => say(&rendered),
        Some(remarks) => {
            let warnings = outcome.diagnostics.iter();
            remarks.warnings.extend(warnings.map(|warning| warning.render(document, false)));
            remarks.notes.extend(outcome.notes.iter().map(ToString::to_string));
        }
    }
    Ok(loaded)
}

pub(crate) fn render(document: &Document, outcome: &Outcome) -> String {
    let mut text = String::new();
    for diagnostic in &outcome.diagnostics {
        text += &diagnostic.render(document, color());
        text.push('\n');
    }
    for note in &outcome.notes {
        text += &format!("note: {note}\n");
    }
    if !outcome.diagnostics.is_empty() {
        text += &dunlin_config::summary(&outcome.diagnostics);
        text.push('\n');
    }
    text
}

pub(crate) fn color() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
}

/// The path to check for LiteLLM's `--validate_config`.
pub(crate) fn checked_path(args: &ServeArgs) -> anyhow::Result<PathBuf> {
    args.config.clone().ok_or_else(|| invalid("name the file to check: --config FILE"))
}

/// The master key in force at start: the file's, else `LITELLM_MASTER_KEY`. One that anybody can
/// guess is refused, unless LiteLLM's own switch permits it.
fn master_key(
    loaded: Option<&Loaded>,
    environment: &Environment,
) -> anyhow::Result<Option<Secret>> {
    let settings = loaded.map(|loaded| &loaded.settings);
    let key = settings
        .and_then(|settings| settings.master_key.clone())
        .or_else(|| environment.get("LITELLM_MASTER_KEY").map(Secret::new));
    let switch = environment.get("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY");
    let permitted = settings.is_some_and(|settings| settings.permit_weak_master_key)
        || switch.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    dunlin_config::check_master_key(key.as_ref(), permitted)
        .map_err(|weak| invalid(weak.to_string()))?;
    Ok(key.filter(|key| !key.expose().is_empty()))
}

fn cluster(
    args: &ServeArgs,
    section: Option<&ClusterSection>,
    environment: &Environment,
) -> anyhow::Result<Option<ClusterConfig>> {
    let seeds = args.join.clone().or_else(|| section.and_then(|section| section.join.clone()));
    let listen =
        args.cluster_listen.clone().or_else(|| section.and_then(|section| section.listen.clone()));
    if seeds.is_none() && listen.is_none() {
        return Ok(None);
    }
    let seeds: Vec<String> = seeds
        .unwrap_or_default()
        .iter()
        .map(|seed| with_port(seed.trim()))
        .filter(|seed| !seed.is_empty())
        .collect();
    let listen = with_port(&listen.unwrap_or_else(|| "0.0.0.0".to_owned()));
    let secrets = secrets::of_cluster(environment, section)?;
    let advertise = args
        .advertise
        .clone()
        .or_else(|| section.and_then(|section| section.advertise.clone()))
        .map_or_else(|| advertised(&listen), |address| with_port(&address));
    let expect = args.bootstrap_expect.or_else(|| section.and_then(|s| s.bootstrap_expect));
    Ok(Some(ClusterConfig {
        bootstrap_expect: expect.unwrap_or_else(|| seeds.len().max(1)),
        secrets,
        listen,
        advertise,
        seeds,
    }))
}

fn with_port(address: &str) -> String {
    let has_port = address.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    });
    if has_port || address.is_empty() {
        address.to_owned()
    } else {
        format!("{address}:{DEFAULT_CLUSTER_PORT}")
    }
}

/// Where others reach a node that listens on `listen`: there, or at this host's name when that is
/// every address.
fn advertised(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "4100"));
    if host == "0.0.0.0" || host == "[::]" {
        format!("{}:{port}", rustix::system::uname().nodename().to_string_lossy())
    } else {
        listen.to_owned()
    }
}

fn log_filter(args: &ServeArgs, environment: &Environment) -> String {
    if let Some(filter) = &args.log {
        return filter.clone();
    }
    if args.litellm.debug || args.litellm.detailed_debug {
        return "debug".to_owned();
    }
    environment.get("LITELLM_LOG").unwrap_or("info").to_owned()
}

/// A container loses what is not on a volume: with it the node's identity and every key.
fn container_remark(data_dir: &Path, environment: &Environment) -> Option<String> {
    let in_container = Path::new("/.dockerenv").exists()
        || Path::new("/run/.containerenv").exists()
        || environment.get("KUBERNETES_SERVICE_HOST").is_some();
    let existing = data_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
    let on_root = device(existing).is_some() && device(existing) == device(Path::new("/"));
    (in_container && on_root).then(|| {
        format!(
            "the data directory {} is not on a volume: keys and spend will be lost with this \
             container; mount a volume there",
            data_dir.display()
        )
    })
}

impl NodeConfig {
    /// How this node meets others. A cluster of one listens on loopback only, under a secret of its
    /// own.
    ///
    /// # Errors
    /// The address to listen on does not resolve; the data directory cannot be used.
    pub(crate) async fn meeting(&self) -> anyhow::Result<Meeting> {
        let Some(cluster) = &self.cluster else {
            return Ok(Meeting {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                advertise: "127.0.0.1:0".to_owned(),
                seeds: Vec::new(),
                bootstrap_expect: 1,
                secrets: secrets::own(&self.data_dir)?.into(),
            });
        };
        let found = tokio::net::lookup_host(&cluster.listen).await;
        let found = found.with_context(|| format!("--cluster-listen {}", cluster.listen))?.next();
        Ok(Meeting {
            listen: found.with_context(|| format!("{} has no address", cluster.listen))?,
            advertise: cluster.advertise.clone(),
            seeds: cluster.seeds.clone(),
            bootstrap_expect: cluster.bootstrap_expect,
            secrets: cluster.secrets.clone(),
        })
    }

    /// The proxies that the environment names.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn proxies(&self) -> anyhow::Result<Proxies> {
        let proxies = Proxies::from_variables(|name| self.environment.get(name))?;
        if let Some(summary) = proxies.summary() {
            tracing::info!("{summary}");
        }
        Ok(proxies)
    }

    /// What the environment says of cloud identities.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings::from_variables(|name| self.environment.get(name))
    }

    /// The path under which all routes also answer, such as `/llm`; empty for none.
    pub(crate) fn root_path(&self) -> String {
        self.environment.get("SERVER_ROOT_PATH").unwrap_or_default().to_owned()
    }

    /// How the client API presents itself, and where requests go that this node cannot decide.
    pub(crate) fn front(&self, proxy: &Proxy, admission: Admission, rpc: Rpc) -> Front {
        let detour = Detour::new(admission, rpc, self.max_staleness, self.on_stale);
        Front { root_path: self.root_path(), detour: Some(detour), models: Some(proxy.clone()) }
    }
}
