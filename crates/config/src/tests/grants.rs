//! Who may make keys, and what they must say about them.

use super::*;
use crate::KeyRule;

#[test]
fn settings_with_names_of_their_own_stand_for_fields_that_are_not_told() {
    let litellm = |text: &str| format!("litellm_settings:\n{text}");
    let config = loaded(&litellm(
        "  default_soft_budget: 20\n  max_user_budget: 7\n  \
         budget_exceeded_throttle_percentage: 0.25\ngeneral_settings:\n  \
         apply_user_budget_to_team_keys: true\n",
    ));
    let grants = &config.settings.grants;
    assert_eq!(grants.key_defaults["soft_budget"], "20");
    assert_eq!(grants.user_defaults["max_budget"], "7");
    let budgets = &config.settings.budgets;
    assert_eq!((budgets.throttle, budgets.binds_users_of_teams), (Some(250_000), true));
    let told = loaded(&litellm(
        "  default_soft_budget: 20\n  default_key_generate_params: {soft_budget: 5}\n  \
         max_internal_user_budget: 3\n  max_user_budget: 7\n",
    ));
    assert_eq!(told.settings.grants.key_defaults["soft_budget"], "5");
    assert_eq!(told.settings.grants.user_defaults["max_budget"], "3");
    for part in ["0", "1.5", "-1", "ten"] {
        let text = litellm(&format!("  budget_exceeded_throttle_percentage: {part}\n"));
        assert!(outcome(&text).loaded.is_none(), "{part}: {}", said(&text));
    }
}

#[test]
fn teams_that_users_may_join_are_no_field_of_a_new_user() {
    let text = |teams: &str| {
        format!(
            "litellm_settings: {{default_internal_user_params: {{available_teams: {teams}}}}}\n"
        )
    };
    let grants = loaded(&text("[a, b]")).settings.grants;
    assert_eq!(grants.available_teams, names(["a", "b"]));
    assert!(grants.user_defaults.is_empty());
    assert!(loaded(&text("null")).settings.grants.available_teams.is_empty());
    assert!(said(&text("a")).contains("not a list"), "{}", said(&text("a")));
}

#[test]
fn key_generation_settings_are_read_and_their_slips_are_errors() {
    let rules = |text: &str| format!("litellm_settings:\n  key_generation_settings:\n{text}");
    let config = loaded(&rules(
        "    team_key_generation:\n      allowed_team_member_roles: [admin]\n      \
         required_params: [tags]\n    personal_key_generation:\n      allowed_user_roles: []\n",
    ));
    let found = config.settings.grants.key_rules;
    let team = KeyRule { roles: Some(names(["admin"])), required: names(["tags"]) };
    assert_eq!(found.team, team);
    assert_eq!(found.personal, KeyRule { roles: Some(Vec::new()), required: Vec::new() });
    assert_eq!(loaded("{}").settings.grants.key_rules, crate::KeyRules::default());
    for (text, told) in [
        ("    team_keys: {}\n", "has `team_keys`; it knows team_key_generation and"),
        ("    team_key_generation:\n      allowed_roles: [admin]\n", "has `allowed_roles`"),
        ("    personal_key_generation:\n      allowed_user_roles: admin\n", "not a list"),
    ] {
        let said = said(&rules(text));
        assert!(said.contains(told), "{said}");
        assert!(outcome(&rules(text)).loaded.is_none(), "{text}");
    }
}
