//! Whether an answer is what a row expects: where fields are, and of which type.

use serde_json::Value;

/// A field, what was expected of it, and what is there.
pub(crate) type Fault = (String, String, String);

/// What is wrong with a field of an answer. `expected` is `path:type|type`, `path=JSON` or `!path`.
pub(crate) fn field(answer: &Value, expected: &str) -> Vec<Fault> {
    if let Some(path) = expected.strip_prefix('!') {
        let there = at(answer, path).into_iter().filter_map(|(path, found)| Some((path, found?)));
        return there.map(|(path, found)| (path, "absent".to_owned(), short(found))).collect();
    }
    let split = expected.find(['=', ':']).unwrap_or_else(|| panic!("`{expected}` says nothing"));
    let (path, wanted) = (&expected[..split], &expected[split + 1..]);
    let is_value = expected.as_bytes()[split] == b'=';
    let fits = |found: &Value| {
        if is_value {
            equal(&json(wanted), found)
        } else {
            wanted.split('|').any(|it| is(it, found))
        }
    };
    let faults = at(answer, path).into_iter().filter_map(|(path, found)| match found {
        Some(found) if fits(found) => None,
        found => Some((path, wanted.to_owned(), found.map_or("nothing".to_owned(), short))),
    });
    faults.collect()
}

/// What of an object that was sent is not shown again in another one.
pub(crate) fn echo(sent: &Value, shown: &Value, under: &str, except: &[String]) -> Vec<Fault> {
    let shown = match under {
        "" => Some(shown),
        under => at(shown, under).into_iter().next().and_then(|(_, found)| found),
    };
    let fields = sent.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !except.contains(name));
    let faults = fields.filter_map(|(name, value)| {
        let found = shown.and_then(|shown| shown.get(name));
        if found.is_some_and(|found| holds(found, value)) {
            return None;
        }
        let path = if under.is_empty() { name.clone() } else { format!("{under}.{name}") };
        Some((path, format!("{value}, as sent"), found.map_or("nothing".to_owned(), short)))
    });
    faults.collect()
}

/// What is at a path: `a.b`, `a[0]`, `a[].b` for every element, `a.*.b` for every value.
pub(crate) fn at<'v>(value: &'v Value, path: &str) -> Vec<(String, Option<&'v Value>)> {
    let mut found = vec![(String::new(), Some(value))];
    for part in path.replace("[", ".[").split('.').filter(|part| !part.is_empty()) {
        found = found.into_iter().flat_map(|(path, value)| step(path, value, part)).collect();
    }
    found
}

fn step<'v>(
    path: String,
    value: Option<&'v Value>,
    part: &str,
) -> Vec<(String, Option<&'v Value>)> {
    let Some(value) = value else { return vec![(path, None)] };
    let all: Vec<(String, &Value)> = match (part, value) {
        ("[]", Value::Array(items)) => {
            (0..).zip(items).map(|(index, item)| (format!("{path}[{index}]"), item)).collect()
        }
        ("*", Value::Object(fields)) => {
            fields.iter().map(|(name, value)| (format!("{path}.{name}"), value)).collect()
        }
        _ => {
            let index = part.strip_prefix('[').and_then(|part| part.strip_suffix(']'));
            let index = index.and_then(|index| index.parse::<usize>().ok());
            let found = index.map_or_else(|| value.get(part), |index| value.get(index));
            let dot = if path.is_empty() || index.is_some() { "" } else { "." };
            return vec![(format!("{path}{dot}{part}"), found)];
        }
    };
    if all.is_empty() {
        return vec![(format!("{path}{part} (it is empty)"), None)];
    }
    all.into_iter().map(|(path, value)| (path, Some(value))).collect()
}

/// Whether a value is of a type.
fn is(kind: &str, value: &Value) -> bool {
    let text = value.as_str();
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match kind {
        "any" => true,
        "null" => value.is_null(),
        "bool" => value.is_boolean(),
        "int" => value.is_u64() || value.is_i64(),
        "num" => value.is_number(),
        "list" => value.is_array(),
        "obj" => value.is_object(),
        "text" => text.is_some(),
        "str" => text.is_some_and(|text| !text.is_empty()),
        "hash" => text.is_some_and(|text| text.len() == 64 && hex(text)),
        // 2026-11-26T14:22:19 and more.
        "iso" => text.is_some_and(|text| text.len() >= 19 && text.as_bytes()[10] == b'T'),
        "day" => text.is_some_and(|text| text.len() == 10 && text.as_bytes()[4] == b'-'),
        "uuid" => text.is_some_and(|text| text.len() == 36 && text.matches('-').count() == 4),
        "sk" => text.is_some_and(|text| text.starts_with("sk-")),
        // A number in a header.
        "float" => text.is_some_and(|text| text.parse::<f64>().is_ok()),
        _ => panic!("`{kind}` is no type of the table"),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("`{text}` is no JSON: {error}"))
}

/// The same; 1 and 1.0 are.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        _ => one == other,
    }
}

/// Whether all of `part` is in `whole`: an object may hold more.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| holds(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole.iter().zip(part).all(|(one, other)| holds(one, other))
        }
        _ => equal(whole, part),
    }
}

/// A value, cut where it becomes long.
pub(crate) fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(160) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

#[test]
fn fields_are_found_and_judged() {
    let answer = serde_json::json!({"a": [{"b": 1}, {"b": null}], "c": {"x": {"d": "t"}}, "e": []});
    for (expected, faults) in [
        ("a[].b:int|null", 0),
        ("a[].b:int", 1),
        ("a[0].b=1.0", 0),
        ("c.*.d:str", 0),
        ("c.*.d=\"u\"", 1),
        ("!c.y", 0),
        ("!c.x", 1),
        ("e[]:str", 1),
        ("f:any", 1),
    ] {
        assert_eq!(field(&answer, expected).len(), faults, "{expected}");
    }
    let sent = serde_json::json!({"c": {"x": {}}, "f": 1, "g": 2});
    assert_eq!(echo(&sent, &answer, "", &["g".to_owned()]).len(), 1);
}
