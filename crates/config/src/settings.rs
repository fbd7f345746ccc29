//! `general_settings` and `cluster`: what the node itself is told.

use dunlin_types::{OnLoss, Secret, Tls};

use crate::Environment;
use crate::budgets::Budgets;
use crate::callbacks::Callbacks;
use crate::demands::{self, Demands};
use crate::diagnostic::{Code, Diagnostic};
use crate::forwarding;
use crate::grants::{self, Grants};
use crate::metrics::{self, MetricsSettings};
use crate::report::Report;
use crate::request_log::{self, RequestLog};
use crate::tree::{Map, Node, Value};

/// Shorter master keys can be guessed.
const MIN_MASTER_KEY: usize = 16;
/// The master key of every tutorial.
const TUTORIAL_KEY: &str = "sk-1234";
/// Each open request may hold as much.
const MAX_REQUEST_MB: usize = 1024;
const MASTER_KEY: &str = "general_settings.master_key";

/// What the client API is told, the same on every node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `general_settings.master_key`, else `LITELLM_MASTER_KEY`; may be weak, see
    /// [`check_master_key`].
    pub master_key: Option<Secret>,
    /// `dangerously_permit_weak_or_unset_master_key`, there or as LiteLLM's variable.
    pub permit_weak_master_key: bool,
    /// `litellm_key_header_name`: one more header in which clients may send their key.
    pub key_header: Option<String>,
    /// `max_request_size_mb`: longer request bodies are refused; in bytes.
    pub max_request_bytes: Option<usize>,
    /// `user_header_mappings` of customers, then `user_header_name`: headers that may say who the
    /// client's user is. In lower case.
    pub end_user_headers: Vec<String>,
    /// `use_x_forwarded_for`: the proxy in front says who the client is.
    pub trusts_forwarded_for: bool,
    /// `token_rate_limit_type`: which tokens count against limits of tokens.
    pub counted: CountedTokens,
    /// `on_loss`, or `closed` with `fail_closed_rate_limit_enforcement`: what limits do while nodes are
    /// lost whose payer does not say.
    pub on_loss: OnLoss,
    /// `max_parallel_requests`: the requests at once of a key that does not say.
    pub key_parallel: Option<u64>,
    /// `global_max_parallel_requests`: requests at once on one node.
    pub node_parallel: Option<u64>,
    /// What holds for all budgets.
    pub budgets: Budgets,
    /// Where request records are sent.
    pub callbacks: Callbacks,
    /// How servers are trusted that have no settings of their own.
    pub tls: Tls,
    /// What new keys, users and teams are given.
    pub grants: Grants,
    /// What goes on record and how long it is kept.
    pub log: RequestLog,
    /// What Prometheus is told, and who may read it.
    pub metrics: MetricsSettings,
    /// `store_model_in_db`: whether models may be set over the API. Unless it is said, they may.
    pub stores_models: Option<bool>,
    /// Who may have a node drained by `GET /health/drain` beside admins.
    pub drain: DrainEndpoint,
    /// What every request must have.
    pub demands: Demands,
    /// `always_include_stream_usage`: streams tell their usage unasked.
    pub always_tells_usage: bool,
    /// `include_call_id_in_error_body`.
    pub names_call_in_errors: bool,
    /// Headers of clients that go along to providers.
    pub forwarded: Forwarded,
}

/// Headers of clients that go along to providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `x-...`, to some models at least: each knows by [`dunlin_llm::Target::forwards_headers`].
    pub own: bool,
    /// `forward_openai_org_id`: `openai-organization`.
    pub organization: bool,
    /// `forward_traceparent_to_llm_provider`: `traceparent`.
    pub trace: bool,
}

/// Who may have a node drained by `GET /health/drain` beside admins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainEndpoint {
    /// `enable_drain_endpoint`: somebody who shows no key may.
    pub open: bool,
    /// `drain_endpoint_token`, else `DRAIN_ENDPOINT_TOKEN`, which a client sends in
    /// `x-drain-token`. `None`: no token is needed.
    pub token: Option<Secret>,
}

/// Which tokens count against limits of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountedTokens {
    /// `total`.
    #[default]
    Total,
    /// `input`.
    Input,
    /// `output`.
    Output,
}

