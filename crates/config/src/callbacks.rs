//! Where request records are sent: `callbacks`, `success_callback`, `failure_callback` and
//! `default_team_settings` of `litellm_settings`, and `callback_settings`.

mod bad;
mod receiver;

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_types::{Network, Networks, Secret};
use http::HeaderName;

use crate::check::{self, Unknown};
use crate::diagnostic::{Code, Diagnostic};
use crate::report::Report;
use crate::tree::{Key, Map, Node, Value};
use crate::{Environment, keys, rules};

pub use bad::BadReceiver;
use receiver::is_unserved;
pub use receiver::{
    CallbackKind, GenericApi, Langfuse, LogFormat, Otel, Receiver, Variable, nearest_callback,
};

/// Callbacks of one list or of one team; more make no sense.
pub const MAX_CALLBACKS: usize = 16;
/// What becomes of a receiver that cannot be sent to.
const NOTHING_SENT: &str = "nothing is sent there";

/// What is sent where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callbacks {
    /// For every request.
    pub all: Vec<Callback>,
    /// For the requests of a team's keys, by `team_id`.
    pub teams: BTreeMap<String, Vec<Callback>>,
    /// What is known from the environment, whether it is listed or not: who lists it for a key or a
    /// team need not say more.
    pub shared: Vec<Callback>,
    /// Where receivers may be that are set over the API.
    pub networks: Networks,
    /// `redact_user_api_key_info`: whose key it was is not sent.
    pub hides_callers: bool,
}

/// A receiver and what it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Callback {
    /// Its name: LiteLLM's, or one of `callback_settings`.
    pub name: Arc<str>,
    /// Who is sent records.
    pub receiver: Receiver,
    /// Of which requests.
    pub on: Outcomes,
    /// `message_logging`: whether prompts and answers are among it, where nothing else forbids it.
    pub messages: bool,
}

/// Of which requests a record is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcomes {
    /// Those that were answered.
    pub success: bool,
    /// Those that were not.
    pub failure: bool,
}

impl Outcomes {
    /// LiteLLM's words: `success`, `failure`, `success_and_failure`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let (success, failure) = match word {
            "success" => (true, false),
            "failure" => (false, true),
            "success_and_failure" => (true, true),
            _ => return None,
        };
        Some(Self { success, failure })
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.success, self.failure) {
            (true, false) => "success",
            (false, true) => "failure",
            (true, true) | (false, false) => "success_and_failure",
        }
    }

    fn or(self, other: Self) -> Self {
        Self { success: self.success || other.success, failure: self.failure || other.failure }
    }
}

const ENDPOINT: &str = "GENERIC_LOGGER_ENDPOINT";
const NETWORKS: &str = "general_settings.api_callback_networks";
const LISTS: [(&str, Outcomes); 3] = [
    ("callbacks", Outcomes { success: true, failure: true }),
    ("success_callback", Outcomes { success: true, failure: false }),
    ("failure_callback", Outcomes { success: false, failure: true }),
];

/// Reads the settings of callbacks.
pub(crate) fn read(root: &Map, environment: &Environment, report: &mut Report) -> Callbacks {
    let empty = Map::default();
    let litellm = root.get("litellm_settings").and_then(Node::as_map).unwrap_or(&empty);
    let options = report.map("callback_settings", root.get("callback_settings"));
    let mut reader = Reader { options: options.unwrap_or(&empty), environment, report };
    reader.check_options();
    let all = reader.lists("litellm_settings", litellm, None);
    let teams = reader.teams(litellm.get("default_team_settings"));
    let hides = "redact_user_api_key_info";
    let hides = report.flag(&format!("litellm_settings.{hides}"), litellm.get(hides));
    let networks = networks(root, report);
    let shared = shared(environment);
    Callbacks { all, teams, shared, networks, hides_callers: hides.unwrap_or_default() }
}

