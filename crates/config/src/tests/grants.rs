//! Who may make keys, and what they must say about them.

use super::*;
use crate::KeyRule;

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
