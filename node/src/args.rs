//! The command line, with dunlin's flags and LiteLLM's.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use dunlin_cli::{Exit, Output};
use dunlin_config::ClusterSection;
use dunlin_proxy::OnStale;

use crate::config_check::CheckArgs;
use crate::demo::DemoArgs;
use crate::recover::RecoverArgs;

const AFTER_HELP: &str = "\
First steps:
  dunlin demo                              three nodes with mock backends, nothing to configure
  dunlin config check config.yaml          everything that is wrong with a LiteLLM or dunlin config
  dunlin migrate litellm --config config.yaml --dump dump.sql   what moves from LiteLLM, and how
  dunlin serve --config config.yaml        one node; `dunlin --config config.yaml` means the same

Three nodes, the same command on each (n1, n2, n3 are host names):
  export DUNLIN_CLUSTER_SECRET=...         the same random text, 32 characters or more, on all nodes
  dunlin serve --config config.yaml --cluster-listen 0.0.0.0:4100 \\
               --join n1:4100,n2:4100,n3:4100 --bootstrap-expect 3

A flag overrides its DUNLIN_* variable, which overrides the `cluster:` section of the file.

To use a running cluster from any machine (the key is DUNLIN_API_KEY or LITELLM_MASTER_KEY):
  export DUNLIN_URL=http://n1:4000,http://n2:4000,http://n3:4000
  dunlin status                            nodes, leader, config revision, backends
  KEY=$(dunlin key create --alias app --models chat --rpm 60)

";

/// An OpenAI-compatible LLM gateway that runs as a cluster of equal nodes.
#[derive(Parser, Debug)]
#[command(
    name = "dunlin",
    version,
    disable_version_flag = true,
    after_help = AFTER_HELP.to_owned() + Exit::HELP,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl Cli {
    /// The command; flags without a command mean `serve`, as with LiteLLM.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or_else(|| Command::Serve(Box::new(self.serve)))
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a node: the gateway API and this node's part of the cluster.
    Serve(Box<ServeArgs>),
    /// Run three nodes with mock backends and a light load on this machine; Ctrl-C cleans up.
    Demo(DemoArgs),
    /// Check config files; show and change a cluster's settings; list, compare and roll back
    /// revisions of its config.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Migrate from another gateway: preview the changes, then import its keys, teams and users.
    #[command(subcommand)]
    Migrate(dunlin_cli::MigrateCommand),
    /// Continue from one surviving node after more than half of the voters are lost for good.
    Recover(RecoverArgs),
    /// Explain an error code such as DL0103 and how to fix it.
    Explain {
        /// The code, as printed in brackets.
        code: String,
        #[command(flatten)]
        output: Output,
    },
    #[command(flatten)]
    Cluster(dunlin_cli::Command),
    /// Write a script that completes `dunlin` commands in a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version(Output),
}

#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Check a config file and everything it includes; exit code 10 when there are errors.
    Check(CheckArgs),
    #[command(flatten)]
    Revisions(dunlin_cli::RevisionCommand),
}

