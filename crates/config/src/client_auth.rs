//! What requests may bring of their clients' own to a deployment: `configurable_clientside_auth_params`
//! of its model, and `allow_client_side_credentials` for all.

use dunlin_llm::{ClientAuth, Pattern};
use dunlin_types::Networks;

use crate::report::Report;
use crate::tree::{Map, Node};

const NAME: &str = "configurable_clientside_auth_params";
const EVERYWHERE: &str = "allow_client_side_credentials";
/// The names of an address.
const BASES: [&str; 2] = ["api_base", "base_url"];

/// Whether every deployment takes a client's key.
pub(crate) fn everywhere(root: &Map, report: &mut Report) -> bool {
    let general = root.get("general_settings").and_then(Node::as_map);
    let node = general.and_then(|general| general.get(EVERYWHERE));
    report.flag(&format!("general_settings.{EVERYWHERE}"), node).unwrap_or_default()
}

/// What one deployment takes; an address of a client's leads to `networks` alone.
pub(crate) fn of(
    params: &Map,
    (everywhere, is_needed): (bool, bool),
    networks: Networks,
    report: &mut Report,
) -> ClientAuth {
    let what = format!("litellm_params.{NAME}");
    let mut clients = ClientAuth { key: everywhere, bases: Vec::new(), networks, is_needed };
    for node in report.list(&what, params.get(NAME)) {
        let Some(map) = node.as_map() else {
            match report.text(&what, Some(node)) {
                Some("api_key") => clients.key = true,
                Some(base) if BASES.contains(&base) => {
                    report.not_yet(format!("{what}: {base} without a pattern"));
                }
                Some(other) => report.not_yet(format!("{what}: {other}")),
                None => {}
            }
            continue;
        };
        for (key, node) in &map.entries {
            if BASES.contains(&&*key.text) {
                clients.bases.extend(base(&what, node, report));
            } else {
                report.not_yet(format!("{what}: {}", key.text));
            }
        }
    }
    clients
}

fn base(what: &str, node: &Node, report: &mut Report) -> Option<Pattern> {
    let text = report.text(what, Some(node))?;
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(why) => report.wrong_value(what, node, &format!("has a pattern that is none: {why}")),
    }
}
