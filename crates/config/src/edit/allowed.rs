//! What may not be set over the API by any caller. An admin's key may be stolen: it can change
//! settings, but must not reach the machines, that is, files, variables, code or addresses of the
//! nodes.

use dunlin_types::is_secret;
use serde_json::Value as Json;

use super::{Edit, EditProblem};
use crate::additions::Basis;
use crate::resolve::PREFIX;
use crate::tree::{Node, Value};
use crate::{keys, words};

/// The sections whose settings may be set.
pub(crate) const SECTIONS: [&str; 3] = ["general_settings", "litellm_settings", "router_settings"];

/// Other sections, and where they are set instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cluster", "it applies to one node only: set it in that node's file or with its flags"),
    (
        "credential_list",
        "credentials are set with POST /credentials or `dunlin credential create`, which seals them, and shown by `dunlin credential list`",
    ),
    (
        "environment_variables",
        "the nodes' environment is set where they are started; give secrets to models with POST \
         /credentials",
    ),
    ("include", "only a config file may name files"),
    (
        "model_list",
        "models are set with POST /model/new or `dunlin model add`, and shown by `dunlin model list`",
    ),
];

const OPENS: &str = "it widens what an API key can reach: set it in the config file";
const FILES: &str = "it names files of the nodes, or makes them trust unknown servers: set it in \
                     the config file";

/// Settings that only a file may set.
const OF_FILES: &[(&str, &str)] = &[
    ("alert_to_webhook_url", "such addresses are secrets, and this version sends no alerts"),
    ("api_callback_networks", OPENS),
    ("api_model_environment", OPENS),
    ("api_model_networks", OPENS),
    ("dangerously_allow_mock_testing_request_params", OPENS),
    ("dangerously_permit_weak_or_unset_master_key", OPENS),
    ("enable_drain_endpoint", OPENS),
    (
        "default_team_settings",
        "its entries name addresses and credentials: a team's callbacks are set with POST \
         /team/{team_id}/callback",
    ),
    (
        "master_key",
        "anyone who could set it could take over the cluster: set it in the config file or as \
         LITELLM_MASTER_KEY of the nodes",
    ),
    (
        "pass_through_endpoints",
        "they name addresses that the nodes call with their own secrets: set them in the config \
         file",
    ),
    ("public_routes", OPENS),
    ("ssl_certificate", FILES),
    ("ssl_verify", FILES),
];

/// Why a section's settings are not read or set one by one over the API, and how they are instead.
#[must_use]
pub fn of_no_settings(section: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(known, _)| *known == section).map(|(_, why)| *why)
}

/// Why only a file may set a setting, if that is so.
#[must_use]
pub fn of_files(name: &str) -> Option<&'static str> {
    OF_FILES.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
}

/// Why an edit may not be made over the API, whatever the config says.
pub(super) fn problems(basis: &Basis, edit: &Edit) -> Vec<EditProblem> {
    let refuse = |told: String| vec![EditProblem::at(&edit.path, told)];
    let section = edit.path.first().map(String::as_str).unwrap_or_default();
    if let Some(why) = of_no_settings(section) {
        return refuse(format!("`{section}` cannot be set over the API: {why}"));
    }
    if !SECTIONS.contains(&section) {
        let is_top = keys::TOP.standing(section).is_some();
        let all = [
            (SECTIONS[0], &keys::GENERAL),
            (SECTIONS[1], &keys::LITELLM),
            (SECTIONS[2], &keys::ROUTER),
        ];
        if let Some((home, _)) =
            all.iter().rev().find(|(_, known)| known.standing(section).is_some() && !is_top)
        {
            return refuse(format!("`{section}` is not a section: it is `{home}.{section}`"));
        }
        let meant = words::did_you_mean(section, SECTIONS);
        let way_out =
            if meant.is_empty() { format!("known are {}", SECTIONS.join(", ")) } else { meant };
        return refuse(format!("there is no section `{section}`: {way_out}"));
    }
    let Some(name) = edit.path.get(1) else {
        return refuse(format!("name the setting, as in `{section}.NAME`"));
    };
    if edit.path.iter().any(String::is_empty) {
        return refuse("the name of a setting cannot be empty".to_owned());
    }
    if let Some(why) = of_files(name) {
        return refuse(format!("`{name}` cannot be set over the API: {why} [DL0123]"));
    }
    let mut found = Vec::new();
    if let Some(value) = &edit.value {
        inside(basis, &mut edit.path.clone(), value, &mut found);
    }
    found
}

/// Looks for secrets and references to the environment, whose names tell what they are.
fn inside(basis: &Basis, path: &mut Vec<String>, value: &Json, found: &mut Vec<EditProblem>) {
    match value {
        Json::Object(map) => {
            for (name, value) in map {
                path.push(name.clone());
                inside(basis, path, value, found);
                path.pop();
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                inside(basis, path, item, found);
                path.pop();
            }
        }
        Json::String(text) => {
            if let Some(variable) = text.strip_prefix(PREFIX) {
                if !basis.lends(variable) {
                    let told = format!(
                        "may not refer to the variable `{variable}`: what is set over the API may name a \
                         variable of the nodes only if general_settings.api_model_environment lists it [DL0123]"
                    );
                    found.push(EditProblem::at(path, told));
                }
            } else if !text.is_empty() && path.iter().any(|name| is_secret(name)) {
                let told = "is a secret in clear: put it into the environment of the nodes and refer to it in \
                            the config file, or give it to models with POST /credentials [DL0123]";
                found.push(EditProblem::at(path, told));
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Stars out what nobody is to read.
pub(super) fn star(root: &mut Node) {
    star_below(root, false);
}

fn star_below(node: &mut Node, hidden: bool) {
    match &mut node.value {
        Value::Map(map) => {
            for (key, child) in &mut map.entries {
                star_below(child, hidden || is_secret(&key.text));
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| star_below(item, hidden)),
        Value::Text(text) if hidden && !text.starts_with(PREFIX) && !text.is_empty() => {
            *text = STARS.to_owned();
        }
        Value::Text(text) if text.contains("://") => {
            *text = words::without_logins(std::mem::take(text));
        }
        Value::Number(_) if hidden => node.value = Value::Text(STARS.to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

const STARS: &str = "*****";
