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

/// The metrics that the binary itself has.
#[cfg(test)]
static METRICS: &[&Desc] = &[&BUILD, &READY];

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
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../docs/metrics.md");

    #[test]
    fn the_page_tells_of_every_metric_what_the_metric_tells_of_itself() {
        let row = |Desc { name, kind, help, labels }: &Desc| {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            let row = format!("| `{name}` | {} | {} | {help} |", kind.name(), labels.join(" "));
            row.replace("|  |", "| |")
        };
        let rows = all().into_iter().map(row);
        let missing: Vec<_> = rows.filter(|row| PAGE.lines().all(|line| line != row)).collect();
        assert!(missing.is_empty(), "docs/metrics.md lacks\n{}", missing.join("\n"));
        let told: Vec<_> = PAGE.lines().filter(|line| line.starts_with("| `dunlin_")).collect();
        let known = all().into_iter().filter(|desc| desc.name.starts_with("dunlin_"));
        let known: BTreeSet<_> = known.map(|desc| desc.name).collect();
        assert_eq!(told.len(), known.len(), "a metric is told that there is not, or told twice");
    }

    #[test]
    fn what_is_told_to_be_missing_is() {
        let (_, absent) = PAGE.split_once("### Not there").expect("a part");
        let told = absent.lines().filter(|line| line.starts_with("| `"));
        let named = told.flat_map(|line| line.split('`').skip(1).step_by(2));
        let named: BTreeSet<_> = named.filter(|name| name.starts_with("litellm_")).collect();
        assert!(named.len() > 30, "the page is read");
        let there = all().into_iter().map(|desc| desc.name).filter(|name| named.contains(name));
        assert_eq!(there.collect::<Vec<_>>(), Vec::<&str>::new());
    }

    #[test]
    fn the_config_knows_the_names_of_litellms_metrics() {
        let litellms = all().into_iter().filter(|desc| dunlin_metrics::is_litellms(desc));
        let short = litellms.map(|desc| desc.name.strip_suffix("_total").unwrap_or(desc.name));
        let short: BTreeSet<_> = short.collect();
        assert_eq!(short.into_iter().collect::<Vec<_>>(), dunlin_config::LITELLM_METRICS);
        let litellms = all().into_iter().filter(|desc| dunlin_metrics::is_litellms(desc));
        let labels: BTreeSet<_> = litellms.flat_map(|desc| desc.labels).copied().collect();
        assert_eq!(labels.into_iter().collect::<Vec<_>>(), dunlin_config::LITELLM_LABELS);
    }

    #[test]
    fn the_dashboard_and_the_alerts_name_metrics_that_there_are() {
        const PROMETHEUS_OWN: [&str; 2] =
            ["process_cpu_seconds_total", "process_resident_memory_bytes"];
        let known: BTreeSet<_> = all().into_iter().map(|desc| desc.name).collect();
        let files = [
            include_str!("../../docs/monitoring/grafana.json"),
            include_str!("../../docs/monitoring/alerts.yml"),
        ];
        for file in files {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let words = file.split(|c| !is_name(c)).filter(|word| {
                ["dunlin_", "litellm_", "process_"].iter().any(|start| word.starts_with(start))
            });
            // A label, which begins like a metric.
            let named: BTreeSet<_> = words.filter(|word| *word != "litellm_model_name").collect();
            assert!(named.len() > 10, "the file is read");
            for name in named {
                let base =
                    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                let is_there = known.contains(name)
                    || base.is_some_and(|base| known.contains(base))
                    || PROMETHEUS_OWN.contains(&name);
                assert!(is_there, "there is no metric {name}");
            }
        }
        let board: serde_json::Value = serde_json::from_str(files[0]).expect("JSON");
        assert!(board["panels"].as_array().is_some_and(|panels| panels.len() > 30));
    }

    #[test]
    fn names_say_units_and_what_is_counted() {
        let names: Vec<_> = all().into_iter().map(|desc| desc.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each name once");
        for desc in all() {
            let total = desc.name.ends_with("_total");
            assert_eq!(total, desc.kind == dunlin_metrics::Kind::Counter, "{}", desc.name);
            assert!(desc.help.ends_with('.') && !desc.help.contains('|'), "{}", desc.name);
        }
    }
}
