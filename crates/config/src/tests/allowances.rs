//! Budgets of providers, deployments and tags.

use dunlin_ledger::Allowance;
use dunlin_types::{NanoUsd, OnLoss};

use super::{deployment, document, environment, loaded, options, outcome};
use crate::{Options, load};

fn config(params: &str, settings: &str) -> String {
    format!(
        "model_list:\n- model_name: m\n  litellm_params: {{model: openai/x, api_key: k{params}}}\n\
         {settings}"
    )
}

fn allowance(most: u64, every: Option<&str>) -> Allowance {
    Allowance { most: NanoUsd(most), every: every.map(str::to_owned) }
}

#[test]
fn what_is_called_may_have_a_budget_in_either_spelling() {
    let settings = "router_settings:\n  provider_budget_config:\n    \
                    openai: {budget_limit: 0.5, time_period: 1d}\n\
                    litellm_settings:\n  tag_budget_config:\n    \
                    a: {max_budget: 1, budget_duration: 30s}\n    b: {budget_limit: 0}\n";
    let loaded = loaded(&config(", max_budget: 0.25, budget_duration: 1h", settings));
    let own = deployment(&loaded, "m", 0).budget;
    assert_eq!(own, Some(allowance(250_000_000, Some("1h"))));
    let providers: Vec<_> = loaded.catalog.provider_budgets.into_iter().collect();
    assert_eq!(providers, [("openai".into(), allowance(500_000_000, Some("1d")))]);
    let tags: Vec<_> = loaded.catalog.tag_budgets.into_iter().collect();
    let expected =
        [("a".into(), allowance(1_000_000_000, Some("30s"))), ("b".into(), allowance(0, None))];
    assert_eq!(tags, expected);
}

#[test]
fn a_budget_that_cannot_be_kept_is_told() {
    let providers = |map: &str| format!("router_settings: {{provider_budget_config: {map}}}\n");
    for (params, settings, told) in [
        (", max_budget: -1", String::new(), "litellm_params.max_budget must not be negative"),
        (
            ", max_budget: 1, budget_duration: soon",
            String::new(),
            "litellm_params.budget_duration is not a duration",
        ),
        (
            ", max_budget: 1, budget_duration: 0d",
            String::new(),
            "litellm_params.budget_duration is too short",
        ),
        ("", providers("{openai: 5}"), "provider_budget_config.openai is a number, not a map"),
        (
            "",
            providers("{opnai: {budget_limit: 5}}"),
            "provider_budget_config has `opnai`, but no model is of that provider",
        ),
        (
            "",
            providers("{openai: {time_period: 1d}}"),
            "provider_budget_config.openai has no budget_limit",
        ),
    ] {
        let found = outcome(&config(params, &settings)).diagnostics;
        let found: Vec<_> = found.iter().map(crate::Diagnostic::headline).collect();
        assert!(found.iter().any(|line| line.contains(told)), "{told}: {found:?}");
    }
}

/// An earlier version took it, and a cluster that has it in force must start with this one.
#[test]
fn a_period_of_no_length_that_is_in_force_is_warned_of_and_binds_nothing() {
    let settings = "router_settings: {provider_budget_config: {openai: {budget_limit: 1, \
                    time_period: 0d}}}\n\
                    litellm_settings: {default_key_generate_params: {budget_duration: 0d}}\n";
    let text = config(", max_budget: 1, budget_duration: 0s", settings);
    let found = outcome(&text);
    assert!(found.loaded.is_none());
    let accepted = Options { accepted: true, ..options() };
    let in_force = load(&document(&text), &environment(), &accepted);
    let told = in_force.diagnostics.iter().filter(|told| told.headline().contains("too short"));
    assert_eq!(told.count(), 3, "{:?}", in_force.diagnostics);
    let loaded = in_force.loaded.expect("it is in force");
    assert_eq!(deployment(&loaded, "m", 0).budget, None);
    assert!(loaded.catalog.provider_budgets.is_empty());
}

#[test]
fn new_users_have_the_budget_that_either_form_gives_them() {
    let given = |settings: &str| {
        let found = loaded(&config("", &format!("litellm_settings: {{{settings}}}\n")));
        found.settings.grants.user_defaults.into_iter().collect::<Vec<_>>()
    };
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let older = "max_internal_user_budget: 5, internal_user_budget_duration: 30d";
    let expected = [pair("budget_duration", "\"30d\""), pair("max_budget", "5")];
    assert_eq!(given(older), expected);
    let both = "max_internal_user_budget: 5, default_internal_user_params: {max_budget: 1.5}";
    assert_eq!(given(both), [pair("max_budget", "1.5")]);
    let bad = config("", "litellm_settings: {internal_user_budget_duration: soon}\n");
    let told = outcome(&bad).diagnostics;
    let why = "internal_user_budget_duration is not a duration";
    assert!(told.iter().any(|told| told.headline().contains(why)), "{told:?}");
}

#[test]
fn end_users_and_open_requests_have_their_defaults() {
    let settings = "litellm_settings: {max_end_user_budget: 0.5, max_end_user_budget_id: c}\n\
                    general_settings: {max_parallel_requests: 3, global_max_parallel_requests: 9}\n";
    let settings = loaded(&config("", settings)).settings;
    assert_eq!(settings.budgets.end_user_most, Some(NanoUsd(500_000_000)));
    assert_eq!(settings.budgets.end_user_budget_id.as_deref(), Some("c"));
    assert_eq!((settings.key_parallel, settings.node_parallel), (Some(3), Some(9)));
}

#[test]
fn what_limits_do_while_nodes_are_lost() {
    for (said, due) in [
        ("", OnLoss::Full),
        ("on_loss: share", OnLoss::Share),
        ("fail_closed_rate_limit_enforcement: true", OnLoss::Closed),
        ("fail_closed_rate_limit_enforcement: true, on_loss: open", OnLoss::Open),
    ] {
        let text = config("", &format!("general_settings: {{{said}}}\n"));
        assert_eq!(loaded(&text).settings.on_loss, due, "{said}");
    }
    let told = outcome(&config("", "general_settings: {on_loss: shared}\n")).diagnostics;
    let why = "general_settings.on_loss must be full, share, closed or open";
    assert!(told.iter().any(|told| told.headline().contains(why)), "{told:?}");
}
