//! Calls whose arguments Google streams: pieces of them, each with the path at which it belongs. Other
//! dialects stream the text of the arguments, which begins where the last piece may still go: so they
//! are told when the call is whole.

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use crate::form::Json;

/// Deeper paths are no request's, and longer lists no piece's.
const MAX_STEPS: usize = 32;

/// A piece of the arguments.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Piece {
    json_path: String,
    string_value: Option<String>,
    number_value: Option<Number>,
    bool_value: Option<bool>,
    /// More of the same text follows.
    will_continue: Option<bool>,
}

/// A call that is being streamed.
pub(super) struct Partial {
    /// Its number in the answer.
    pub(super) call: u32,
    arguments: Value,
    /// The path of a text that goes on.
    open: Option<String>,
}

enum Step {
    Member(String),
    Element(usize),
}

impl Partial {
    pub(super) fn new(call: u32) -> Self {
        Self { call, arguments: Value::Object(Map::new()), open: None }
    }

    /// Takes what a frame says of it: arguments that are whole, and pieces.
    pub(super) fn take(&mut self, whole: Option<&Json>, pieces: Vec<Piece>) {
        if let (Value::Object(all), Some(Value::Object(more))) =
            (&mut self.arguments, whole.map(Json::value))
        {
            all.extend(more);
        }
        for piece in pieces {
            let goes_on = self.open.as_deref() == Some(&*piece.json_path);
            self.open = (piece.will_continue == Some(true)).then(|| piece.json_path.clone());
            let Some(place) = place(&mut self.arguments, &piece.json_path) else { continue };
            match (place, piece.string_value) {
                (Value::String(text), Some(more)) if goes_on => text.push_str(&more),
                (place, Some(text)) => *place = text.into(),
                // The end of a text may come without any.
                (Value::String(_), None) if goes_on => {}
                (place, None) => {
                    let flag = piece.bool_value.map(Value::from);
                    *place = flag.or(piece.number_value.map(Value::from)).unwrap_or_default();
                }
            }
        }
    }

    /// The arguments as a JSON text.
    pub(super) fn text(&self) -> String {
        self.arguments.to_string()
    }
}

/// Where `path` leads, made if it is not there. `None`: nowhere.
fn place<'v>(root: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    let mut at = root;
    for step in steps(path)? {
        at = match step {
            Step::Member(name) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut()?.entry(name).or_insert(Value::Null)
            }
            Step::Element(number) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                let list = at.as_array_mut()?;
                // They come in their order.
                if number >= list.len() {
                    list.push(Value::Null);
                }
                let last = list.len() - 1;
                &mut list[number.min(last)]
            }
        };
    }
    Some(at)
}

/// `$.name[0]['another name']`, as far as a place is named so.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let quote = inside.chars().next().filter(|first| matches!(first, '\'' | '"'));
            let (step, behind) = match quote {
                Some(quote) => {
                    let (name, behind) = inside[1..].split_once(quote)?;
                    (Step::Member(name.to_owned()), behind.strip_prefix(']')?)
                }
                None => {
                    let (number, behind) = inside.split_once(']')?;
                    (Step::Element(number.trim().parse().ok()?), behind)
                }
            };
            steps.push(step);
            rest = behind;
        } else {
            let named = rest.strip_prefix('.').unwrap_or(rest);
            let end = named.find(['.', '[']).unwrap_or(named.len());
            steps.push(Step::Member(named[..end].to_owned()));
            rest = &named[end..];
        }
        if steps.len() > MAX_STEPS {
            return None;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_are_put_where_their_paths_lead() {
        for (pieces, expected) in [
            (
                json!([
                    {"jsonPath": "$.at", "stringValue": "New ", "willContinue": true},
                    {"jsonPath": "$.at", "stringValue": "Delhi", "willContinue": true},
                    {"jsonPath": "$.at"},
                    {"jsonPath": "$.days", "numberValue": 2},
                ]),
                json!({"at": "New Delhi", "days": 2}),
            ),
            (
                json!([
                    {"jsonPath": "$.a[0].b", "boolValue": true},
                    {"jsonPath": "$.a[1]['c d']", "nullValue": "NULL_VALUE"},
                    {"jsonPath": "$.a[2]", "stringValue": "x"},
                    {"jsonPath": "$.a[2]", "stringValue": "y"},
                ]),
                json!({"a": [{"b": true}, {"c d": null}, "y"]}),
            ),
            // None of these leads anywhere, and a list is as long as what it holds.
            (
                json!([
                    {"jsonPath": "$", "numberValue": 1}, {"jsonPath": "$[", "numberValue": 1},
                    {"jsonPath": "$.l[4000000000]", "numberValue": 1},
                ]),
                json!({"l": [1]}),
            ),
        ] {
            let mut partial = Partial::new(0);
            let all: Vec<Piece> = serde_json::from_value(pieces.clone()).unwrap();
            all.into_iter().for_each(|piece| partial.take(None, vec![piece]));
            assert_eq!(
                serde_json::from_str::<Value>(&partial.text()).unwrap(),
                expected,
                "{pieces}"
            );
        }
    }
}