fn shared(environment: &Environment) -> Vec<Callback> {
    let known = CallbackKind::ALL.into_iter().filter_map(|kind| {
        let variable = |name| environment.get(name).filter(|value| !value.is_empty());
        let receiver = kind.receiver(&variable).ok()?;
        let on = Outcomes { success: true, failure: true };
        Some(Callback { name: kind.name().into(), receiver, on, messages: true })
    });
    known.collect()
}

/// `api_callback_networks`. Team admins and key owners may name a receiver, so by default it must
/// not be in the nodes' own networks.
fn networks(root: &Map, report: &mut Report) -> Networks {
    let general = root.get("general_settings").and_then(Node::as_map);
    let node = general.and_then(|general| general.get("api_callback_networks"));
    let node = node.filter(|node| node.value_is_there());
    let listed = node.map(|node| rules::networks(NETWORKS, node, report));
    Networks::Only(listed.unwrap_or_else(|| vec![Network::Public]).into())
}

struct Reader<'r> {
    /// `callback_settings`.
    options: &'r Map,
    environment: &'r Environment,
    report: &'r mut Report,
}

impl Reader<'_> {
    fn check_options(&mut self) {
        for (name, node) in &self.options.entries {
            let what = format!("callback_settings.{}", name.text);
            let of_one = self.report.map(&what, Some(node));
            for (key, node) in of_one.into_iter().flat_map(|map| &map.entries) {
                check::one(&[&keys::CALLBACK], key, node, Unknown::Warned, self.report);
            }
        }
    }

    /// What the three lists of a section name, each callback once. `own` are variables that stand
    /// beside them.
    fn lists(&mut self, section: &str, map: &Map, own: Option<&Map>) -> Vec<Callback> {
        let mut found: Vec<Callback> = Vec::new();
        for (list, on) in LISTS {
            let what = format!("{section}.{list}");
            for item in each(map.get(list)) {
                let Some(name) = self.report.text(&what, Some(item)) else { continue };
                if let Some(known) = found.iter_mut().find(|known| *known.name == *name) {
                    known.on = known.on.or(on);
                } else if let Some(callback) = self.callback(&what, item, on, own) {
                    found.push(callback);
                }
            }
        }
        if found.len() > MAX_CALLBACKS {
            let message = format!("{section} names more than {MAX_CALLBACKS} callbacks");
            self.report.push(Diagnostic::error(Code::WrongValue, message));
        }
        found
    }

    fn callback(
        &mut self,
        what: &str,
        item: &Node,
        on: Outcomes,
        own: Option<&Map>,
    ) -> Option<Callback> {
        let name = item.as_text()?;
        let options = self.options.get(name).and_then(Node::as_map);
        let kind = options.and_then(|options| options.get("callback_type")?.as_text());
        let Some(kind) = CallbackKind::named(kind.unwrap_or(name)) else {
            self.unserved(what, name, item);
            return None;
        };
        let text = |map: Option<&Map>, key: &str| map?.get(key)?.as_text().map(str::to_owned);
        let environment = self.environment;
        let variables: BTreeMap<&'static str, String> = kind
            .variables()
            .iter()
            .filter_map(|variable| {
                let name = variable.name;
                let beside = || text(own, name).or_else(|| text(own, &name.to_ascii_lowercase()));
                // Where an address stands beside its own name, the nodes' secrets do not go there.
                let shared = || environment.get(name).map(str::to_owned);
                let value = if own.is_some() { beside() } else { shared() };
                Some((name, value.filter(|value| !value.is_empty())?))
            })
            .collect();
        if let Some((node, variable)) = options.and_then(unset) {
            let why = format!("{what}: `{name}`: environment variable `{variable}` is not set");
            let problem = Diagnostic::warning(Code::UnsetVariable, why);
            self.report.push(problem.at(node.place, NOTHING_SENT));
            return None;
        }
        let given = Given { kind, options, variables };
        let receiver = match given.receiver() {
            Ok(receiver) => receiver,
            Err(bad) => {
                let bad = match own {
                    Some(own) => bad.in_words_of(own.entries.iter().map(|(key, _)| &*key.text)),
                    None => bad.renamed(|of| given.written(name, of)),
                };
                self.bad(what, name, item, &bad);
                return None;
            }
        };
        let messages = options.and_then(|options| {
            let what = format!("callback_settings.{name}.message_logging");
            self.report.flag(&what, options.get("message_logging"))
        });
        let on = self.events(name, options, on);
        Some(Callback { name: name.into(), receiver, on, messages: messages.unwrap_or(true) })
    }

    /// `event_types`, which narrow what a list says.
    fn events(&mut self, name: &str, options: Option<&Map>, on: Outcomes) -> Outcomes {
        let what = format!("callback_settings.{name}.event_types");
        let Some(node) = options.and_then(|options| options.get("event_types")) else { return on };
        let mut events = Outcomes { success: false, failure: false };
        for item in self.report.list(&what, Some(node)) {
            match item.as_text() {
                Some("llm_api_success") => events.success = true,
                Some("llm_api_failure") => events.failure = true,
                _ => {
                    let must = "must be a list of llm_api_success and llm_api_failure";
                    return self.report.wrong_value(&what, item, must).unwrap_or(on);
                }
            }
        }
        Outcomes { success: on.success && events.success, failure: on.failure && events.failure }
    }

    /// A name that nothing is sent under.
    fn unserved(&mut self, what: &str, name: &str, item: &Node) {
        let reports_elsewhere = matches!(name, "prometheus" | "prometheus_system");
        if reports_elsewhere || name.contains('.') || check::is_guard(name) {
            return;
        }
        if is_unserved(name) {
            let instead = format!(
                "this version cannot send to `{name}`; `generic_api` posts every record as JSON to \
                 any address"
            );
            self.report.replaced(what, &instead);
            return;
        }
        let message = format!("{what}: there is no callback `{name}`");
        let near = nearest_callback(name).map(|near| format!("did you mean `{near}`?"));
        let label = near.unwrap_or_else(|| {
            let served = CallbackKind::ALL.map(CallbackKind::name).join(", ");
            format!("supported are {served}, and names in callback_settings")
        });
        self.report.push(Diagnostic::error(Code::WrongValue, message).at(item.place, label));
    }

    /// A variable that is missing is missing on this node only.
    fn bad(&mut self, what: &str, name: &str, item: &Node, bad: &BadReceiver) {
        let message = format!("{what}: `{name}`: {bad}");
        let problem = match bad {
            BadReceiver::Missing(_) => Diagnostic::warning(Code::UnsetVariable, message),
            BadReceiver::Wrong(..) | BadReceiver::Unknown { .. } => {
                Diagnostic::error(Code::WrongValue, message)
            }
        };
        self.report.push(problem.at(item.place, NOTHING_SENT));
    }

    /// `default_team_settings`: a list with a `team_id` in each entry.
    fn teams(&mut self, node: Option<&Node>) -> BTreeMap<String, Vec<Callback>> {
        let what = "litellm_settings.default_team_settings";
        let mut teams = BTreeMap::new();
        for entry in self.report.list(what, node) {
            let Some(map) = self.report.map(what, Some(entry)) else { continue };
            let team = self.report.text(&format!("{what}.team_id"), map.get("team_id"));
            let Some(team) = team.filter(|team| !team.is_empty()) else {
                let problem = Diagnostic::error(Code::Missing, format!("{what} needs a team_id"));
                self.report.push(problem.at(entry.place, ""));
                continue;
            };
            let is_variable = |(key, _): &&(Key, Node)| {
                let lists = LISTS.iter().map(|(list, _)| *list);
                key.text != "team_id" && !lists.into_iter().any(|list| list == key.text)
            };
            let own = Map { entries: map.entries.iter().filter(is_variable).cloned().collect() };
            self.check_variables(what, &own);
            let own = (!own.entries.is_empty()).then_some(&own);
            teams.insert(team.to_owned(), self.lists(what, map, own));
        }
        teams
    }
}

