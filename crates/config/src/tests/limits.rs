//! What deployments may be sent.

use dunlin_router::DeploymentLimits;

use super::{deployment, loaded, outcome};

#[test]
fn a_misspelt_check_is_an_error_that_names_the_right_one() {
    let text = "model_list: []\nrouter_settings: {optional_pre_call_checks: \
                [enforce_model_rate_limit, prompt_caching]}\n";
    let found = outcome(text);
    assert!(found.loaded.is_none());
    let told: Vec<_> = found.diagnostics.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(
        told.iter().filter(|told| told.contains("`enforce_model_rate_limit`")).count(),
        1,
        "{told:?}"
    );
}

#[test]
fn a_deployments_rpm_bounds_what_is_open_and_limits_only_where_that_is_asked_for() {
    let config = |settings: &str, params: &str| {
        let text = format!(
            "model_list:\n- model_name: m\n  litellm_params: {{model: openai/x, api_key: k{params}}}\n\
             {settings}"
        );
        deployment(&loaded(&text), "m", 0).limits
    };
    let enforced = "router_settings: {optional_pre_call_checks: [enforce_model_rate_limits]}\n";
    let standard = "router_settings: {default_max_parallel_requests: 7}\n";
    let limits = |requests, tokens, parallel| DeploymentLimits {
        requests,
        tokens,
        parallel,
        ..DeploymentLimits::default()
    };
    let sides = DeploymentLimits { input: Some(500), output: Some(70), ..Default::default() };
    for (settings, params, expected) in [
        ("", "", limits(None, None, None)),
        ("", ", rpm: 6, tpm: 9000", limits(None, None, Some(6))),
        ("", ", tpm: 9000", limits(None, None, Some(54))),
        ("", ", tpm: 10", limits(None, None, Some(1))),
        ("", ", rpm: 6, max_parallel_requests: 2", limits(None, None, Some(2))),
        ("", ", rpm: 0", limits(None, None, None)),
        (standard, "", limits(None, None, Some(7))),
        (enforced, ", rpm: 6, tpm: 9000", limits(Some(6), Some(9000), Some(6))),
        (enforced, ", itpm: 500, otpm: 70", sides),
        (enforced, ", itpm: 0, otpm: 0", limits(None, None, None)),
        ("", ", itpm: 500, otpm: 70", limits(None, None, None)),
    ] {
        assert_eq!(config(settings, params), expected, "{settings}{params}");
    }
}