/// A node's own settings. Each is also a key of the same name in the file's `cluster:` section.
#[derive(Args, Debug, Default)]
pub(crate) struct ServeArgs {
    /// The config file, in LiteLLM's format [LiteLLM: CONFIG_FILE_PATH].
    #[arg(short, long, value_name = "FILE", env = "DUNLIN_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The address to serve clients on. Default: 0.0.0.0 with a master key, else 127.0.0.1.
    #[arg(long, value_name = "HOST", env = "DUNLIN_HOST")]
    pub(crate) host: Option<String>,
    /// The port to serve clients on [default: 4000].
    #[arg(short, long, env = "DUNLIN_PORT", value_parser = port)]
    pub(crate) port: Option<u16>,
    /// Where the node keeps its identity, log and journal [default: dunlin-data].
    #[arg(long, value_name = "DIR", env = "DUNLIN_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The address for other nodes, TCP and UDP [default with --join: 0.0.0.0:4100].
    #[arg(long, value_name = "HOST:PORT", env = "DUNLIN_CLUSTER_LISTEN")]
    pub(crate) cluster_listen: Option<String>,
    /// The address at which other nodes reach this one; prefer a name [default: this host's name].
    #[arg(long, value_name = "HOST:PORT", env = "DUNLIN_ADVERTISE")]
    pub(crate) advertise: Option<String>,
    /// Nodes to form or join a cluster with; may name this node itself.
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', env = "DUNLIN_JOIN")]
    pub(crate) join: Option<Vec<String>>,
    /// How many nodes must be present before a new cluster is formed [default: the number of seeds].
    #[arg(long, value_name = "N", env = "DUNLIN_BOOTSTRAP_EXPECT", value_parser = nodes)]
    pub(crate) bootstrap_expect: Option<usize>,
    /// How long a node that hears no majority keeps serving by itself [default: 60].
    #[arg(long, value_name = "SECONDS", env = "DUNLIN_MAX_STALENESS",
        value_parser = stale_seconds)]
    pub(crate) max_staleness: Option<u64>,
    /// What the node does after that, if no other node can take its requests [default: refuse].
    #[arg(
        long,
        value_name = "refuse|serve_known",
        env = "DUNLIN_ON_STALE",
        value_enum,
        hide_possible_values = true
    )]
    pub(crate) on_stale: Option<OnStaleArg>,
    /// How long a client's connection may be idle between two requests. Set it higher than the idle
    /// timeout of a load balancer in front [default: 75] [LiteLLM: KEEPALIVE_TIMEOUT].
    #[arg(long, alias = "keepalive_timeout", value_name = "SECONDS",
        env = "DUNLIN_KEEPALIVE_TIMEOUT", value_parser = idle_seconds)]
    pub(crate) keepalive_timeout: Option<u64>,
    /// Treat unknown keys in the config file as errors.
    #[arg(long, env = "DUNLIN_STRICT")]
    pub(crate) strict: bool,
    /// Log filter, such as `info` or `dunlin_proxy=debug` [LiteLLM: LITELLM_LOG].
    #[arg(long, value_name = "FILTER", env = "DUNLIN_LOG")]
    pub(crate) log: Option<String>,
    /// Log as JSON lines.
    #[arg(long, env = "DUNLIN_LOG_JSON")]
    pub(crate) log_json: bool,
    #[command(flatten)]
    pub(crate) litellm: LiteLlmArgs,
}

// Whoever set a variable does not know the flag that the message names.

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "expected a port, such as 4000 (--port or DUNLIN_PORT)")
}

fn nodes(text: &str) -> Result<usize, &'static str> {
    let why =
        "expected a number of nodes, such as 3 (--bootstrap-expect or DUNLIN_BOOTSTRAP_EXPECT)";
    text.parse().map_err(|_| why)
}

fn stale_seconds(text: &str) -> Result<u64, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| *seconds >= 1);
    seconds.ok_or(
        "expected whole seconds without a unit, such as 300 for five minutes (--max-staleness or \
         DUNLIN_MAX_STALENESS)",
    )
}

fn idle_seconds(text: &str) -> Result<u64, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
    seconds.ok_or(
        "expected whole seconds from 1 to 3600 (--keepalive-timeout or DUNLIN_KEEPALIVE_TIMEOUT)",
    )
}

/// As `cluster.on_stale` has it.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
#[value(rename_all = "snake_case")]
pub(crate) enum OnStaleArg {
    Refuse,
    ServeKnown,
}

