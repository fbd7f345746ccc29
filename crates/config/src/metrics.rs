//! What `litellm_settings` says of the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;
use crate::tree::{Map, Node};
use crate::words;

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
    /// `prometheus_metrics_config`: LiteLLM's metrics that are told, by name, and the labels of
    /// each; all labels where none are named. None: all metrics.
    pub only: Option<BTreeMap<String, Option<BTreeSet<String>>>>,
    /// `custom_prometheus_metadata_labels`: paths into the metadata of keys and requests.
    pub metadata: Vec<String>,
    /// `custom_prometheus_tags`: tags of requests that are labels.
    pub tags: Vec<String>,
}

/// Their labels, beside those of the operator's own.
pub const LITELLM_LABELS: &[&str] = &[
    "api_base",
    "api_key_alias",
    "api_provider",
    "callback_name",
    "client_ip",
    "end_user",
    "exception_class",
    "exception_status",
    "fallback_model",
    "hashed_api_key",
    "litellm_model_name",
    "model",
    "model_group",
    "model_id",
    "org_alias",
    "org_id",
    "requested_model",
    "route",
    "service_tier",
    "status_code",
    "team",
    "team_alias",
    "user",
    "user_agent",
    "user_email",
];

/// LiteLLM's metrics that are told here, without `_total`; sorted.
pub const LITELLM_METRICS: &[&str] = &[
    "litellm_api_key_budget_remaining_hours_metric",
    "litellm_api_key_max_budget_metric",
    "litellm_callback_logging_failures_metric",
    "litellm_customer_budget_remaining_hours_metric",
    "litellm_customer_max_budget_metric",
    "litellm_deployment_cooled_down",
    "litellm_deployment_failed_fallbacks",
    "litellm_deployment_failure_responses",
    "litellm_deployment_latency_per_output_token",
    "litellm_deployment_rpm_limit",
    "litellm_deployment_state",
    "litellm_deployment_success_responses",
    "litellm_deployment_successful_fallbacks",
    "litellm_deployment_total_requests",
    "litellm_deployment_tpm_limit",
    "litellm_in_flight_requests",
    "litellm_input_cache_creation_tokens_metric",
    "litellm_input_cached_tokens_metric",
    "litellm_input_tokens_metric",
    "litellm_llm_api_failed_requests_metric",
    "litellm_llm_api_latency_metric",
    "litellm_llm_api_time_to_first_token_metric",
    "litellm_org_budget_remaining_hours_metric",
    "litellm_org_max_budget_metric",
    "litellm_output_reasoning_tokens_metric",
    "litellm_output_tokens_metric",
    "litellm_overhead_latency_metric",
    "litellm_provider_cache_creation_input_tokens_metric",
    "litellm_provider_cache_read_input_tokens_metric",
    "litellm_provider_remaining_budget_metric",
    "litellm_proxy_failed_requests_metric",
    "litellm_proxy_total_requests_metric",
    "litellm_remaining_api_key_budget_metric",
    "litellm_remaining_customer_budget_metric",
    "litellm_remaining_org_budget_metric",
    "litellm_remaining_team_budget_metric",
    "litellm_remaining_user_budget_metric",
    "litellm_request_total_latency_metric",
    "litellm_requests_metric",
    "litellm_spend_metric",
    "litellm_team_budget_remaining_hours_metric",
    "litellm_team_max_budget_metric",
    "litellm_teams_count",
    "litellm_total_tokens_metric",
    "litellm_total_users",
    "litellm_user_budget_remaining_hours_metric",
    "litellm_user_max_budget_metric",
];

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
    let metadata = texts("custom_prometheus_metadata_labels", settings, report);
    let tags = texts("custom_prometheus_tags", settings, report);
    let custom = !metadata.is_empty() || !tags.is_empty();
    MetricsSettings {
        open,
        end_users: told && !silent,
        buckets,
        only: only(settings.get("prometheus_metrics_config"), custom, report),
        metadata,
        tags,
    }
}

/// What a group of `prometheus_metrics_config` says.
const GROUP: &[&str] = &["group", "include_labels", "metrics"];

/// More labels make no sense, and each multiplies what Prometheus keeps.
const MAX_CUSTOM: usize = 20;

fn texts(name: &str, settings: &Map, report: &mut Report) -> Vec<String> {
    let what = format!("litellm_settings.{name}");
    let node = settings.get(name);
    let texts: Vec<_> = report
        .list(&what, node)
        .iter()
        .filter_map(|item| report.text(&what, Some(item)).map(str::to_owned))
        .collect();
    if let (true, Some(node)) = (texts.len() > MAX_CUSTOM, node) {
        report.wrong_value::<()>(&what, node, "must be 20 labels at most");
    }
    texts
}

/// `custom` says whether there are labels of the operator's own, whose names are not known here.
fn only(
    node: Option<&Node>,
    custom: bool,
    report: &mut Report,
) -> Option<BTreeMap<String, Option<BTreeSet<String>>>> {
    let what = "litellm_settings.prometheus_metrics_config";
    let groups = report.list(what, node);
    let mut only = BTreeMap::new();
    for group in groups {
        let Some(group) = report.map(what, Some(group)) else { continue };
        for (key, _) in group.entries.iter().filter(|(key, _)| !GROUP.contains(&&*key.text)) {
            let near = words::did_you_mean(&key.text, GROUP.iter().copied());
            let message = format!("unknown key `{}` in {what}", key.text);
            report.push(Diagnostic::error(Code::UnknownKey, message).at(key.place, near));
        }
        let labels = group.get("include_labels").filter(|node| node.value_is_there()).map(|node| {
            let what = format!("{what}: include_labels");
            let labels = report.list(&what, Some(node)).iter();
            let mut told = BTreeSet::new();
            for label in labels {
                let Some(name) = report.text(&what, Some(label)) else { continue };
                if !custom && !LITELLM_LABELS.contains(&name) {
                    unknown("label", name, (label, LITELLM_LABELS), report);
                }
                told.insert(name.to_owned());
            }
            told
        });
        let labels = labels.filter(|labels| !labels.is_empty());
        for metric in report.list(&format!("{what}: metrics"), group.get("metrics")) {
            let Some(name) = report.text(&format!("{what}: metrics"), Some(metric)) else {
                continue;
            };
            let short = name.strip_suffix("_total").unwrap_or(name);
            if !LITELLM_METRICS.contains(&short) {
                unknown("metric", short, (metric, LITELLM_METRICS), report);
            }
            only.insert(short.to_owned(), labels.clone());
        }
    }
    (!only.is_empty()).then_some(only)
}

fn unknown(
    what: &str,
    name: &str,
    (node, known): (&Node, &'static [&'static str]),
    report: &mut Report,
) {
    let near = words::did_you_mean(name, known.iter().copied());
    let message = format!("this version exports no {what} `{name}`");
    let problem = Diagnostic::warning(Code::WrongValue, message);
    report.push(problem.at(node.place, near));
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
