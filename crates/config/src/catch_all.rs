//! `litellm_params.model: "*"` behind a name with a star: what a client asks for says itself which
//! provider serves it. It stands for a pattern of each provider whose credential is in the
//! environment, such as `anthropic/*`, and for names that are known without a provider, such as
//! `gpt-*`. A name of neither kind is of no model.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::destination::{FAMILIES, OPENAI};
use crate::diagnostic::{Code, Diagnostic};
use crate::models::{self, Models, Origin, Reading};
use crate::report::Report;
use crate::tree::{Map, Node, Value};
use crate::{Environment, Provider};

const STAR: &str = "*";
/// What makes it another's: then the name goes there as it is.
const ELSEWHERE: [&str; 3] = ["api_base", "base_url", "custom_llm_provider"];
/// What tells that a cloud's models are wanted: their credentials are found in many ways.
const OF_AWS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_REGION_NAME",
    "AWS_ROLE_ARN",
];
const OF_GOOGLE: &[&str] = &[
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "VERTEXAI_PROJECT",
    "VERTEX_PROJECT",
];

/// Names that begin alike, and whose they are.
struct Part {
    provider: &'static str,
    /// What they begin with.
    start: String,
    /// What the provider's own name for them begins with.
    own: &'static str,
}

/// Whether an entry of `model_list` is one.
pub(crate) fn is(entry: &Node, reading: &Reading<'_>) -> bool {
    let name = entry.as_map().and_then(|entry| entry.get("model_name")).and_then(Node::as_text);
    let Some(params) = params_of(entry) else { return false };
    let is_star = params.get("model").and_then(Node::as_text) == Some(STAR);
    let has_one = name.is_some_and(|name| name.matches(STAR).count() == 1);
    is_star && has_one && !ELSEWHERE.iter().any(|key| is_said(key, params, reading))
}

/// Reads one. Names in `taken` have entries of their own.
pub(crate) fn entry(
    node: &Node,
    taken: &BTreeSet<Arc<str>>,
    reading: &Reading<'_>,
    models: &mut Models,
    report: &mut Report,
) {
    let has_key = params_of(node).is_some_and(|params| is_said("api_key", params, reading));
    if has_key {
        let message = "the api_key of a model `*` goes to OpenAI alone";
        let way = "write an entry for each other provider, as in model_name: anthropic/*, model: \
                   anthropic/*, or leave the keys to the environment";
        report.push(Diagnostic::warning(Code::NoProvider, message).at(node.place, "").note(way));
    }
    let mut told = false;
    for part in parts(reading) {
        // A key that is written belongs to one provider, and goes to no other.
        let is_openais = part.provider == OPENAI;
        let is_lent = if has_key { is_openais } else { is_lent(part.provider, reading) };
        let one = part.of(node);
        let name = one.as_map().and_then(|entry| entry.get("model_name")).and_then(Node::as_text);
        if !is_lent || name.is_some_and(|name| taken.contains(name)) {
            continue;
        }
        let (mut tried, mut unsaid) = (Models::default(), Report::new(false));
        models::entry(&one, Origin::File, reading, &mut tried, &mut unsaid);
        let is_usable = tried.deployments().all(|known| known.parked.is_none());
        if is_usable && !unsaid.has_errors() {
            // What there is to say is said once.
            let said = if told { &mut unsaid } else { &mut *report };
            models::entry(&one, Origin::File, reading, models, said);
            told = true;
        }
    }
    if !told {
        let openai = Part { provider: OPENAI, start: format!("{OPENAI}/"), own: "" };
        models::entry(&openai.of(node), Origin::File, reading, models, report);
    }
}

/// Of all providers, OpenAI's first.
fn parts(reading: &Reading<'_>) -> Vec<Part> {
    let family = |(own, provider): &(&'static str, &'static str)| Part {
        provider,
        start: (*own).to_owned(),
        own,
    };
    let mut parts: Vec<_> = FAMILIES.iter().map(family).collect();
    for Provider { id, .. } in &reading.options.providers {
        parts.push(Part { provider: id, start: format!("{id}/"), own: "" });
    }
    parts.sort_by_key(|part| part.provider != OPENAI);
    parts
}

fn params_of(entry: &Node) -> Option<&Map> {
    entry.as_map()?.get("litellm_params")?.as_map()
}

/// Whether an entry or the credential that it names says something.
fn is_said(key: &str, params: &Map, reading: &Reading<'_>) -> bool {
    let named = params.get("litellm_credential_name").and_then(Node::as_text);
    let named = named.and_then(|name| reading.credentials.get(name)).map(|named| named.values);
    let sections = [Some(params), named].into_iter().flatten();
    sections.filter_map(|section| section.get(key)).any(Node::value_is_there)
}

/// Whether the environment has what calls to a provider need.
fn is_lent(provider: &str, reading: &Reading<'_>) -> bool {
    let known = reading.options.providers.iter().find(|known| known.id == provider);
    let Some(known) = known else { return false };
    let of_cloud = match provider {
        "bedrock" => OF_AWS,
        "vertex_ai" => OF_GOOGLE,
        _ => &[],
    };
    let names = [known.key_variables, known.base_variables, of_cloud];
    names.into_iter().flatten().any(|name| is_set(name, reading.environment))
}

fn is_set(name: &str, environment: &Environment) -> bool {
    environment.get(name).is_some_and(|value| !value.is_empty())
}

impl Part {
    /// The entry for these names alone.
    fn of(&self, entry: &Node) -> Node {
        let mut entry = entry.clone();
        let Some(map) = entry.map_mut() else { return entry };
        let Self { provider, start, own } = self;
        change(map, "model_name", |name| name.replacen(STAR, &format!("{start}{STAR}"), 1));
        if let Some(params) = map.get_mut("litellm_params").and_then(Node::map_mut) {
            change(params, "model", |_| format!("{provider}/{own}{STAR}"));
        }
        if let Some(info) = map.get_mut("model_info").and_then(Node::map_mut) {
            let suffix = start.trim_end_matches(['/', '-']);
            change(info, "id", |id| format!("{id}-{suffix}"));
        }
        entry
    }
}

fn change(map: &mut Map, key: &str, to: impl FnOnce(&str) -> String) {
    if let Some(node) = map.get_mut(key)
        && let Some(text) = node.as_text()
    {
        node.value = Value::Text(to(text));
    }
}
