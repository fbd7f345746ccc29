//! Real nodes: processes of a `dunlin` binary on loopback, mock backends in this process, clients
//! over HTTP. Faults come one after the other; then all is quiet, and every node is looked at.

mod admin;
mod chats;
mod clients;
mod faults;
mod look;
mod recorder;
mod stage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::clock;
use crate::history::Bounds;
use crate::random::Random;
use crate::report::{Judgement, Report};
use clients::Clients;
use recorder::Recorder;
use stage::Stage;

pub use faults::{ALL as FAULTS, Fault};

/// Clients are alone with the nodes for so long, before the first fault and between two.
const CALM: Duration = Duration::from_millis(1_500);
/// A debug build on a busy machine; the promise itself is a second.
const BOUNDS: Bounds =
    Bounds { spread_ms: 2_000, election_ms: 3_000, rejoin_ms: 3_000, call_ms: 1_000 };

/// What a live run is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The `dunlin` binary.
    pub binary: PathBuf,
    /// What clients do and which fault comes when is drawn from it.
    pub seed: u64,
    /// No fault begins after so long.
    pub lasts: Duration,
    /// How many nodes.
    pub nodes: usize,
    /// What may go wrong. All of it does, if there is time.
    pub faults: Vec<Fault>,
    /// Is told what happens as it happens.
    pub progress: fn(&str),
}

/// Runs it and judges it. The data of a run that broke a promise is kept, and its place told.
///
/// # Errors
/// The nodes do not start or do not come back, or a fault could not be made.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let dir = tempfile::Builder::new().prefix("dunlin-chaos-").tempdir()?;
    let mut random = Random::new(plan.seed);
    let recorder = Recorder::new(plan.nodes, BOUNDS, plan.progress);
    let mut stage = Stage::set(plan, dir.path(), recorder.clone()).await?;
    let clients = Clients::start(&stage, plan.seed).await?;
    let outcome = go_wrong(plan, &mut stage, &mut random).await;
    let keys = clients.end().await;
    outcome.with_context(|| stage.cluster.log_tails())?;
    (plan.progress)("all is quiet: looking at every node");
    look::at_all(&stage, plan.seed, &keys?).await?;
    let history = recorder.take();
    let report = Report::of(&history, plan.seed, plan.command());
    stage.cluster.kill_all().await?;
    if report.verdict == Judgement::Violated {
        let kept = dir.keep();
        (plan.progress)(&format!("data and logs are kept in {}", kept.display()));
    }
    Ok(report)
}

async fn go_wrong(plan: &Plan, stage: &mut Stage, random: &mut Random) -> anyhow::Result<()> {
    let began = clock::now();
    loop {
        let mut faults = plan.faults.clone();
        random.shuffle(&mut faults);
        for fault in faults {
            tokio::time::sleep(CALM).await;
            if clock::now() - began >= plan.lasts {
                return Ok(());
            }
            fault.happen(stage, random).await.with_context(|| format!("fault {}", fault.name()))?;
        }
        if plan.faults.is_empty() {
            tokio::time::sleep(plan.lasts).await;
            return Ok(());
        }
    }
}

impl Plan {
    /// What begins the same run again. Real processes take their own time: it is much the same.
    fn command(&self) -> String {
        let names: Vec<_> = self.faults.iter().map(|fault| fault.name()).collect();
        format!(
            "cargo run --release -p dunlin-chaos -- live --binary {} --seed {} --seconds {} \
             --nodes {} --faults {}",
            self.binary.display(),
            self.seed,
            self.lasts.as_secs(),
            self.nodes,
            names.join(",")
        )
    }
}
