//! One node: its process, its addresses, its files.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::gate::Gate;

/// A node that may be running or not. Its data directory, ports and log stay the same over all its
/// lives.
pub struct Node {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    network: Option<PathBuf>,
    api: String,
    log: PathBuf,
    gate: Option<Gate>,
    child: Option<Child>,
}

/// What a node is made from.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// The network it runs in; none: that of this process.
    pub(crate) network: Option<PathBuf>,
    /// Where clients reach it.
    pub(crate) api: String,
    pub(crate) log: PathBuf,
    pub(crate) gate: Option<Gate>,
}

impl Node {
    pub(crate) fn new(plan: Plan) -> Self {
        let Plan { name, binary, arguments, environment, network, api, log, gate } = plan;
        Self { name, binary, arguments, environment, network, api, log, gate, child: None }
    }

    /// `n1`, `n2`, …
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of a path of this node's API.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }

    /// The file that holds stdout and stderr of all its lives.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Whether it was started and has not ended, paused or not.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Sets a variable for its later lives, or takes it away.
    pub(crate) fn set_environment(&mut self, name: &str, value: Option<&str>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// Starts the process; does not wait for it to serve.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        if self.is_running() {
            bail!("{} is running already", self.name);
        }
        let log = open_log(&self.log)?;
        let child = self
            .program()
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C in the terminal is for the owner, who stops its nodes in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// The binary, in its network. Whoever enters the network for it becomes it: the process is the
    /// same.
    fn program(&self) -> Command {
        let Some(network) = &self.network else { return Command::new(&self.binary) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", network.display())).arg("--").arg(&self.binary);
        command
    }

    /// Waits for the end of a node that was asked to stop; kills it when it does not.
    pub(crate) async fn ended(&mut self, within: Duration) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { bail!("{} is not running", self.name) };
        if let Ok(ended) = tokio::time::timeout(within, child.wait()).await {
            self.child = None;
            let status = ended?;
            if !status.success() {
                bail!("{} ended with {status}\n{}", self.name, self.log_tail());
            }
            return Ok(());
        }
        self.kill().await?;
        bail!("{} did not stop within {within:?}\n{}", self.name, self.log_tail())
    }

    /// Ends it at once (SIGKILL) and collects it.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { bail!("{} is not running", self.name) };
        child.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }

    /// The gate through which the others call it.
    pub(crate) fn gate(&self) -> anyhow::Result<&Gate> {
        self.gate.as_ref().with_context(|| format!("{} has no gate", self.name))
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.with_context(|| format!("{} is not running", self.name))?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// The last 20 lines of its log, for error messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    let opened = options.create(true).append(true).open(path);
    opened.with_context(|| format!("cannot write {}", path.display()))
}
