//! How a deployment is called to see whether it lives.

use std::time::Duration;

use dunlin_router::HealthCheck;

use super::outcome;

fn read(info: &str) -> (Option<HealthCheck>, Vec<String>) {
    let text = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \
         \"http://h/v1\"}}\n    model_info: {{{info}}}\n"
    );
    let outcome = outcome(&text);
    let told = outcome.diagnostics.iter().map(|found| found.message.clone()).collect();
    let group = outcome.loaded.and_then(|loaded| loaded.catalog.groups.get("m").cloned());
    (group.map(|group| group.deployments[0].about.check.clone()), told)
}

#[test]
fn a_deployment_says_how_it_is_called_to_see_whether_it_lives() {
    let of = |info: &str| {
        let (check, told) = read(info);
        check.unwrap_or_else(|| panic!("{info}: {told:?}"))
    };
    assert_eq!(of(""), HealthCheck::default());
    assert_eq!(of("mode: responses").max_output, 16);
    assert_eq!(of("supports_reasoning: true").max_output, 16);
    let thinking = of("supports_reasoning: true, health_check_max_tokens_reasoning: 99");
    assert_eq!(thinking.max_output, 99);
    assert_eq!(of("health_check_max_tokens_reasoning: 99").max_output, 5);
    let all = of("health_check_model: openai/small, health_check_timeout: 9, \
         health_check_max_tokens: 2, health_check_voice: echo, health_check_reasoning_effort: low");
    let expected = HealthCheck {
        model: Some("small".into()),
        timeout: Duration::from_secs(9),
        max_output: 2,
        voice: "echo".into(),
        effort: Some("low".into()),
    };
    assert_eq!(all, expected);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (info, must) in [
        ("health_check_timeout: 61", "at most 60 seconds"),
        ("health_check_timeout: soon", "a number"),
        ("health_check_max_tokens: 0", "at least 1"),
        ("health_check_voice: [a]", "a text"),
    ] {
        let (check, told) = read(info);
        assert!(check.is_none() && told.iter().any(|it| it.contains(must)), "{info}: {told:?}");
    }
}
