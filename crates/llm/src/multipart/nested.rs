//! Lists and objects in forms, whose fields are texts alone: as OpenAI's SDKs write them, `tags[]` is
//! an item of `tags` and `metadata[run]` a member of `metadata`.

use serde_json::{Map, Value};

/// More levels than any client nests; what is deeper is left out.
const MAX_LEVELS: usize = 8;

/// What a field belongs to: its name up to the first bracket.
pub(crate) fn base(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

/// Whether the name of a field has brackets.
pub(crate) fn is_nested(name: &str) -> bool {
    name.contains('[')
}

/// The fields of a form as one object. What has no brackets may be JSON of its own.
pub(crate) fn object<'t>(
    texts: impl IntoIterator<Item = (&'t str, &'t str)>,
) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, text) in texts {
        let text = match is_nested(name) {
            true => text.into(),
            false => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        let steps: Vec<&str> = name.split('[').map(|step| step.trim_end_matches(']')).collect();
        if let [base, within @ ..] = &*steps
            && within.len() < MAX_LEVELS
            && let Some(at) = within
                .iter()
                .try_fold(all.entry(*base).or_insert(Value::Null), |at, step| down(at, step))
        {
            *at = text;
        }
    }
    all
}

/// The member or, if `step` names none, the next item of what is no text.
fn down<'v>(at: &'v mut Value, step: &str) -> Option<&'v mut Value> {
    if at.is_null() {
        *at = if step.is_empty() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
    }
    match at {
        Value::Array(items) if step.is_empty() => {
            items.push(Value::Null);
            items.last_mut()
        }
        Value::Object(members) if !step.is_empty() => {
            Some(members.entry(step).or_insert(Value::Null))
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_lists_and_objects() {
        let deep = format!("deep{}", "[a]".repeat(10_000));
        let fields = [
            ("user", "7"),
            ("tags[]", "a"),
            ("tags[]", "7"),
            ("metadata[tags][]", "b"),
            ("metadata[user_id]", "007"),
            ("metadata", "x"),
            ("text", "plain"),
            ("text[a]", "lost"),
            ("tags[a]", "lost"),
            (&deep, "lost"),
        ];
        let expected = serde_json::json!({
            "user": 7,
            "tags": ["a", "7"],
            "metadata": "x",
            "text": "plain",
        });
        let read = object(fields.into_iter().filter(|(name, _)| base(name) != "deep"));
        assert_eq!(Value::Object(read), expected);
        let nested = object(fields.into_iter().filter(|(name, _)| is_nested(name)));
        let metadata = serde_json::json!({"tags": ["b"], "user_id": "007"});
        assert_eq!(nested["metadata"], metadata);
        assert!(object([(&*deep, "x")]).values().all(Value::is_null));
    }
}
