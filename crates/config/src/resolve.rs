//! `os.environ/NAME`: where it may stand and what it becomes.

use std::collections::BTreeMap;
use std::fmt;

use crate::diagnostic::{Code, Diagnostic};
use crate::tree::{Node, Value};

pub(crate) const PREFIX: &str = "os.environ/";

/// The environment variables of a node, read once by its edge.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// From names and values.
    #[must_use]
    pub fn new(variables: BTreeMap<String, String>) -> Self {
        Self(variables)
    }

    /// The value of a variable, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Environment {
    /// The variables whose names `keep` takes.
    pub(crate) fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = self.0.iter().filter(|(name, _)| keep(name));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

/// Replaces every reference in `root` by its value or by nothing. What the file itself exports
/// under `environment_variables` comes first and is part of the environment returned.
pub(crate) fn resolve(
    root: &mut Node,
    environment: &Environment,
    problems: &mut Vec<Diagnostic>,
) -> Environment {
    let mut environment = environment.clone();
    let exported = match &mut root.value {
        Value::Map(map) => map.get_mut("environment_variables"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
    };
    if let Some(exported) = exported {
        exported.walk(&mut |node| replace(node, &environment, problems));
        for (key, node) in exported.as_map().into_iter().flat_map(|map| &map.entries) {
            let text = match &node.value {
                Value::Bool(yes) => Some(if *yes { "True" } else { "False" }),
                Value::Text(text) | Value::Number(text) => Some(text.as_str()),
                Value::Null | Value::List(_) | Value::Map(_) => None,
            };
            if let Some(text) = text {
                environment.0.insert(key.text.clone(), text.to_owned());
            }
        }
    }
    headers(root, &mut |node| replace_inside(node, &environment));
    root.walk(&mut |node| replace(node, &environment, problems));
    environment
}

/// Visits the headers of `pass_through_endpoints`.
fn headers(root: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    let general = root.map_mut().and_then(|map| map.get_mut("general_settings"));
    let list =
        general.and_then(Node::map_mut).and_then(|map| map.get_mut("pass_through_endpoints"));
    let Some(Node { value: Value::List(entries), .. }) = list else { return };
    for entry in entries {
        let headers = entry.map_mut().and_then(|map| map.get_mut("headers"));
        let headers = headers.and_then(Node::map_mut).into_iter();
        headers.flat_map(|map| &mut map.entries).for_each(|(_, node)| visit(node));
    }
}

/// The variable that a value refers to.
pub(crate) fn reference(node: &Node) -> Option<&str> {
    if let Value::Text(text) = &node.value { text.strip_prefix(PREFIX) } else { None }
}

/// In LiteLLM's headers a reference may follow other words, as in `bearer os.environ/KEY`; it ends
/// with the value.
fn replace_inside(node: &mut Node, environment: &Environment) {
    let Value::Text(text) = &node.value else { return };
    let Some((words, name)) = text.split_once(PREFIX).filter(|(words, _)| !words.is_empty()) else {
        return;
    };
    let name = name.to_owned();
    node.value = match environment.get(&name) {
        Some(value) => Value::Text(format!("{words}{value}")),
        None => Value::Null,
    };
    node.variable = Some(name);
}

pub(crate) fn replace(node: &mut Node, environment: &Environment, problems: &mut Vec<Diagnostic>) {
    let Value::Text(text) = &node.value else { return };
    if node.variable.is_some() {
        return;
    }
    if let Some(name) = text.strip_prefix(PREFIX) {
        let name = name.to_owned();
        node.value = match environment.get(&name) {
            Some(value) => Value::Text(value.to_owned()),
            None => Value::Null,
        };
        node.variable = Some(name);
    } else if text.contains(PREFIX) {
        let message = "`os.environ/` is resolved only as a whole value: here it stays as text";
        let label = "put the whole value into the variable";
        problems.push(Diagnostic::warning(Code::PartialReference, message).at(node.place, label));
    }
}