impl Reader<'_> {
    /// A variable of a team that no callback has does nothing.
    fn check_variables(&mut self, what: &str, own: &Map) {
        let known = |name: &str| {
            let kinds = CallbackKind::ALL.iter();
            let mut all = kinds.flat_map(|kind| kind.variables());
            all.any(|known| known.name.eq_ignore_ascii_case(name))
        };
        for (key, _) in own.entries.iter().filter(|(key, _)| !known(&key.text)) {
            let message = format!("{what}: `{}` is not a callback variable", key.text);
            match receiver::nearest_variable(&key.text, &CallbackKind::ALL) {
                Some(near) => {
                    let problem = Diagnostic::error(Code::UnknownKey, message);
                    self.report.push(problem.at(key.place, format!("did you mean `{near}`?")));
                }
                // It may be one of a callback that is not served.
                None => {
                    let problem = Diagnostic::warning(Code::UnknownKey, message);
                    self.report.lenient(problem.at(key.place, "it has no effect"));
                }
            }
        }
    }
}

/// What a receiver is made of.
struct Given<'g> {
    kind: CallbackKind,
    options: Option<&'g Map>,
    variables: BTreeMap<&'static str, String>,
}

impl Given<'_> {
    /// Where the operator wrote, or would write, what the receiver calls `of`.
    fn written(&self, name: &str, of: &str) -> String {
        let key = if of == ENDPOINT { "endpoint" } else { of };
        let is_there = self.options.is_some_and(|options| options.get(key).is_some());
        let is_own = key == "endpoint" && name != self.kind.name();
        if is_there || is_own { format!("callback_settings.{name}.{key}") } else { of.to_owned() }
    }

    fn receiver(&self) -> Result<Receiver, BadReceiver> {
        let option = |name: &str| self.options?.get(name);
        let endpoint = option("endpoint").and_then(Node::as_text);
        let mut receiver = self.kind.receiver(&|name| {
            let set = (name == ENDPOINT).then_some(endpoint).flatten();
            // Another address is not shown the headers of the one in the environment.
            let hidden = endpoint.is_some() && name == "GENERIC_LOGGER_HEADERS";
            let variable = self.variables.get(name).filter(|_| !hidden);
            set.or(variable.map(String::as_str))
        })?;
        match &mut receiver {
            Receiver::Langfuse(_) | Receiver::Otel(_) => {}
            Receiver::GenericApi(generic) => {
                if let Some(node) = option("headers").filter(|node| node.value_is_there()) {
                    generic.headers = headers(node)?;
                }
                if let Some(format) = option("log_format").filter(|node| node.value_is_there()) {
                    let must = "must be json_array, ndjson or single";
                    generic.format = format
                        .as_text()
                        .and_then(LogFormat::named)
                        .ok_or(BadReceiver::wrong("log_format", must))?;
                }
            }
        }
        Ok(receiver)
    }
}

/// What this node's environment lacks of an address or its headers.
fn unset(options: &Map) -> Option<(&Node, &str)> {
    let endpoint = options.get("endpoint").into_iter();
    let headers = options.get("headers").and_then(Node::as_map);
    let headers = headers.into_iter().flat_map(|map| &map.entries).map(|(_, value)| value);
    endpoint.chain(headers).find_map(|node| Some((node, node.missing()?)))
}

/// A map of headers.
fn headers(node: &Node) -> Result<Vec<(HeaderName, Secret)>, BadReceiver> {
    let wrong = BadReceiver::wrong("headers", "must be a map of names and texts");
    let Value::Map(map) = &node.value else { return Err(wrong) };
    let each = map.entries.iter().map(|(key, value)| receiver::header(&key.text, value.as_text()?));
    each.map(|header| header.ok_or(wrong.clone())).collect()
}

/// The items of a list, or the one that stands in its place.
fn each(node: Option<&Node>) -> &[Node] {
    match node {
        None => &[],
        Some(node) if node.is_idle() => &[],
        Some(node) if matches!(node.value, Value::List(_)) => node.items(),
        Some(node) => std::slice::from_ref(node),
    }
}
