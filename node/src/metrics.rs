//! What this node tells Prometheus: the parts of the node, each in its own words, on one page.

use dunlin_admission::Admission;
use dunlin_callbacks::Callbacks;
use dunlin_consensus::Consensus;
use dunlin_exporter::Exporter;
use dunlin_gossip::Gossip;
use dunlin_journal::Journal;
use dunlin_metrics::{Desc, Metrics};
use dunlin_proxy::server::Open;
use dunlin_records::Records;
use dunlin_store::Store;
use dunlin_types::{Epoch, NodeId};
use dunlin_upstream::Upstream;
use tokio::sync::watch;

use crate::logs::Log;
use crate::revision::InForce;
use crate::run::Tasks;

static BUILD: Desc = Desc::gauge(
    "dunlin_build_info",
    "Always 1; the labels say what runs on this node.",
    &["version", "node_id"],
);
static READY: Desc = Desc::gauge(
    "dunlin_config_revision",
    "The config revision that this node uses; 0 before the first.",
    &[],
);
static LOST: Desc = Desc::counter(
    "dunlin_log_lines_lost_total",
    "Lines of this node's log that are lost, because stderr could not be written or was not read.",
    &[],
);

/// The metrics that the binary itself has.
#[cfg(test)]
static METRICS: &[&Desc] = &[&BUILD, &READY, &LOST];

/// What metrics are asked of: handles, cheap to clone.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) me: (NodeId, Epoch),
    pub(crate) consensus: Consensus,
    pub(crate) gossip: Gossip,
    pub(crate) journal: Journal,
    pub(crate) records: Records,
    pub(crate) store: Store,
    pub(crate) admission: Admission,
    pub(crate) upstream: Upstream,
    pub(crate) callbacks: Callbacks,
    pub(crate) open: Open,
    pub(crate) log: Log,
    pub(crate) in_force: watch::Receiver<InForce>,
}

/// The metrics of a node, and who counts its requests.
pub(crate) fn of(parts: Parts, tasks: &Tasks) -> (Metrics, Exporter) {
    let (tasks, stop) = (tasks.tracker.clone(), tasks.stop.clone());
    let (me, epoch) = parts.me;
    let open = parts.open.clone();
    let exporter = Exporter::start(
        dunlin_exporter::Config { epoch, tasks, stop },
        dunlin_exporter::Parts {
            clock: parts.consensus.clock(),
            journal: parts.journal.clone(),
            consensus: parts.consensus.clone(),
            upstream: parts.upstream,
            unrecorded: Box::new(move || open.unrecorded()),
        },
    );
    let metrics = Metrics::default();
    let counting = exporter.clone();
    metrics.add(move |page| {
        let version = env!("CARGO_PKG_VERSION");
        page.keep(counting.kept());
        page.level(&BUILD, &[version, &me.to_string()], 1_u8);
        page.level(&READY, &[], parts.in_force.borrow().revision);
        page.count(&LOST, &[], parts.log.lost());
        parts.consensus.report(page);
        parts.gossip.report(page);
        parts.journal.report(page);
        parts.records.report(page);
        parts.store.report(page);
        parts.admission.report(page);
        parts.callbacks.report(page);
        parts.open.report(page);
        counting.report(page);
    });
    (metrics, exporter)
}

/// Every metric there is, in the order of the crates.
#[cfg(test)]
fn all() -> Vec<&'static Desc> {
    let crates = [
        METRICS,
        dunlin_metrics::METRICS,
        dunlin_consensus::METRICS,
        dunlin_gossip::METRICS,
        dunlin_journal::METRICS,
        dunlin_records::METRICS,
        dunlin_store::METRICS,
        dunlin_admission::METRICS,
        dunlin_callbacks::METRICS,
        dunlin_upstream::METRICS,
        dunlin_proxy::METRICS,
    ];
    crates.into_iter().flatten().copied().chain(dunlin_exporter::metrics()).collect()
}

#[cfg(test)]
mod tests;
