//! Google's own form of schemas, that of OpenAPI 3.0, as JSON Schema. The other way is never gone:
//! Google takes JSON Schema as it is.

use serde_json::{Map, Value};

use crate::form::Json;

/// The same schema in the words of JSON Schema, its members in the same order. One that is nested
/// too deeply to be taken apart stays as it is.
pub(super) fn json_schema(schema: &Json) -> Json {
    let value = serde_json::from_str(schema.text());
    value.map_or_else(|_| schema.clone(), |value| Json::of(&convert(value)))
}

fn convert(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let is_nullable = members.get("nullable") == Some(&Value::Bool(true));
    let mut out = Map::with_capacity(members.len());
    for (name, value) in members {
        let value = match (name.as_str(), value) {
            ("nullable" | "propertyOrdering", _) => continue,
            ("type", Value::String(kind)) => {
                let kind = Value::String(kind.to_ascii_lowercase());
                if is_nullable { vec![kind, "null".into()].into() } else { kind }
            }
            ("properties", Value::Object(properties)) => {
                let converted = properties.into_iter().map(|(name, of)| (name, convert(of)));
                Value::Object(converted.collect())
            }
            ("anyOf", Value::Array(any)) => any.into_iter().map(convert).collect(),
            ("items", of) => convert(of),
            // 64-bit numbers are texts in Google's JSON.
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
                | "maxProperties",
                Value::String(number),
            ) => number.parse::<u64>().map_or(Value::String(number), Value::from),
            (_, value) => value,
        };
        out.insert(name, value);
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openapis_words_become_those_of_json_schema() {
        for (google, expected) in [
            (
                r#"{"type":"OBJECT","properties":{"b":{"type":"STRING","nullable":true},"a":{"type":"ARRAY","items":{"type":"INTEGER","format":"int32"},"minItems":"1"}},"required":["b"],"propertyOrdering":["b","a"]}"#,
                r#"{"type":"object","properties":{"b":{"type":["string","null"]},"a":{"type":"array","items":{"type":"integer","format":"int32"},"minItems":1}},"required":["b"]}"#,
            ),
            (
                r#"{"anyOf":[{"type":"NUMBER"},{"type":"STRING","enum":["OBJECT"]}]}"#,
                r#"{"anyOf":[{"type":"number"},{"type":"string","enum":["OBJECT"]}]}"#,
            ),
            (
                r#"{"properties":{"type":{"type":"STRING"}}}"#,
                r#"{"properties":{"type":{"type":"string"}}}"#,
            ),
        ] {
            let converted = json_schema(&Json::parse(google).expect(google));
            assert_eq!(converted.text(), expected);
        }
    }
}
