//! A value that fits a JSON schema, always the same one.

use serde_json::{Map, Value, json};

/// How deep a schema that names itself is followed.
const MAX_DEPTH: u32 = 16;

/// The smallest value with all properties that fits `schema`.
pub(crate) fn instance(schema: &Value) -> Value {
    fit(schema, schema, MAX_DEPTH)
}

fn fit(schema: &Value, root: &Value, depth: u32) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(value) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    if let Some(name) = schema["$ref"].as_str() {
        let target = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| fit(target, root, depth - 1));
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[choice].get(0) {
            return fit(first, root, depth - 1);
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    // Google writes the types in capitals.
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("string") => json!("tok"),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(0.5)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => json!([fit(&schema["items"], root, depth - 1)]),
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields = properties.map(|(name, kind)| (name.clone(), fit(kind, root, depth - 1)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}