/// The `cluster:` section: what one node is told about itself and its peers. It stays on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSection {
    /// The secret that all nodes of the cluster share.
    pub secret: Option<Secret>,
    /// `HOST:PORT` for traffic between nodes.
    pub listen: Option<String>,
    /// `HOST:PORT` at which other nodes reach this one.
    pub advertise: Option<String>,
    /// Addresses of nodes to form a cluster with or to join. `Some(vec![])`: none, on purpose.
    pub join: Option<Vec<String>>,
    /// How many nodes form the first cluster; at least 1.
    pub bootstrap_expect: Option<usize>,
    /// The node's own folder.
    pub data_dir: Option<String>,
    /// The client API's address.
    pub host: Option<String>,
    /// The client API's port.
    pub port: Option<u16>,
    /// As large as this node's request log may become, in GiB.
    pub request_log_max_gb: Option<u64>,
    /// A file with the prices of models, instead of those compiled in.
    pub prices: Option<String>,
    /// A name for people. Identity is the node id in the data directory.
    pub name: Option<String>,
    /// How long a node that hears no majority serves by itself, in seconds; at least 1.
    pub max_staleness: Option<u64>,
    /// Seconds that a client's connection may be idle between two requests: 1 to 3600.
    pub keepalive_timeout: Option<u64>,
    /// What it does then, if it finds no other node to pass requests on to.
    pub on_stale: Option<OnStale>,
}

/// What a node does that may lack something, and finds no other to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStale {
    /// `refuse`: it answers 503.
    Refuse,
    /// `serve_known`: it serves by what it knows.
    ServeKnown,
}

/// Why a master key is refused, and the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason}: anyone who has it may do everything\nhelp: export LITELLM_MASTER_KEY=\"sk-$(openssl \
     rand -hex 16)\", or set general_settings.master_key; to try things out with a weak key or \
     none, set general_settings.dangerously_permit_weak_or_unset_master_key: true"
)]
pub struct WeakMasterKey {
    /// What is wrong with the key, without the key.
    pub reason: &'static str,
}

/// Refuses master keys that anybody can guess, unless that is permitted.
///
/// # Errors
/// No key, an empty one, the tutorials' `sk-1234`, or fewer than 16 bytes.
pub fn check_master_key(key: Option<&Secret>, permit_weak: bool) -> Result<(), WeakMasterKey> {
    let reason = match key.map(Secret::expose) {
        _ if permit_weak => return Ok(()),
        None => "the master key is not set",
        Some("") => "the master key is empty",
        Some(TUTORIAL_KEY) => "the master key is the sk-1234 of the tutorials",
        Some(key) if key.len() < MIN_MASTER_KEY => "the master key is shorter than 16 characters",
        Some(_) => return Ok(()),
    };
    Err(WeakMasterKey { reason })
}

