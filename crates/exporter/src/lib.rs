//! The Prometheus metrics of requests, under LiteLLM's names and under our own.
//!
//! Does not know how a request is served, and takes no part in it: it reads what the journal has on
//! record, behind the requests, and sums it up. Invariants: each record of this life of the node is
//! counted once, and before the next page is read; names that clients choose become labels only
//! within the bounds of `dunlin_metrics`; no other node is asked. Read `tally.rs` (a record), then
//! `measures.rs` (what is summed) and `standing.rs` (what is looked up when the page is read).

mod custom;
mod labels;
mod litellm;
mod measures;
mod own;
mod shape;
mod standing;
mod tally;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_consensus::Consensus;
use dunlin_journal::{Journal, Reader};
use dunlin_ledger::Calendar;
use dunlin_metrics::{Desc, Kept, Page};
use dunlin_router::Catalog;
use dunlin_types::{Clock, Epoch};
use dunlin_upstream::Upstream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use labels::Source;
use tally::Tally;

pub use custom::Custom;

/// How often new records are looked for. A busy node has some thousands by then.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// Records that are read at a time.
const AT_A_TIME: usize = 1_024;
/// The bounds of LiteLLM's histograms of time, in seconds.
const BUCKETS: [f64; 17] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 420.0,
    600.0,
];

/// All metrics of this crate.
#[must_use]
pub fn metrics() -> Vec<&'static Desc> {
    let all = [own::METRICS, litellm::METRICS, standing::METRICS];
    all.into_iter().flatten().copied().collect()
}

/// What a config revision says of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether clients' users are told apart.
    pub end_users: bool,
    /// The bounds of histograms of time, in seconds, ascending.
    pub buckets: Arc<[f64]>,
    /// Where budgets' periods begin.
    pub calendar: Calendar,
    /// Which of LiteLLM's metrics and labels are told; all if none are named.
    pub kept: Option<Arc<Kept>>,
    /// What is told of requests beside the labels that metrics have.
    pub custom: Custom,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            end_users: false,
            buckets: BUCKETS.into(),
            calendar: Calendar::default(),
            kept: None,
            custom: Custom::default(),
        }
    }
}

/// What the exporter needs of its node.
pub struct Config {
    /// This life of it: older records were counted by it then.
    pub epoch: Epoch,
    /// Where the background task runs.
    pub tasks: TaskTracker,
    /// Ends it.
    pub stop: CancellationToken,
}

/// How often requests were refused that left no record, by kind of call and status.
pub type Unrecorded = Box<dyn Fn() -> Vec<((&'static str, u16), u64)> + Send + Sync>;

/// What it is built on.
pub struct Parts {
    /// The node's clock.
    pub clock: Clock,
    /// The node's records.
    pub journal: Journal,
    /// Whose keys they name.
    pub consensus: Consensus,
    /// How the deployments do.
    pub upstream: Upstream,
    /// What is not on record.
    pub unrecorded: Unrecorded,
}

/// Counts what is on record. Cheap to clone.
#[derive(Clone)]
pub struct Exporter(Arc<Shared>);

struct Shared {
    epoch: Epoch,
    parts: Parts,
    serving: ArcSwap<Serving>,
    tally: Mutex<Tally>,
}

/// What is in force.
#[derive(Default)]
struct Serving {
    catalog: Arc<Catalog>,
    settings: Settings,
}

impl Exporter {
    /// Follows the journal from this life's first record on, on the current runtime.
    #[must_use]
    pub fn start(config: Config, parts: Parts) -> Self {
        let Config { epoch, tasks, stop } = config;
        let (serving, settings) = (ArcSwap::default(), Settings::default());
        let tally = Mutex::new(Tally::new(&settings));
        parts.journal.keep_for(Reader::Metrics, 0);
        let exporter = Self(Arc::new(Shared { epoch, parts, serving, tally }));
        let following = exporter.clone();
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(FOLLOW_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                let exporter = following.clone();
                // It may read from the disk, if it fell behind. One that fails is tried again.
                drop(tokio::task::spawn_blocking(move || exporter.catch_up()).await);
            }
        });
        exporter
    }

    /// Goes by this from here on.
    pub fn publish(&self, catalog: Arc<Catalog>, settings: Settings) {
        self.0.tally.lock().expect(NO_PANIC).publish(&settings);
        self.0.serving.store(Arc::new(Serving { catalog, settings }));
    }

    /// Counts what has come on record. Blocks.
    fn catch_up(&self) {
        let Shared { epoch, parts, serving, tally } = &*self.0;
        let mut tally = tally.lock().expect(NO_PANIC);
        loop {
            let records = match parts.journal.read_after(*epoch, tally.last(), AT_A_TIME) {
                Ok(records) => records,
                Err(error) => {
                    warn!(%error, "cannot read recorded requests: metrics fall behind");
                    return;
                }
            };
            let Some((last, _)) = records.last() else { return };
            let (state, serving) = (parts.consensus.state(), serving.load());
            let source = Source { state: &state, serving: &serving };
            let now = parts.clock.mono();
            records.iter().for_each(|(number, record)| tally.count(&source, *number, record, now));
            parts.journal.keep_for(Reader::Metrics, *last);
        }
    }

    /// Which of LiteLLM's metrics and labels are told now; all if none are named.
    #[must_use]
    pub fn kept(&self) -> Option<Arc<Kept>> {
        self.0.serving.load().settings.kept.clone()
    }

    /// Writes all of it on a page. Blocks for as long as it takes to catch up.
    pub fn report(&self, page: &mut Page) {
        self.catch_up();
        let Shared { parts, serving, tally, .. } = &*self.0;
        let (state, serving) = (parts.consensus.state(), serving.load_full());
        let source = Source { state: &state, serving: &serving };
        let mut counted = tally.lock().expect(NO_PANIC);
        counted.count_unrecorded(&source, (parts.unrecorded)());
        counted.report(page);
        drop(counted);
        parts.upstream.report(&serving.catalog, page);
        let now = parts.clock.unix().max(state.at());
        standing::report(&source, &parts.upstream, now, page);
    }
}

const NO_PANIC: &str = "no panic while records are counted";
