//! What `litellm_settings` says of the metrics.

use crate::report::Report;
use crate::tree::{Map, Node};

/// What Prometheus is told, and who may read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsSettings {
    /// `require_auth_for_metrics_endpoint: false`: everyone may read them.
    pub open: bool,
}

/// Reads `litellm_settings`.
pub(crate) fn read(root: &Map, report: &mut Report) -> MetricsSettings {
    let empty = Map::default();
    let settings = root.get("litellm_settings").and_then(Node::as_map).unwrap_or(&empty);
    let guarded = "require_auth_for_metrics_endpoint";
    let guarded = report.flag(&format!("litellm_settings.{guarded}"), settings.get(guarded));
    MetricsSettings { open: !guarded.unwrap_or(true) }
}