/// Reads `general_settings`.
pub(crate) fn settings(root: &Map, environment: &Environment, report: &mut Report) -> Settings {
    let empty = Map::default();
    let general = root.get("general_settings").and_then(Node::as_map).unwrap_or(&empty);
    let switch = "dangerously_permit_weak_or_unset_master_key";
    let permitted = report.flag(&format!("general_settings.{switch}"), general.get(switch));
    let by_variable = environment
        .get("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let permit_weak_master_key = permitted.unwrap_or(by_variable);
    let header = "litellm_key_header_name";
    let on = |key: &str, report: &mut Report| {
        report.flag(&format!("general_settings.{key}"), general.get(key)).unwrap_or_default()
    };
    Settings {
        master_key: master_key(general, permit_weak_master_key, environment, report),
        permit_weak_master_key,
        key_header: report
            .text(&format!("general_settings.{header}"), general.get(header))
            .map(str::to_owned),
        max_request_bytes: max_request_bytes(general, report),
        demands: demands::read(general, report),
        always_tells_usage: on("always_include_stream_usage", report),
        names_call_in_errors: on("include_call_id_in_error_body", report),
        forwarded: forwarding::forwarded(root, report),
        drain: drain(general, environment, report),
        grants: grants::read(root, report),
        log: request_log::read(root, report),
        metrics: metrics::read(root, report),
        end_user_headers: end_user_headers(general, report),
        counted: counted(general, report),
        on_loss: on_loss(general, report),
        key_parallel: parallel("max_parallel_requests", general, report),
        node_parallel: parallel("global_max_parallel_requests", general, report),
        trusts_forwarded_for: report
            .flag("general_settings.use_x_forwarded_for", general.get("use_x_forwarded_for"))
            .unwrap_or_default(),
        ..Settings::default()
    }
}

fn drain(general: &Map, environment: &Environment, report: &mut Report) -> DrainEndpoint {
    let switch = "enable_drain_endpoint";
    let open = report.flag(&format!("general_settings.{switch}"), general.get(switch));
    let (name, node) =
        ("general_settings.drain_endpoint_token", general.get("drain_endpoint_token"));
    // Written as a number it may not be the text that was meant: 007, 1e3.
    let said = match node.map(|node| &node.value) {
        Some(Value::Number(_)) => {
            let node = node.expect("it is there");
            report.wrong_value(name, node, "must be a text: put it in quotes")
        }
        Some(_) | None => report.text(name, node),
    };
    let token = said.or_else(|| environment.get("DRAIN_ENDPOINT_TOKEN"));
    let token = token.filter(|token| !token.is_empty()).map(Secret::new);
    // A token that this node lacks must not open the door.
    let lacks = token.is_none() && node.is_some_and(|node| node.missing().is_some());
    let is_open = open.unwrap_or_default() && !lacks;
    if is_open && token.is_none() {
        let message = "general_settings.enable_drain_endpoint is on, and no token is set: anyone \
                       who can reach a node may drain it";
        let hint = "set drain_endpoint_token here, or DRAIN_ENDPOINT_TOKEN on the nodes";
        let problem = Diagnostic::warning(Code::Missing, message.to_owned());
        let at = general.get(switch).map(|node| node.place);
        report.push(match at {
            Some(place) => problem.at(place, hint),
            None => problem,
        });
    }
    DrainEndpoint { open: is_open, token }
}

fn parallel(name: &str, general: &Map, report: &mut Report) -> Option<u64> {
    report.count(&format!("general_settings.{name}"), general.get(name))
}

/// `store_model_in_db`, there or as LiteLLM's variable.
pub(crate) fn stores_models(
    root: &Map,
    environment: &Environment,
    report: &mut Report,
) -> Option<bool> {
    let node = root.get("general_settings").and_then(Node::as_map);
    let node = node.and_then(|general| general.get("store_model_in_db"));
    let variable = || match environment.get("STORE_MODEL_IN_DB")?.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    report.flag("general_settings.store_model_in_db", node).or_else(variable)
}

fn counted(general: &Map, report: &mut Report) -> CountedTokens {
    let (name, node) =
        ("general_settings.token_rate_limit_type", general.get("token_rate_limit_type"));
    let counted = match report.text(name, node) {
        None | Some("total") => Some(CountedTokens::Total),
        Some("input") => Some(CountedTokens::Input),
        Some("output") => Some(CountedTokens::Output),
        Some(_) => {
            report.wrong_value(name, node.expect("it was read"), "must be total, input or output")
        }
    };
    counted.unwrap_or_default()
}

fn on_loss(general: &Map, report: &mut Report) -> OnLoss {
    let switch = "fail_closed_rate_limit_enforcement";
    let closed = report.flag(&format!("general_settings.{switch}"), general.get(switch));
    let otherwise = if closed == Some(true) { OnLoss::Closed } else { OnLoss::Full };
    let (name, node) = ("general_settings.on_loss", general.get("on_loss"));
    let said = match report.text(name, node) {
        None => None,
        Some(said) => OnLoss::parse(said).or_else(|| {
            let node = node.expect("it was read");
            report.wrong_value(name, node, "must be full, share, closed or open")
        }),
    };
    said.unwrap_or(otherwise)
}

fn end_user_headers(general: &Map, report: &mut Report) -> Vec<String> {
    let what = "general_settings.user_header_mappings";
    let list = report.list(what, general.get("user_header_mappings"));
    let mut headers = Vec::new();
    for entry in list {
        let Some(map) = report.map(what, Some(entry)) else { continue };
        let role = report.text(&format!("{what}: litellm_user_role"), map.get("litellm_user_role"));
        // The other role says which of the operator's own people it is.
        if role.is_none_or(|role| role == "customer") {
            let name = format!("{what}: header_name");
            headers.extend(header(&name, map.get("header_name"), report));
        }
    }
    let name = "general_settings.user_header_name";
    headers.extend(header(name, general.get("user_header_name"), report));
    headers
}

/// A header's name, in lower case.
fn header(what: &str, node: Option<&Node>, report: &mut Report) -> Option<String> {
    let name = report.text(what, node)?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return report.wrong_value(what, node.expect("it was read"), "must be a header's name");
    }
    Some(name.to_ascii_lowercase())
}

fn max_request_bytes(general: &Map, report: &mut Report) -> Option<usize> {
    let node = general.get("max_request_size_mb");
    let megabytes: usize = report.count("general_settings.max_request_size_mb", node)?;
    if !(1..=MAX_REQUEST_MB).contains(&megabytes) {
        let message = format!(
            "general_settings.max_request_size_mb must be 1 to {MAX_REQUEST_MB}: bodies are held \
             in memory"
        );
        let place = node.expect("it was read").place;
        report.push(Diagnostic::error(Code::WrongValue, message).at(place, ""));
        return None;
    }
    Some(megabytes << 20)
}

