//! Schemas as structured outputs take them: closed objects, and without what the API's grammar cannot
//! enforce. The model is told of that in descriptions instead, as Anthropic's SDKs and LiteLLM do it.

use serde_json::{Map, Value};

use crate::form::{Chat, Json, Tool};

/// Keywords that the API refuses, and what they are to be told as.
const TOLD: &[(&str, &str)] = &[
    ("minItems", "minimum number of items"),
    ("maxItems", "maximum number of items"),
    ("uniqueItems", "unique items"),
    ("contains", "an item matches"),
    ("minContains", "minimum number of matching items"),
    ("maxContains", "maximum number of matching items"),
    ("prefixItems", "the first items match, in order"),
    ("minimum", "minimum value"),
    ("maximum", "maximum value"),
    ("exclusiveMinimum", "exclusive minimum value"),
    ("exclusiveMaximum", "exclusive maximum value"),
    ("multipleOf", "a multiple of"),
    ("minLength", "minimum length"),
    ("maxLength", "maximum length"),
    ("minProperties", "minimum number of properties"),
    ("maxProperties", "maximum number of properties"),
    ("patternProperties", "properties by pattern"),
    ("propertyNames", "names of properties"),
    ("dependentRequired", "properties that need others"),
    ("dependentSchemas", "schemas where a property is given"),
    ("unevaluatedProperties", "other properties"),
    ("if", "if"),
    ("then", "then"),
    ("else", "else"),
    ("not", "not"),
];
/// Members that hold schemas by name, one, or a list of them.
const BY_NAME: &[&str] = &["properties", "$defs", "definitions"];
const LISTED: &[&str] = &["anyOf", "allOf", "oneOf"];

/// Of all strict tools of a request, the API compiles so many at the most,
const MOST_TOOLS: usize = 20;
/// which have so many properties that may be left out,
const MOST_OPTIONAL: usize = 24;
/// and so many that may be of several types.
const MOST_UNIONS: usize = 16;

/// Makes a schema one that the API takes.
pub(super) fn fit(schema: &mut Value) {
    let Value::Object(members) = schema else { return };
    tell(members);
    if let Some(Value::Array(one)) = members.shift_remove("oneOf") {
        let any = members.entry("anyOf").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(any) = any {
            any.extend(one);
        }
    }
    if is_object(members) {
        members.insert("additionalProperties".to_owned(), false.into());
    }
    for (name, value) in members {
        if BY_NAME.contains(&&**name) {
            value.as_object_mut().into_iter().flat_map(Map::values_mut).for_each(fit);
        } else if LISTED.contains(&&**name) {
            value.as_array_mut().into_iter().flatten().for_each(fit);
        } else if name == "items" {
            fit(value);
        }
    }
}

/// Moves what would be refused into the description.
fn tell(members: &mut Map<String, Value>) {
    let is_kept = |name: &str, value: &Value| {
        name == "minItems" && value.as_u64().is_some_and(|items| items <= 1)
    };
    let mut notes = Vec::new();
    for (name, words) in TOLD {
        let refused = members.get(*name).is_some_and(|value| !is_kept(name, value));
        let value = if refused { members.shift_remove(*name) } else { None };
        let value = value.filter(|value| *value != Value::Bool(false));
        notes.extend(value.map(|value| format!("{words}: {value}")));
    }
    if notes.is_empty() {
        return;
    }
    let note = format!("Note: {}.", notes.join(", "));
    let said = members.get("description").and_then(Value::as_str);
    let told = said.map_or_else(|| note.clone(), |said| format!("{said} {note}"));
    members.insert("description".to_owned(), told.into());
}

/// True if an object of it may have any members: closed, it would come back without them.
pub(super) fn is_open(schema: &Value) -> bool {
    let Value::Object(members) = schema else { return false };
    let is_named =
        members.get("properties").and_then(Value::as_object).is_some_and(|p| !p.is_empty());
    let more = members.get("additionalProperties");
    let is_map = more.map_or(!is_named, |more| *more != Value::Bool(false));
    is_object(members) && is_map || inner(members).any(is_open)
}

fn is_object(members: &Map<String, Value>) -> bool {
    match members.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        kind => kind.is_some_and(|kind| kind == "object"),
    }
}

/// The schemas in a schema.
fn inner(members: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let named = BY_NAME.iter().filter_map(|name| members.get(*name)?.as_object());
    let listed = LISTED.iter().filter_map(|name| members.get(*name)?.as_array());
    named.flat_map(Map::values).chain(listed.flatten()).chain(members.get("items"))
}

/// How much of a grammar schemas make.
#[derive(Default)]
struct Weight {
    optional: usize,
    unions: usize,
}

impl Weight {
    fn add(&mut self, schema: &Value) {
        let Value::Object(members) = schema else { return };
        let named = members.get("properties").and_then(Value::as_object).map_or(0, Map::len);
        let required = members.get("required").and_then(Value::as_array).map_or(0, Vec::len);
        self.optional += named.saturating_sub(required);
        let is_union = members.get("type").is_some_and(Value::is_array)
            || ["anyOf", "oneOf"].iter().any(|name| members.contains_key(*name));
        self.unions += usize::from(is_union);
        inner(members).for_each(|schema| self.add(schema));
    }
}

/// Which of a chat's tools can be called so that their arguments fit the schema exactly.
#[derive(Clone, Copy, Debug)]
pub struct StrictTools {
    are_had: bool,
}

impl StrictTools {
    /// Those of a model that has them, if the API would compile all that the client asks for.
    #[must_use]
    pub fn of(chat: &Chat, is_able: bool) -> Self {
        let strict = chat.tools.iter().filter_map(|tool| match tool {
            Tool::Function { parameters, strict: Some(true), .. } if is_able => parameters.as_ref(),
            Tool::Function { .. } | Tool::Hosted(_) => None,
        });
        let (mut count, mut weight) = (0, Weight::default());
        for schema in strict {
            count += 1;
            weight.add(&schema.value());
        }
        let fits = weight.optional <= MOST_OPTIONAL && weight.unions <= MOST_UNIONS;
        Self { are_had: (1..=MOST_TOOLS).contains(&count) && fits }
    }

    /// The schema of a strict tool. `None`: this one is none, or cannot be.
    #[must_use]
    pub fn schema(self, parameters: Option<&Json>, strict: Option<bool>) -> Option<Value> {
        let asked = self.are_had && strict == Some(true);
        let mut schema = parameters.filter(|_| asked)?.value();
        let is_empty = schema.get("properties").is_none();
        if !schema.is_object() || is_empty || is_open(&schema) || is_recursive(&schema) {
            return None;
        }
        fit(&mut schema);
        Some(schema)
    }
}

/// True if a schema holds itself, or a named one names itself: no grammar is made of such.
fn is_recursive(schema: &Value) -> bool {
    let refers = |schema: &Value, to: &str| {
        schema.to_string().contains(&format!("\"$ref\":{}", Value::from(to)))
    };
    let places = ["$defs", "definitions"];
    let mut named =
        places.iter().filter_map(|place| Some((place, schema.get(*place)?.as_object()?)));
    refers(schema, "#")
        || named.any(|(place, named)| {
            named.iter().any(|(name, schema)| refers(schema, &format!("#/{place}/{name}")))
        })
}