/// Flags of the `litellm` command, so that start scripts carry over. Hidden from `--help`.
#[derive(Args, Debug, Default)]
pub(crate) struct LiteLlmArgs {
    #[arg(long = "model", hide = true)]
    pub(crate) model: Option<String>,
    #[arg(long = "alias", hide = true)]
    pub(crate) alias: Option<String>,
    #[arg(long = "api_base", hide = true)]
    pub(crate) api_base: Option<String>,
    #[arg(long = "debug", hide = true)]
    pub(crate) debug: bool,
    #[arg(long = "detailed_debug", hide = true)]
    pub(crate) detailed_debug: bool,
    #[arg(long = "version", short = 'v', hide = true)]
    version: bool,
    #[arg(long = "validate_config", hide = true)]
    validate_config: bool,
    #[arg(long = "num_workers", hide = true)]
    num_workers: Option<String>,
    #[arg(long = "run_gunicorn", hide = true)]
    run_gunicorn: bool,
    #[arg(long = "run_hypercorn", hide = true)]
    run_hypercorn: bool,
    #[arg(long = "max_requests_before_restart", hide = true)]
    max_requests_before_restart: Option<String>,
    #[arg(long = "skip_server_startup", hide = true)]
    skip_server_startup: bool,
    #[arg(long = "use_prisma_db_push", hide = true)]
    use_prisma_db_push: bool,
    #[arg(long = "prometheus_metrics_port", hide = true)]
    prometheus_metrics_port: Option<String>,
    #[arg(long = "drop_params", hide = true)]
    drop_params: bool,
    #[arg(long = "request_timeout", hide = true)]
    request_timeout: Option<String>,
    #[arg(long = "max_budget", hide = true)]
    max_budget: Option<String>,
    #[arg(long = "ssl_keyfile_path", hide = true)]
    ssl_keyfile_path: Option<String>,
    #[arg(long = "ssl_certfile_path", hide = true)]
    ssl_certfile_path: Option<String>,
    #[arg(long = "health", hide = true)]
    health: bool,
    #[arg(long = "test", hide = true)]
    test: bool,
}

impl ServeArgs {
    /// What a node does when it hears no majority: the flag's value, else the file's.
    pub(crate) fn on_stale(&self, section: Option<&ClusterSection>) -> OnStale {
        match (self.on_stale, section.and_then(|section| section.on_stale)) {
            (Some(OnStaleArg::ServeKnown), _)
            | (None, Some(dunlin_config::OnStale::ServeKnown)) => OnStale::ServeKnown,
            (Some(OnStaleArg::Refuse), _) | (None, Some(dunlin_config::OnStale::Refuse) | None) => {
                OnStale::Refuse
            }
        }
    }
}

impl LiteLlmArgs {
    pub(crate) fn asks_version(&self) -> bool {
        self.version
    }

    pub(crate) fn asks_check(&self) -> bool {
        self.validate_config || self.skip_server_startup
    }

    /// Given flags that have no meaning here: the flag and one line that says why.
    pub(crate) fn without_meaning(&self) -> Vec<(&'static str, &'static str)> {
        let given = [
            (self.num_workers.is_some(), "--num_workers", "one process uses every core"),
            (self.run_gunicorn, "--run_gunicorn", "the server is built in"),
            (self.run_hypercorn, "--run_hypercorn", "the server is built in, including HTTP/2"),
            (
                self.max_requests_before_restart.is_some(),
                "--max_requests_before_restart",
                "memory is bounded, no restarts are needed",
            ),
            (self.use_prisma_db_push, "--use_prisma_db_push", "there is no database"),
            (
                self.prometheus_metrics_port.is_some(),
                "--prometheus_metrics_port",
                "metrics are at /metrics/ on the port that clients use",
            ),
            (
                self.drop_params,
                "--drop_params",
                "set `litellm_settings.drop_params: true` in the file",
            ),
            (
                self.request_timeout.is_some(),
                "--request_timeout",
                "set `litellm_settings.request_timeout` in the file",
            ),
        ];
        given.into_iter().filter(|(given, ..)| *given).map(|(_, flag, why)| (flag, why)).collect()
    }

    /// Flags that must not be ignored, because that would drop a safety control or a whole job: the
    /// flag and the alternative.
    pub(crate) fn refused(&self) -> Option<(&'static str, &'static str)> {
        let refused = [
            (
                self.ssl_keyfile_path.is_some() || self.ssl_certfile_path.is_some(),
                "--ssl_keyfile_path/--ssl_certfile_path",
                "TLS for clients is not served yet; put a TLS proxy in front and drop the flag",
            ),
            (
                self.max_budget.is_some(),
                "--max_budget",
                "set `litellm_settings.max_budget` in the file, from which all nodes get it",
            ),
            (self.health, "--health", "ask a running node: `dunlin health`"),
            (self.test, "--test", "send a request with curl; `dunlin demo` prints one that works"),
        ];
        refused.into_iter().find(|(given, ..)| *given).map(|(_, flag, why)| (flag, why))
    }
}
