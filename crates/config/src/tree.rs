//! A config file as a tree in which every key and every value knows where it stands.
//!
//! The tree keeps what was written: numbers as their text, references as the variable they name.

use crate::diagnostic::Place;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
    /// The environment variable that `value` was taken from; its value is `Null` if it is not set.
    pub(crate) variable: Option<String>,
}

/// What YAML can say, in LiteLLM's reading of it (YAML 1.1 words for yes and no).
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As written; [`Node::number`] reads it.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// Entries in file order, their keys unique.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<(Key, Node)>,
}

impl Map {
    pub(crate) fn find(&self, key: &str) -> Option<(&Key, &Node)> {
        self.entries.iter().find(|(known, _)| known.text == key).map(|(key, node)| (key, node))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.find(key).map(|(_, node)| node)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.entries.retain(|(known, _)| known.text != key);
    }
}

impl Node {
    pub(crate) fn new(value: Value, place: Place) -> Self {
        Self { value, place, variable: None }
    }

    /// The variable that should have given this value and is not set.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.variable.as_deref().filter(|_| matches!(self.value, Value::Null))
    }

    /// True unless the value is null because it was written so.
    pub(crate) fn value_is_there(&self) -> bool {
        self.variable.is_some() || !matches!(self.value, Value::Null)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        if let Value::Map(map) = &self.value { Some(map) } else { None }
    }

    pub(crate) fn map_mut(&mut self) -> Option<&mut Map> {
        if let Value::Map(map) = &mut self.value { Some(map) } else { None }
    }

    pub(crate) fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The number, also when it is quoted or comes from a variable, as LiteLLM has it.
    pub(crate) fn number(&self) -> Option<f64> {
        parse_number(self.as_text()?)
    }

    /// True for what asks for nothing: null, `false`, and empty texts, lists and maps. A
    /// reference asks for something, set or not.
    pub(crate) fn is_idle(&self) -> bool {
        match &self.value {
            Value::Null => self.variable.is_none(),
            Value::Bool(false) => true,
            Value::Bool(true) | Value::Number(_) => false,
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.entries.is_empty(),
        }
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Calls `visit` on this node and all below it.
    pub(crate) fn walk(&mut self, visit: &mut dyn FnMut(&mut Node)) {
        visit(self);
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.walk(visit)),
            Value::Map(map) => map.entries.iter_mut().for_each(|(_, node)| node.walk(visit)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }

    /// JSON of the resolved value, in file order: what is sent upstream.
    pub(crate) fn json(&self) -> String {
        Writer { canonical: false, secrets: true }.text(self)
    }

    /// JSON of the resolved value, in file order, without credentials: what is shown.
    pub(crate) fn public_json(&self) -> String {
        Writer { canonical: false, secrets: false }.text(self)
    }

    /// JSON with sorted keys and references as written: what is hashed. `secrets` false leaves
    /// out every credential, whether written out or referred to.
    pub(crate) fn canonical(&self, secrets: bool) -> String {
        Writer { canonical: true, secrets }.text(self)
    }
}

struct Writer {
    canonical: bool,
    secrets: bool,
}

impl Writer {
    fn text(&self, node: &Node) -> String {
        let mut out = String::new();
        self.write(node, &mut out);
        out
    }

    fn write(&self, node: &Node, out: &mut String) {
        if let Some(variable) = node.variable.as_deref().filter(|_| self.canonical) {
            *out += &quoted(&format!("{}{variable}", crate::resolve::PREFIX));
            return;
        }
        match &node.value {
            Value::Null => *out += "null",
            Value::Bool(yes) => *out += if *yes { "true" } else { "false" },
            Value::Number(text) => *out += &json_number(text),
            Value::Text(text) => *out += &quoted(text),
            Value::List(items) => {
                self.write_all('[', items.iter().map(|item| (None, item)), ']', out);
            }
            Value::Map(map) => {
                let kept = |key: &Key| self.secrets || !dunlin_types::is_secret(&key.text);
                let mut entries: Vec<_> = map.entries.iter().filter(|(key, _)| kept(key)).collect();
                if self.canonical {
                    entries.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
                }
                let entries = entries.into_iter().map(|(key, node)| (Some(&*key.text), node));
                self.write_all('{', entries, '}', out);
            }
        }
    }

    fn write_all<'n>(
        &self,
        open: char,
        children: impl Iterator<Item = (Option<&'n str>, &'n Node)>,
        close: char,
        out: &mut String,
    ) {
        out.push(open);
        for (index, (key, node)) in children.enumerate() {
            if index > 0 {
                out.push(',');
            }
            if let Some(key) = key {
                *out += &quoted(key);
                out.push(':');
            }
            self.write(node, out);
        }
        out.push(close);
    }
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The number as it was written where JSON can say it so, else its value.
pub(crate) fn json_number(text: &str) -> String {
    if serde_json::from_str::<serde_json::Number>(text).is_ok() {
        return text.to_owned();
    }
    let number = parse_number(text).and_then(serde_json::Number::from_f64);
    number.map_or_else(|| "null".to_owned(), |number| number.to_string())
}

/// A finite decimal number with an optional exponent; underscores may part its digits.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let plain = text.replace('_', "");
    let starts =
        plain.trim_start_matches(['+', '-', '.']).starts_with(|c: char| c.is_ascii_digit());
    let number: f64 = plain.parse().ok().filter(|_| starts)?;
    number.is_finite().then_some(number)
}
