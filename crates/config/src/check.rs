//! Checks the keys of every section against what is known: slips, keys in the wrong place,
//! settings that are refused, replaced or not yet in force.

use crate::diagnostic::{Code, Diagnostic};
use crate::keys::{self, Keys, Standing};
use crate::report::{Fate, Report};
use crate::secret_manager;
use crate::tree::{Key, Map, Node};
use crate::words;

/// What an unknown key becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Kept, and warned of.
    Warned,
    /// Kept for people to read.
    Kept,
    /// A default of the request body.
    BodyField,
}

/// Checks all sections but those inside `model_list`.
pub(crate) fn sections(root: &Map, report: &mut Report) {
    for (key, node) in &root.entries {
        one(&[&keys::TOP], key, node, Unknown::Warned, report);
    }
    report.map("environment_variables", root.get("environment_variables"));
    let named: &[(&str, &[&Keys])] = &[
        ("cluster", &[&keys::CLUSTER]),
        ("general_settings", &[&keys::GENERAL]),
        ("litellm_settings", &[&keys::LITELLM, &keys::ROUTER]),
        ("router_settings", &[&keys::ROUTER]),
    ];
    for (name, known) in named {
        let section = report.map(name, root.get(name));
        for (key, node) in section.into_iter().flat_map(|map| &map.entries) {
            one(known, key, node, Unknown::Warned, report);
            if *name == "general_settings" && key.text == "key_management_system" {
                secret_manager::check(node, report);
            }
            if key.text == "callbacks"
                || key.text.ends_with("_callback")
                || key.text.ends_with("_callbacks")
            {
                hooks(&key.text, node, report);
            }
        }
    }
}

/// Checks one key of a section whose known keys are `known`, the section's own first.
pub(crate) fn one(known: &[&Keys], key: &Key, node: &Node, unknown: Unknown, report: &mut Report) {
    let section = known[0].section;
    let word = key.text.as_str();
    let setting =
        if section == keys::TOP.section { word.to_owned() } else { format!("{section}.{word}") };
    let standing = known.iter().find_map(|keys| keys.standing(word));
    let fate = match standing {
        Some(_) if node.is_idle() => Some(Fate::Kept),
        Some(Standing::InForce) => Some(Fate::Kept),
        Some(Standing::NotYet) if asks_for_metrics(word, node) => Some(Fate::Kept),
        Some(Standing::NotYet) => Some(Fate::NotYet),
        Some(Standing::Replaced(by)) => Some(Fate::Replaced(by)),
        Some(Standing::Refused(_)) | None => None,
    };
    if let Some(fate) = fate {
        report.saw(setting.clone(), key.place, fate);
    }
    match standing {
        Some(_) if node.is_idle() => {}
        Some(Standing::InForce) => {}
        Some(Standing::NotYet) if asks_for_metrics(word, node) => {}
        Some(Standing::NotYet) => report.not_yet(setting),
        Some(Standing::Replaced(by)) => report.replaced(&setting, by),
        Some(Standing::Refused(reason)) => refuse(&setting, key, reason, report),
        None => stranger(known, key, unknown, report),
    }
}

fn refuse(setting: &str, key: &Key, reason: &str, report: &mut Report) {
    let problem = Diagnostic::error(Code::Refused, format!("{setting} is refused"));
    report.push(problem.at(key.place, "running without it could be unsafe").note(reason));
}

fn stranger(known: &[&Keys], key: &Key, unknown: Unknown, report: &mut Report) {
    let (word, section) = (key.text.as_str(), known[0].section);
    if unknown == Unknown::BodyField && is_well_known_body_field(word) {
        return;
    }
    if unknown == Unknown::BodyField && dunlin_llm::is_gateways_own(word) {
        return report.not_yet(format!("{section}.{word}"));
    }
    if let Some(home) = home(word).filter(|_| unknown != Unknown::Kept) {
        let message = format!("`{word}` has no effect in {section}");
        let problem = Diagnostic::warning(Code::WrongSection, message);
        report.lenient(problem.at(key.place, format!("it belongs in {}", home.section)));
        return;
    }
    let message = format!("unknown key `{word}` in {section}");
    let candidates = known.iter().flat_map(|keys| keys.words());
    if let Some(near) = words::nearest(word, candidates) {
        let label = format!("did you mean `{near}`?");
        report.push(Diagnostic::error(Code::UnknownKey, message).at(key.place, label));
    } else if unknown == Unknown::Warned {
        let problem = Diagnostic::warning(Code::UnknownKey, message);
        report.lenient(problem.at(key.place, "it has no effect"));
    }
}

/// True if `litellm_params` sends this key upstream as a default of the request body: no name of
/// LiteLLM's own is, as none of a client's body is.
pub(crate) fn is_body_default(word: &str) -> bool {
    keys::PARAMS.standing(word).is_none()
        && !dunlin_llm::is_gateways_own(word)
        && (is_well_known_body_field(word) || home(word).is_none())
}

fn is_well_known_body_field(word: &str) -> bool {
    keys::BODY.split_whitespace().any(|field| field == word)
}

/// The section in which a key is known.
fn home(word: &str) -> Option<&'static Keys> {
    keys::SECTIONS.iter().find(|keys| keys.standing(word).is_some()).copied()
}

/// Whether the gateway's own services are to be reported to Prometheus alone, which is always told.
fn asks_for_metrics(setting: &str, node: &Node) -> bool {
    let items = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
    let is_metrics =
        |item: &Node| matches!(item.as_text(), Some("prometheus" | "prometheus_system"));
    setting == "service_callback" && items.iter().all(is_metrics)
}

/// Whether a callback blocks requests rather than reports them.
pub(crate) fn is_guard(name: &str) -> bool {
    keys::GUARD_CALLBACKS.split_whitespace().any(|guard| guard == name)
}

/// Callbacks are names of integrations, or Python objects as `file.instance`.
fn hooks(setting: &str, node: &Node, report: &mut Report) {
    let items = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
    for item in items {
        let Some(name) = item.as_text() else { continue };
        let (what, reason) = if name.contains('.') {
            let reason = "Python code cannot run in dunlin; watch requests in a service in front of \
                          it or behind it instead";
            ("is a Python object", reason)
        } else if is_guard(name) {
            (
                "blocks requests",
                "this version does not run this guard; put it in a service of your own in front of \
                 dunlin or behind it",
            )
        } else {
            continue;
        };
        let message = format!("{setting}: `{name}` {what} and is refused");
        report.push(Diagnostic::error(Code::Refused, message).at(item.place, "").note(reason));
    }
}
