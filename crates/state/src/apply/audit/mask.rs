//! What is not for the eyes of those who read the audit log. Whoever makes an entity may hang on it
//! what should be nowhere: the credentials of a logging service in its metadata, say.

use std::collections::BTreeMap;

use dunlin_types::is_secret;
use serde_json::value::RawValue;

/// What a secret is shown as.
const MASKED: &str = "\"***\"";
/// What a text begins with that is sealed: it is a secret under whatever name.
const SEALED: &str = "sealed:";
/// Deeper values are shown as secrets are.
const MAX_DEPTH: usize = 16;
/// The value of a field, JSON text, without the secrets in it. All else stays as it is written.
pub(super) fn field(name: &str, text: &str) -> String {
    field_of_depth(name, text, MAX_DEPTH)
}

fn field_of_depth(name: &str, text: &str, left: usize) -> String {
    let says_nothing = matches!(text, "null" | "\"\"" | "true" | "false")
        || text.starts_with("\"os.environ/")
        || is_starred(text);
    if is_secret(name) && !says_nothing { MASKED.to_owned() } else { of_depth(text, left) }
}

fn of_depth(text: &str, left: usize) -> String {
    let Some(left) = left.checked_sub(1) else { return MASKED.to_owned() };
    match text.as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
            Ok(fields) => {
                let field = |(name, value): (&String, &&RawValue)| {
                    let value = field_of_depth(name, value.get(), left);
                    format!("{}:{value}", quoted(&without_keys(name)))
                };
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
            }
            Err(_) => MASKED.to_owned(),
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => {
                let items: Vec<_> = items.iter().map(|item| of_depth(item.get(), left)).collect();
                format!("[{}]", items.join(","))
            }
            Err(_) => MASKED.to_owned(),
        },
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(said) if said.starts_with(SEALED) => MASKED.to_owned(),
            Ok(said) => quoted(&without_keys(&said)),
            Err(_) => MASKED.to_owned(),
        },
        Some(_) | None => text.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is plain data")
}

/// Whether it is shown as a secret is, with a word that tells it from others: `*** 1f2e3d4c`.
fn is_starred(text: &str) -> bool {
    let word = text.strip_prefix("\"*** ").and_then(|rest| rest.strip_suffix('"'));
    word.is_some_and(|word| word.len() <= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A text with each clear key in it as keys are shown: `sk-...` and its last four characters.
pub(super) fn without_keys(text: &str) -> String {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, key)) = rest.split_once("sk-") {
        let end = key.find(|c| !is_of_key(c)).unwrap_or(key.len());
        let (key, behind) = key.split_at(end);
        shown.push_str(before);
        match key.len() {
            // What is shown already: `...abcd`.
            _ if key.starts_with("...") => shown.extend(["sk-", key]),
            // Shorter ones are refused as keys, and words such as `risk-based` have it in them.
            ..13 => shown.extend(["sk-", key]),
            length => shown.extend(["sk-...", &key[length - 4..]]),
        }
        rest = behind;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_are_and_the_rest_stays() {
        let cases = [
            (r#"{"a": 1.50, "b": "x"}"#, r#"{"a":1.50,"b":"x"}"#),
            (
                r#"{"langfuse_secret": "s", "api_key": ["a"], "input_cost_per_token": 1e-6}"#,
                r#"{"api_key":"***","input_cost_per_token":1e-6,"langfuse_secret":"***"}"#,
            ),
            (
                r#"[{"vars": {"GCS-Credential": "x", "Password": null}}]"#,
                r#"[{"vars":{"GCS-Credential":"***","Password":null}}]"#,
            ),
            (
                r#""use sk-0123456789abcdef, not sk-x, sk-...abcd or a risk-based one""#,
                r#""use sk-...cdef, not sk-x, sk-...abcd or a risk-based one""#,
            ),
            (r#"{"headers": "sealed:00ff", "host": "h"}"#, r#"{"headers":"***","host":"h"}"#),
            (r#"{"sk-0123456789abcdef": 1}"#, r#"{"sk-...cdef":1}"#),
            (r#"{"api_key": "*** 1f2e3d4c"}"#, r#"{"api_key":"*** 1f2e3d4c"}"#),
            (r#"{"api_key": "*** mine"}"#, r#"{"api_key":"***"}"#),
            (r#"{"api_key": "os.environ/KEY"}"#, r#"{"api_key":"os.environ/KEY"}"#),
            ("null", "null"),
            ("1.0e5", "1.0e5"),
        ];
        for (text, shown) in cases {
            assert_eq!(field("metadata", text), shown);
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(field("x", &deep(MAX_DEPTH)), deep(MAX_DEPTH));
        let shown = field("x", &deep(60_000));
        assert_eq!(shown.len(), 2 * MAX_DEPTH + MASKED.len());
    }
}
