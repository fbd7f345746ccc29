//! `litellm_settings.key_generation_settings`: which non-admins may create keys, and which fields
//! they must set.

use crate::report::Report;
use crate::tree::{Map, Node};

const SETTING: &str = "litellm_settings.key_generation_settings";
const TEAM: &str = "team_key_generation";
const PERSONAL: &str = "personal_key_generation";

/// The rules for keys of teams and for those of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRules {
    /// `team_key_generation`: keys of a team.
    pub team: KeyRule,
    /// `personal_key_generation`: keys of no team.
    pub personal: KeyRule,
}

/// A rule for one kind of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRule {
    /// Who may make them: roles in the team, or of the user; none: all may.
    pub roles: Option<Vec<String>>,
    /// Fields that a request for one must have.
    pub required: Vec<String>,
}

/// Reads them.
pub(crate) fn read(settings: &Map, report: &mut Report) -> KeyRules {
    let empty = Map::default();
    let rules = report.map(SETTING, settings.get("key_generation_settings")).unwrap_or(&empty);
    known(SETTING, rules, &[TEAM, PERSONAL], report);
    KeyRules {
        team: rule(TEAM, rules, "allowed_team_member_roles", report),
        personal: rule(PERSONAL, rules, "allowed_user_roles", report),
    }
}

fn rule(name: &str, rules: &Map, roles: &str, report: &mut Report) -> KeyRule {
    let what = format!("{SETTING}.{name}");
    let Some(rule) = report.map(&what, rules.get(name)) else { return KeyRule::default() };
    known(&what, rule, &[roles, "required_params"], report);
    let named = rule.get(roles).is_some_and(Node::value_is_there);
    let roles = texts(&format!("{what}.{roles}"), rule.get(roles), report);
    let required = texts(&format!("{what}.required_params"), rule.get("required_params"), report);
    KeyRule { roles: named.then_some(roles), required }
}

fn texts(what: &str, node: Option<&Node>, report: &mut Report) -> Vec<String> {
    let items = report.list(what, node);
    items.iter().filter_map(|item| report.text(what, Some(item)).map(str::to_owned)).collect()
}

/// A misspelt rule would admit those it was meant to keep out.
fn known(what: &str, map: &Map, names: &[&str], report: &mut Report) {
    for (key, node) in &map.entries {
        if !names.contains(&key.text.as_str()) {
            let must = format!("has `{}`; it knows {}", key.text, names.join(" and "));
            report.wrong_value::<()>(what, node, &must);
        }
    }
}
