//! What Prometheus is told, and who may read it.

use super::{loaded, outcome};

const MODEL: &str =
    "model_list:\n- model_name: m\n  litellm_params: {model: openai/x, api_key: k}\n";

#[test]
fn metrics_are_guarded_and_tell_end_users_apart_only_if_that_is_said() {
    for (settings, open, end_users) in [
        ("{}", false, false),
        ("{require_auth_for_metrics_endpoint: false}", true, false),
        ("{enable_end_user_cost_tracking_prometheus_only: true}", false, true),
        (
            "{enable_end_user_cost_tracking_prometheus_only: true, \
             disable_end_user_cost_tracking_prometheus_only: true}",
            false,
            false,
        ),
    ] {
        let read = loaded(&format!("{MODEL}litellm_settings: {settings}\n")).settings.metrics;
        assert_eq!((read.open, read.end_users), (open, end_users), "{settings}");
    }
}

#[test]
fn bounds_of_histograms_ascend_or_are_refused() {
    let ask = |bounds: &str| {
        let settings = format!("litellm_settings: {{prometheus_latency_buckets: {bounds}}}\n");
        outcome(&format!("{MODEL}{settings}"))
    };
    let good = ask("[0.1, 1, 2.5]").loaded.expect("it loads").settings.metrics.buckets;
    assert_eq!(good.as_deref(), Some(&[0.1, 1.0, 2.5][..]));
    for bad in ["[]", "[1, 1]", "[2, 1]", "[-1, 2]", "[a]", "7"] {
        let found = ask(bad);
        assert!(found.loaded.is_none(), "{bad}");
        let mut told = found.diagnostics.iter().map(|found| &found.message);
        assert!(told.any(|told| told.contains("prometheus_latency_buckets")), "{bad}");
    }
}

#[test]
fn metrics_and_labels_are_chosen_and_slips_are_told() {
    let text = format!(
        "{MODEL}litellm_settings:\n  prometheus_metrics_config:\n  - group: a\n    metrics: [litellm_spend_metric, \
         litellm_requests_metric_total]\n    include_labels: [team]\n  - {{group: b, metrics: \
         [litellm_total_users, litellm_spend_metrik]}}\n  custom_prometheus_tags: [prod]\n  \
         custom_prometheus_metadata_labels: [metadata.a]\n"
    );
    let found = outcome(&text);
    let mut told = found.diagnostics.iter().map(|found| &found.message);
    assert!(told.any(|told| told.contains("no metric `litellm_spend_metrik`")));
    let read = found.loaded.expect("it loads").settings.metrics;
    let only = read.only.expect("some");
    let labels =
        |name: &str| only[name].clone().map(|labels| labels.into_iter().collect::<Vec<_>>());
    assert_eq!(labels("litellm_requests_metric"), Some(vec!["team".to_owned()]));
    assert_eq!(labels("litellm_total_users"), None);
    assert_eq!(
        (read.tags, read.metadata),
        (vec!["prod".to_owned()], vec!["metadata.a".to_owned()])
    );
    assert_eq!(loaded(MODEL).settings.metrics.only, None);
    assert!(crate::LITELLM_METRICS.is_sorted());
    let said = |group: &str| {
        outcome(&format!("{MODEL}litellm_settings: {{prometheus_metrics_config: [{group}]}}\n"))
    };
    let slip = said("{metrics: [litellm_spend_metric], include_labels: [teem]}");
    assert!(slip.diagnostics.iter().any(|found| found.message.contains("no label `teem`")));
    let slip = said("{metrics: [litellm_spend_metric], include_label: [team]}");
    assert!(slip.loaded.is_none(), "a misspelt key is an error");
}

#[test]
fn a_callback_that_reports_to_prometheus_is_in_force() {
    for (callbacks, waits) in [
        ("callbacks: [prometheus]", false),
        ("callbacks: prometheus", false),
        ("service_callback: [prometheus_system]", false),
        ("success_callback: [prometheus, datadog]", true),
    ] {
        let found = outcome(&format!("{MODEL}litellm_settings: {{{callbacks}}}\n"));
        let notes: Vec<_> = found.notes.iter().map(ToString::to_string).collect();
        assert_eq!(notes.iter().any(|note| note.contains("callback")), waits, "{notes:?}");
    }
}
