//! Which models are tried after which, as a request or a configuration says it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fields::{Role, gateways_role};
use crate::json::{members, string};

/// More models than a request can need to name.
pub const MAX_FALLBACKS: usize = 64;

/// What Anthropic's own have beside a `model`.
const ANTHROPICS: [&str; 4] = ["max_tokens", "output_config", "speed", "thinking"];

const EXPECTED: &str = "a list of at most 64 model names, or of objects with a `model` and what \
     changes in the request, or of objects from a model to such a list";

/// What is tried after a model has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The model.
    pub model: Arc<str>,
    /// A JSON object whose members take the place of the request's.
    pub changes: Option<Arc<str>>,
}

impl Fallback {
    /// The same request to another model.
    #[must_use]
    pub fn to(model: &str) -> Self {
        Self { model: model.into(), changes: None }
    }

    /// Another request: a JSON object with a `model` and what changes.
    ///
    /// # Errors
    /// What was expected instead: it names no model, or a credential or an address.
    pub fn changing(object: &str) -> Result<Self, &'static str> {
        let members = members(object).or(Err(EXPECTED))?;
        let model = members.iter().find(|member| member.name == "model");
        let model = model.and_then(|model| string(model.value)).ok_or(EXPECTED)?;
        let refused = |name: &str| gateways_role(name) == Role::Refused;
        if members.iter().any(|member| refused(&member.name)) {
            return Err("fallbacks without credentials or addresses of providers in them");
        }
        let changes = (members.len() > 1).then(|| object.into());
        Ok(Self { model: (&*model).into(), changes })
    }
}

/// Models to what is tried after them, in order. The key `*` is any model.
pub type FallbackMap = BTreeMap<Arc<str>, Vec<Fallback>>;

/// Reads a request's `fallbacks`. A list that names no model it follows, follows any.
pub(crate) fn read(value: &str) -> Result<FallbackMap, &'static str> {
    let mut map = FallbackMap::new();
    let mut count = 0;
    for entry in elements(value)? {
        match read_one(entry)? {
            Entry::Any(fallback) => map.entry("*".into()).or_default().push(fallback),
            Entry::Of(model, list) => {
                count += list.len();
                map.entry(model).or_default().extend(list);
            }
        }
        count += 1;
        if count > MAX_FALLBACKS {
            return Err(EXPECTED);
        }
    }
    Ok(map)
}

/// Whether these are in the form in which Anthropic's API has them and carries them out itself.
pub(crate) fn are_anthropics(value: &str) -> bool {
    let is_default = || string(value).is_some_and(|said| said == "default");
    elements(value).map_or_else(
        |_| is_default(),
        |all| !all.is_empty() && all.iter().all(|entry| is_anthropics(entry)),
    )
}

fn is_anthropics(entry: &str) -> bool {
    let members = members(entry).unwrap_or_default();
    let (model, others): (Vec<_>, Vec<_>) =
        members.iter().partition(|member| member.name == "model");
    let is_theirs = |name: &str| ANTHROPICS.contains(&name);
    model.iter().any(|model| string(model.value).is_some())
        && others.iter().all(|other| is_theirs(&other.name))
}

/// Reads those of [`are_anthropics`]. `None`: they name no models.
pub(crate) fn read_either(value: &str) -> Result<Option<FallbackMap>, &'static str> {
    if string(value).is_some() {
        return Ok(None);
    }
    let mut map = read(value)?;
    for fallback in map.values_mut().flatten() {
        // Whoever is asked instead is not to carry them out once more.
        let changes = fallback.changes.as_deref().unwrap_or("{}").trim_start_matches('{');
        let comma = if changes == "}" { "" } else { "," };
        fallback.changes = Some(format!("{{\"fallbacks\":null{comma}{changes}").into());
    }
    Ok(Some(map))
}

enum Entry {
    Any(Fallback),
    Of(Arc<str>, Vec<Fallback>),
}

fn read_one(entry: &str) -> Result<Entry, &'static str> {
    if let Some(model) = string(entry) {
        return Ok(Entry::Any(Fallback::to(&model)));
    }
    let members = members(entry).or(Err(EXPECTED))?;
    if let [only] = &members[..]
        && let Ok(list) = elements(only.value)
    {
        let list = list.into_iter().map(read_target).collect::<Result<_, _>>()?;
        return Ok(Entry::Of((&*only.name).into(), list));
    }
    read_target(entry).map(Entry::Any)
}

/// A name, or an object with a `model` and what changes in the request.
fn read_target(entry: &str) -> Result<Fallback, &'static str> {
    if let Some(model) = string(entry) {
        return Ok(Fallback::to(&model));
    }
    Fallback::changing(entry)
}

fn elements(value: &str) -> Result<Vec<&str>, &'static str> {
    let list: Vec<&serde_json::value::RawValue> = serde_json::from_str(value).or(Err(EXPECTED))?;
    Ok(list.into_iter().map(serde_json::value::RawValue::get).collect())
}
