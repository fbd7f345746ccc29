//! What the load goes through: straight to the mocks, nginx, or nodes of dunlin.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use dunlin_cluster::{Cluster, Launcher, wait_until};
use dunlin_mock_upstream::{MockUpstream, Settings};
use serde_json::json;
use tokio::process::Command;

use crate::say;

/// What is measured.
#[derive(Args)]
pub(crate) struct Measured {
    /// The dunlin binary to measure [default: this tree's, built with --release].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) const WHOLE_MODEL: &str = "whole";
pub(crate) const STREAM_MODEL: &str = "stream";
/// Tokens per second of a stream: 16 of them take 40 ms.
const PACE: f64 = 400.0;
/// A limit that no load reaches.
pub(crate) const NEVER: u64 = 1_000_000_000_000;
/// Prices of a token in nano-dollars.
pub(crate) const INPUT_NANO: u64 = 1_000;
pub(crate) const OUTPUT_NANO: u64 = 2_000;
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(30);

/// The mock for whole answers is as fast as it can be, so that the gateway is the bottleneck; the
/// one for streams paces its chunks as a model does.
pub(crate) struct Mocks {
    whole: MockUpstream,
    stream: MockUpstream,
}

impl Mocks {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let paced = Settings { tokens_per_second: Some(PACE), ..Settings::default() };
        let whole = MockUpstream::start(Settings::default()).await?;
        Ok(Self { whole, stream: MockUpstream::start(paced).await? })
    }

    /// For whole answers, for streams.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        [self.whole.address(), self.stream.address()]
    }

    /// The way without a gateway.
    pub(crate) fn target(&self) -> Target {
        let [whole, stream] = self.addresses();
        Target { name: "direct", whole: vec![whole], stream: vec![stream], pids: Vec::new() }
    }

    /// Models for whole answers and for streams, of a provider that clients' own dialect reaches.
    pub(crate) fn config(&self) -> String {
        let mut text = "model_list:\n".to_owned();
        for (model, mock) in [(WHOLE_MODEL, &self.whole), (STREAM_MODEL, &self.stream)] {
            text += &deployment(model, mock.address());
        }
        text
    }
}

/// A model at a mock, of a provider that clients' own dialect reaches.
pub(crate) fn deployment(model: &str, mock: SocketAddr) -> String {
    let usd = |nano: u64| format!("0.{nano:09}");
    format!(
        "  - model_name: {model}\n    litellm_params:\n      model: openai/mock\n      \
         api_base: http://{mock}/v1\n      api_key: sk-upstream\n      \
         input_cost_per_token: {}\n      output_cost_per_token: {}\n",
        usd(INPUT_NANO),
        usd(OUTPUT_NANO)
    )
}

/// One way to the mocks.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Where whole answers are asked for.
    pub(crate) whole: Vec<SocketAddr>,
    /// Where streams are asked for.
    pub(crate) stream: Vec<SocketAddr>,
    /// Whose CPU and memory it costs; empty for the direct way.
    pub(crate) pids: Vec<u32>,
}

/// Nodes under load.
pub(crate) struct Gateway {
    pub(crate) cluster: Cluster,
}

impl Gateway {
    pub(crate) async fn start(
        binary: PathBuf,
        dir: PathBuf,
        nodes: usize,
        config: String,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Self::launch(Launcher { nodes, ..Launcher::new(binary, dir, config) }).await
    }

    pub(crate) async fn launch(launcher: Launcher) -> anyhow::Result<Self> {
        let mut cluster = launcher.start().await?;
        cluster.wait_ready(READY_WITHIN).await?;
        Ok(Self { cluster })
    }

    /// A key with these fields, which all nodes know.
    pub(crate) async fn known_key(&self, fields: &serde_json::Value) -> anyhow::Result<String> {
        let key = self.cluster.make_key(fields).await?;
        let path = format!("/key/info?key={key}");
        wait_until("all nodes know a key", READY_WITHIN, async || {
            for node in self.cluster.nodes() {
                let known = self.cluster.client().get(&node.url(&path)).await;
                if !known.is_ok_and(|reply| reply.ok()) {
                    return false;
                }
            }
            true
        })
        .await?;
        Ok(key)
    }

    /// Where clients reach a node.
    pub(crate) fn address(&self, node: usize) -> anyhow::Result<SocketAddr> {
        Ok(self.cluster.url(node, "").trim_start_matches("http://").parse()?)
    }

    /// A key whose limits are on and never reached.
    pub(crate) async fn limited_key(&self) -> anyhow::Result<String> {
        let limits = json!({"rpm_limit": NEVER, "tpm_limit": NEVER});
        self.cluster.make_key(&limits).await
    }

    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let mut addresses = Vec::new();
        let mut pids = Vec::new();
        for (index, node) in self.cluster.nodes().iter().enumerate() {
            addresses.push(self.address(index)?);
            pids.push(node.pid().with_context(|| format!("{} ended", node.name()))?);
        }
        Ok(Target { name: "dunlin", whole: addresses.clone(), stream: addresses, pids })
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.cluster.stop_all().await
    }
}

impl Measured {
    /// The binary that is named, or this tree's.
    pub(crate) async fn binary(&self) -> anyhow::Result<PathBuf> {
        match &self.binary {
            Some(named) => named.canonicalize().with_context(|| named.display().to_string()),
            None => release_binary().await,
        }
    }

    /// What an example of this tree says, built with `--release`; none if another binary is named.
    pub(crate) async fn example(
        &self,
        package: &str,
        example: &str,
        argument: &str,
    ) -> anyhow::Result<Option<String>> {
        if self.binary.is_some() {
            return Ok(None);
        }
        let run = ["run", "--quiet", "--locked", "--release", "--package", package];
        let mut cargo = cargo();
        let output = cargo.args(run).args(["--example", example, "--", argument]).output().await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("{example} ended with {}: {said}", output.status);
        }
        Ok(Some(said))
    }
}

fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).stdin(Stdio::null());
    command
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The release binary of this very tree, brought up to date.
async fn release_binary() -> anyhow::Result<PathBuf> {
    say("building the release binary of dunlin\n");
    let built = cargo()
        .args(["build", "--quiet", "--locked", "--release", "--package", "dunlin"])
        .status()
        .await
        .context("cannot run cargo; name a binary with --binary")?;
    if !built.success() {
        bail!("dunlin does not build");
    }
    let beside = std::env::current_exe()?.with_file_name("dunlin");
    let usual = root().join("target/release/dunlin");
    let is_release = |path: &PathBuf| path.is_file() && path.to_string_lossy().contains("release");
    [beside, usual]
        .into_iter()
        .find(is_release)
        .context("cargo built dunlin elsewhere; name the binary with --binary")
}