fn master_key(
    general: &Map,
    permit_weak: bool,
    environment: &Environment,
    report: &mut Report,
) -> Option<Secret> {
    let Some(node) = general.get("master_key").filter(|node| node.value_is_there()) else {
        return environment.get("LITELLM_MASTER_KEY").map(Secret::new);
    };
    if let Some(variable) = node.missing() {
        if !permit_weak {
            let message = format!("environment variable `{variable}` is not set");
            let problem = Diagnostic::error(Code::UnsetVariable, message)
                .at(node.place, "the master key comes from it")
                .note(format!("export {variable}=\"sk-$(openssl rand -hex 16)\""));
            report.push(problem);
        }
        return None;
    }
    let key = report.text(MASTER_KEY, Some(node)).map(Secret::new)?;
    if let Err(weak) = check_master_key(Some(&key), permit_weak) {
        let problem = Diagnostic::error(Code::WeakMasterKey, weak.reason)
            .at(node.place, "anyone who has it may do everything")
            .note("make one: echo \"sk-$(openssl rand -hex 16)\"");
        report.push(problem);
    }
    Some(key)
}

/// Reads `cluster`.
pub(crate) fn cluster(root: &Map, report: &mut Report) -> ClusterSection {
    let empty = Map::default();
    let section = root.get("cluster").and_then(Node::as_map).unwrap_or(&empty);
    let text = |name: &str, report: &mut Report| {
        report.text(&format!("cluster.{name}"), section.get(name)).map(str::to_owned)
    };
    let expect = section.get("bootstrap_expect");
    let bootstrap_expect: Option<usize> = report.count("cluster.bootstrap_expect", expect);
    if let (Some(0), Some(node)) = (bootstrap_expect, expect) {
        report.wrong_value::<()>("cluster.bootstrap_expect", node, "must be at least 1");
    }
    let staleness = section.get("max_staleness");
    let max_staleness: Option<u64> = report.count("cluster.max_staleness", staleness);
    if let (Some(0), Some(node)) = (max_staleness, staleness) {
        report.wrong_value::<()>("cluster.max_staleness", node, "must be at least 1 second");
    }
    let keep_alive = section.get("keepalive_timeout");
    let keepalive_timeout: Option<u64> = report.count("cluster.keepalive_timeout", keep_alive);
    if let (Some(0 | 3601..), Some(node)) = (keepalive_timeout, keep_alive) {
        report.wrong_value::<()>("cluster.keepalive_timeout", node, "must be 1 to 3600 seconds");
    }
    ClusterSection {
        max_staleness,
        keepalive_timeout,
        on_stale: on_stale(section.get("on_stale"), report),
        secret: text("secret", report).map(Secret::new),
        listen: text("listen", report),
        advertise: text("advertise", report),
        join: join(section.get("join"), report),
        bootstrap_expect,
        data_dir: text("data_dir", report),
        host: text("host", report),
        port: report.count("cluster.port", section.get("port")),
        request_log_max_gb: request_log_max_gb(section, report),
        prices: text("prices", report),
        name: text("name", report),
    }
}

fn request_log_max_gb(section: &Map, report: &mut Report) -> Option<u64> {
    let (name, node) = ("cluster.request_log_max_gb", section.get("request_log_max_gb"));
    match report.count(name, node)? {
        0 => report.wrong_value(name, node.expect("it was read"), "must be at least 1"),
        most => Some(most),
    }
}

fn on_stale(node: Option<&Node>, report: &mut Report) -> Option<OnStale> {
    match report.text("cluster.on_stale", node)? {
        "refuse" => Some(OnStale::Refuse),
        "serve_known" => Some(OnStale::ServeKnown),
        _ => report.wrong_value("cluster.on_stale", node?, "must be refuse or serve_known"),
    }
}

/// A list of addresses, or one text with commas between them.
fn join(node: Option<&Node>, report: &mut Report) -> Option<Vec<String>> {
    let node = report.present("cluster.join", node)?;
    let addresses: Vec<&str> = match &node.value {
        Value::List(items) => {
            items.iter().filter_map(|item| report.text("cluster.join", Some(item))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
            report.text("cluster.join", Some(node))?.split(',').collect()
        }
    };
    let addresses = addresses.into_iter().map(str::trim).filter(|address| !address.is_empty());
    Some(addresses.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_keys_that_can_be_guessed_are_refused_with_the_way_out() {
        for weak in [None, Some(""), Some("sk-1234"), Some("fifteen-letters")] {
            let key = weak.map(Secret::new);
            let refused = check_master_key(key.as_ref(), false).expect_err("weak").to_string();
            assert!(refused.contains("dangerously_permit_weak_or_unset_master_key"), "{refused}");
            assert_eq!(check_master_key(key.as_ref(), true), Ok(()));
        }
        assert_eq!(check_master_key(Some(&Secret::new("sixteen-letters!")), false), Ok(()));
    }
}
