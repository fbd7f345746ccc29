//! What the audit log shows of the content of a model, a credential or an access group: each field
//! by its name in answers, secrets starred out. A tag beside the stars changes whenever the secret
//! does.

use std::collections::BTreeMap;

use dunlin_config::without_logins;
use dunlin_seal::Sealer;
use dunlin_state::Resource;
use dunlin_types::is_secret;
use serde_json::Value;

/// Letters of a secret's fingerprint that are shown: two secrets look the same once in four billion.
const WORD: usize = 8;
/// What the parts of a content are called in answers.
const PARTS: [(&str, &str); 3] =
    [("params", "litellm_params"), ("info", "model_info"), ("values", "credential_values")];

/// The fields of `content`. What `former` has in it too is shown as it was there: one cluster secret
/// may have taken the place of another meanwhile, and with it all words.
pub(crate) fn shown(
    sealer: &Sealer,
    content: &Value,
    former: Option<(&Resource, &Value)>,
) -> BTreeMap<String, String> {
    let before = former.map(|(_, content)| leaves(content)).unwrap_or_default();
    let show = |(name, value): (String, &Value)| {
        let known = former.and_then(|(resource, _)| resource.shown.get(&name));
        let text = match known.filter(|_| before.get(&name) == Some(&value)) {
            Some(known) => known.clone(),
            None => text(sealer, &name, value),
        };
        (name, text)
    };
    leaves(content).into_iter().map(show).collect()
}

/// Each part's fields, by the names of both.
fn leaves(content: &Value) -> BTreeMap<String, &Value> {
    let mut leaves = BTreeMap::new();
    let parts = content.as_object().into_iter().flatten();
    for (part, value) in parts {
        let known = PARTS.iter().find(|(name, _)| name == part);
        let part = known.map_or(part.as_str(), |(_, shown)| *shown);
        match value {
            Value::Object(fields) => {
                leaves.extend(fields.iter().map(|(name, value)| (format!("{part}.{name}"), value)));
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                leaves.insert(part.to_owned(), value);
            }
        }
    }
    leaves
}

fn text(sealer: &Sealer, name: &str, value: &Value) -> String {
    let field = name.split_once('.').map_or(name, |(_, field)| field);
    masked(sealer, field, value).to_string()
}

fn masked(sealer: &Sealer, name: &str, value: &Value) -> Value {
    let starred = || {
        let fingerprint = sealer.fingerprint(value.to_string().as_bytes());
        Value::from(format!("*** {}", fingerprint.get(..WORD).unwrap_or(&fingerprint)))
    };
    match value {
        Value::String(text) if text.starts_with("os.environ/") => value.clone(),
        Value::String(_) | Value::Array(_) | Value::Object(_) if is_secret(name) => starred(),
        Value::String(text) => without_logins(text.clone()).into(),
        Value::Array(items) => items.iter().map(|item| masked(sealer, name, item)).collect(),
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| (name.clone(), masked(sealer, name, value));
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use dunlin_types::Secret;
    use serde_json::json;

    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&Secret::new(secret).into())
    }

    #[test]
    fn fields_are_shown_under_the_names_that_answers_have_and_secrets_by_a_word() {
        let content = json!({
            "params": {
                "api_base": "https://me:word@h/v1", "api_key": "sk-0123456789", "rpm": 5,
                "client_secret": "os.environ/SECRET", "extra_headers": {"x": "hidden"},
                "nested": [{"token": "hidden"}],
            },
            "info": {"mode": "chat"},
            "models": ["a"],
        });
        let sealer = sealer("a secret of ours");
        let mut shown = shown(&sealer, &content, None);
        let key = shown.remove("litellm_params.api_key").expect("a key");
        assert!(key.starts_with("\"*** ") && key.len() == "\"*** 01234567\"".len(), "{key}");
        let text = format!("{shown:?}{key}");
        for secret in ["me:word", "0123456789", "hidden"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        for (name, text) in [
            ("litellm_params.api_base", r#""https://*******@h/v1""#),
            ("litellm_params.rpm", "5"),
            ("litellm_params.client_secret", r#""os.environ/SECRET""#),
            ("model_info.mode", r#""chat""#),
            ("models", r#"["a"]"#),
        ] {
            assert_eq!(shown.get(name).map(String::as_str), Some(text), "{name}");
        }
    }

    #[test]
    fn a_secret_that_stays_is_shown_as_it_was_under_another_cluster_secret_too() {
        let [ours, newer] = ["a secret of ours", "a newer secret of ours"].map(sealer);
        let content = |key: &str| json!({"values": {"api_key": key}});
        let first = shown(&ours, &content("one"), None);
        let resource = Resource { shown: first.clone(), ..Resource::default() };
        let before = content("one");
        let same = shown(&newer, &content("one"), Some((&resource, &before)));
        assert_eq!(same, first);
        let changed = shown(&newer, &content("two"), Some((&resource, &before)));
        assert_ne!(changed, first);
    }
}
