//! A key as its row in answers: what is in force, what is kept, and LiteLLM's defaults for the
//! rest.

use std::collections::BTreeMap;

use dunlin_admin_api::{KeyRow, RawJson};
use dunlin_state::Key;
use dunlin_types::NanoUsd;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fields::OTHER;
use crate::moment::iso;

/// What LiteLLM's rows hold besides, and no request sets.
const CONSTANT: &[(&str, &str)] = &[
    ("budget_reset_at", "null"),
    ("litellm_budget_table", "null"),
    ("model_spend", "{}"),
    ("object_permission_id", "null"),
    ("soft_budget_cooldown", "false"),
];

/// The row of a key, with its token and without the clear key.
pub(crate) fn of(key: &Key, spend: NanoUsd) -> KeyRow {
    let defaults = OTHER.iter().map(|field| (field.name, field.unset()));
    let kept = key.terms.other.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut other: BTreeMap<String, RawJson> = CONSTANT
        .iter()
        .copied()
        .chain(defaults)
        .chain(kept)
        .map(|(name, text)| (name.to_owned(), raw(text)))
        .collect();
    let user_id = other.remove("user_id").and_then(|text| serde_json::from_str(text.get()).ok());
    let metadata = other.remove("metadata").unwrap_or_else(|| raw("{}"));
    let metadata = match key.terms.other.get("tags") {
        Some(tags) => tagged(&metadata, tags),
        None => metadata,
    };
    // Only the master key changes anything, so its last editor is its maker.
    other.insert("updated_by".to_owned(), to_raw(&key.created_by));
    KeyRow {
        key: None,
        key_name: key.name.clone(),
        key_alias: key.alias.clone(),
        token: Some(key.token),
        token_id: None,
        spend: spend.as_usd(),
        expires: key.expires.map(iso),
        models: key.terms.models.clone(),
        aliases: key.aliases.clone(),
        blocked: key.terms.blocked,
        rpm_limit: key.terms.rpm,
        tpm_limit: key.terms.tpm,
        max_parallel_requests: key.terms.parallel,
        user_id,
        metadata,
        created_at: iso(key.created_at),
        created_by: key.created_by.clone(),
        updated_at: iso(key.updated_at),
        other,
    }
}

/// LiteLLM keeps a key's tags in its metadata, and they survive when the rest is replaced.
fn tagged(metadata: &RawValue, tags: &str) -> RawJson {
    let mut object: serde_json::Map<String, Value> =
        serde_json::from_str(metadata.get()).unwrap_or_default();
    object.insert("tags".to_owned(), serde_json::from_str(tags).unwrap_or_default());
    to_raw(&object)
}

/// A value as JSON text.
pub(crate) fn to_raw(value: &impl serde::Serialize) -> RawJson {
    serde_json::value::to_raw_value(value).expect("plain data with text keys")
}

/// Text that was checked to be JSON before it was kept.
fn raw(text: &str) -> RawJson {
    RawValue::from_string(text.to_owned()).expect("kept fields are JSON")
}

#[cfg(test)]
pub(crate) mod tests {
    use dunlin_types::{KeyDigest, UnixMillis};

    use super::*;

    /// A key without anything particular.
    pub(crate) fn bare(clear: &str) -> Key {
        Key {
            token: KeyDigest::of(clear),
            name: format!("sk-...{}", &clear[clear.len() - 4..]),
            created_at: UnixMillis(1_800_000_000_000),
            updated_at: UnixMillis(1_800_000_000_500),
            created_by: "default_user_id".to_owned(),
            ..Key::default()
        }
    }

    #[test]
    fn a_row_has_every_field_once_with_its_default() {
        let row = to_raw(&of(&bare("sk-abcd"), NanoUsd(15_000)));
        let fields: Value = serde_json::from_str(row.get()).expect("JSON");
        for (name, value) in [
            ("key_name", "\"sk-...abcd\""),
            ("spend", "1.5e-5"),
            ("max_budget", "null"),
            ("blocked", "null"),
            ("guardrails", "[]"),
            ("metadata", "{}"),
            ("expires", "null"),
            ("created_at", "\"2027-01-15T08:00:00.000000Z\""),
            ("updated_at", "\"2027-01-15T08:00:00.500000Z\""),
        ] {
            let value: Value = serde_json::from_str(value).expect("JSON");
            assert_eq!(fields[name], value, "{name}");
        }
        for name in ["metadata", "user_id", "spend", "created_by"] {
            assert_eq!(row.get().matches(&format!("\"{name}\":")).count(), 1, "{name}");
        }
    }

    #[test]
    fn tags_are_shown_in_the_metadata() {
        let mut key = bare("sk-abcd");
        key.terms.other.insert("metadata".to_owned(), r#"{"a": [1, 2]}"#.to_owned());
        assert_eq!(of(&key, NanoUsd::ZERO).metadata.get(), r#"{"a": [1, 2]}"#);
        key.terms.other.insert("tags".to_owned(), r#"["x"]"#.to_owned());
        assert_eq!(of(&key, NanoUsd::ZERO).metadata.get(), r#"{"a":[1,2],"tags":["x"]}"#);
    }
}
