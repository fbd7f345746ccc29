//! What `litellm_settings` says of the metrics.

use std::sync::Arc;

use crate::report::Report;
use crate::tree::{Map, Node};

/// More bounds make no sense, and each is a line of each histogram.
const MAX_BUCKETS: usize = 50;

/// What Prometheus is told, and who may read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsSettings {
    /// `require_auth_for_metrics_endpoint: false`: everyone may read them.
    pub open: bool,
    /// `enable_end_user_cost_tracking_prometheus_only`, unless end users are not tracked: clients'
    /// users are told apart.
    pub end_users: bool,
    /// `prometheus_latency_buckets`: the bounds of histograms of time, in seconds, ascending.
    pub buckets: Option<Arc<[f64]>>,
}

/// Reads `litellm_settings`.
pub(crate) fn read(root: &Map, report: &mut Report) -> MetricsSettings {
    let empty = Map::default();
    let settings = root.get("litellm_settings").and_then(Node::as_map).unwrap_or(&empty);
    let mut flag =
        |name: &str| report.flag(&format!("litellm_settings.{name}"), settings.get(name));
    let open = !flag("require_auth_for_metrics_endpoint").unwrap_or(true);
    let told = flag("enable_end_user_cost_tracking_prometheus_only").unwrap_or_default();
    let silent = flag("disable_end_user_cost_tracking_prometheus_only").unwrap_or_default();
    let buckets = buckets(settings.get("prometheus_latency_buckets"), report);
    MetricsSettings { open, end_users: told && !silent, buckets }
}

fn buckets(node: Option<&Node>, report: &mut Report) -> Option<Arc<[f64]>> {
    let what = "litellm_settings.prometheus_latency_buckets";
    let node = report.present(what, node)?;
    let bounds: Vec<f64> = report
        .list(what, Some(node))
        .iter()
        .filter_map(|bound| report.amount(what, Some(bound)))
        .collect();
    let ascend = bounds.iter().zip(bounds.iter().skip(1)).all(|(one, next)| one < next);
    if bounds.is_empty() || bounds.len() > MAX_BUCKETS || !ascend {
        let must = "must be 1 to 50 numbers of seconds, each larger than the one before";
        return report.wrong_value(what, node, must);
    }
    Some(bounds.into())
}
