//! What new keys, users and teams get unless they are told, and the most that a key may get: fields of
//! the admin API, handed on as JSON text. What a field may hold is `admin`'s matter.

use std::collections::BTreeMap;

use dunlin_ledger::Every;

use crate::diagnostic::{Code, Diagnostic};
use crate::key_rules::{self, KeyRules};
use crate::report::Report;
use crate::tree::{Map, Node};

/// The bounds that LiteLLM knows.
const BOUNDS: &[&str] = &[
    "budget_duration",
    "duration",
    "max_budget",
    "max_parallel_requests",
    "rpm_limit",
    "tpm_limit",
];

/// Settings with which `default_internal_user_params` may say what it does not, the first of them
/// before the others.
const USER_MOST: &[&str] =
    &["max_internal_user_budget", "default_max_internal_user_budget", "max_user_budget"];
/// The fields that are periods.
const PERIODS: [&str; 2] = ["budget_duration", "team_member_budget_duration"];
const AVAILABLE: &str = "available_teams";
const USER_PERIOD: &str = "internal_user_budget_duration";

/// The settings of `litellm_settings` that say what is given: field names and their JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// `default_key_generate_params`.
    pub key_defaults: BTreeMap<String, String>,
    /// `upperbound_key_generate_params`.
    pub key_bounds: BTreeMap<String, String>,
    /// `default_internal_user_params`.
    pub user_defaults: BTreeMap<String, String>,
    /// `default_internal_user_params.available_teams`: teams that users may join by themselves.
    pub available_teams: Vec<String>,
    /// `default_team_params`.
    pub team_defaults: BTreeMap<String, String>,
    /// `key_generation_settings`.
    pub key_rules: KeyRules,
}

/// Reads them.
pub(crate) fn read(root: &Map, report: &mut Report) -> Grants {
    let empty = Map::default();
    let settings = root.get("litellm_settings").and_then(Node::as_map);
    let settings = settings.unwrap_or(&empty);
    let mut fields = |name: &str| -> BTreeMap<String, String> {
        let map = report.map(&format!("litellm_settings.{name}"), settings.get(name));
        map.into_iter().for_each(|map| check_periods(name, map, report));
        let entries = map.into_iter().flat_map(|map| &map.entries);
        let present = entries.filter(|(_, node)| node.value_is_there());
        present.map(|(key, node)| (key.text.clone(), node.public_json())).collect()
    };
    let mut grants = Grants {
        key_defaults: fields("default_key_generate_params"),
        key_bounds: fields("upperbound_key_generate_params"),
        user_defaults: fields("default_internal_user_params"),
        available_teams: Vec::new(),
        team_defaults: fields("default_team_params"),
        key_rules: key_rules::read(settings, report),
    };
    // It is no field of a new user.
    grants.user_defaults.remove(AVAILABLE);
    grants.available_teams = available_teams(settings, report);
    user_budget(settings, &mut grants.user_defaults, report);
    soft_budget(settings, &mut grants.key_defaults, report);
    let strange = grants.key_bounds.keys().find(|name| !BOUNDS.contains(&name.as_str()));
    if let Some(name) = strange {
        let what = "litellm_settings.upperbound_key_generate_params";
        let node = settings.get("upperbound_key_generate_params").expect("it was read");
        let known = BOUNDS.join(", ");
        report.wrong_value::<()>(what, node, &format!("has `{name}`; it bounds {known}"));
    }
    grants
}

/// A period that no key, user or team may have would keep each from being made.
fn check_periods(setting: &str, given: &Map, report: &mut Report) {
    for name in PERIODS {
        let Some((node, text)) = given.get(name).and_then(|node| Some((node, node.as_text()?)))
        else {
            continue;
        };
        if let Err(bad) = Every::parse(text) {
            let message = format!("litellm_settings.{setting}.{name} is {bad}");
            report.outdated(Diagnostic::error(Code::WrongValue, message).at(node.place, ""));
        }
    }
}

fn available_teams(settings: &Map, report: &mut Report) -> Vec<String> {
    let params = settings.get("default_internal_user_params").and_then(Node::as_map);
    let what = format!("litellm_settings.default_internal_user_params.{AVAILABLE}");
    let items = report.list(&what, params.and_then(|params| params.get(AVAILABLE)));
    items.iter().filter_map(|item| report.text(&what, Some(item)).map(str::to_owned)).collect()
}

/// What is told, not refused, of a new key that does not say. LiteLLM has 50 dollars where nobody says
/// anything.
fn soft_budget(settings: &Map, defaults: &mut BTreeMap<String, String>, report: &mut Report) {
    let (what, node) =
        ("litellm_settings.default_soft_budget", settings.get("default_soft_budget"));
    if let (Some(_), Some(node)) = (report.amount(what, node), node) {
        defaults.entry("soft_budget".to_owned()).or_insert_with(|| node.public_json());
    }
}

/// The budget of new users in its older form.
fn user_budget(settings: &Map, defaults: &mut BTreeMap<String, String>, report: &mut Report) {
    for name in USER_MOST {
        let node = settings.get(name);
        if let (Some(_), Some(node)) =
            (report.amount(&format!("litellm_settings.{name}"), node), node)
        {
            defaults.entry("max_budget".to_owned()).or_insert_with(|| node.public_json());
        }
    }
    let (what, node) = (format!("litellm_settings.{USER_PERIOD}"), settings.get(USER_PERIOD));
    let Some((every, node)) = report.text(&what, node).zip(node) else { return };
    match Every::parse(every) {
        Ok(_) => drop(defaults.entry("budget_duration".to_owned()).or_insert(node.public_json())),
        Err(bad) => drop(report.wrong_value::<()>(&what, node, &format!("is {bad}"))),
    }
}
