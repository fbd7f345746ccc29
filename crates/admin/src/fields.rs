//! The fields of a key: which are in force, which are kept and shown, and which are refused.
//!
//! Refused is what would guard money or access and does not yet: whoever sets it would believe to
//! be protected. Saying that nothing is guarded (null, empty, false) is always fine.

use dunlin_ledger::expiry;
use dunlin_state::{Change, KeyChanges, TermsChanges};
use dunlin_types::UnixMillis;
use serde_json::Value;

use crate::body::{self, Body, Wrong};
use crate::error::Error;

/// A field that this release does not act upon.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    shape: Shape,
    standing: Standing,
}

#[derive(Clone, Copy)]
enum Shape {
    Text,
    Number,
    Count,
    Flag,
    List,
    Object,
    /// A list or an object.
    Any,
}

#[derive(Clone, Copy)]
enum Standing {
    /// Guards nothing: a label, a wish, a switch for what does not exist here.
    Kept,
    /// Would guard something.
    Guards,
    /// Would guard something unless its value says otherwise.
    GuardsUnless(fn(&Value) -> bool),
}

use Shape::{Any, Count, Flag, List, Number, Object, Text};
use Standing::{Guards, GuardsUnless, Kept};

/// Everything in LiteLLM's key object that is not in force here, by name.
pub(crate) static OTHER: &[Field] = &[
    field("access_group_ids", List, Guards),
    field("agent_id", Text, Guards),
    field("allowed_cache_controls", List, Kept),
    field("allowed_passthrough_routes", List, Kept),
    field("allowed_routes", List, Guards),
    field("allowed_vector_store_indexes", List, Guards),
    field("auto_rotate", Flag, Guards),
    field("budget_duration", Text, Kept),
    field("budget_fallbacks", Object, Kept),
    field("budget_id", Text, Guards),
    field("budget_limits", Any, Guards),
    field("config", Object, Kept),
    field("default_estimated_output_tokens", Count, Kept),
    field("default_estimated_output_tokens_per_model", Object, Kept),
    field("denied_passthrough_routes", List, Guards),
    field("disable_global_guardrails", Flag, Kept),
    field("enforced_params", List, Guards),
    field("guardrails", List, Guards),
    field("key_type", Text, GuardsUnless(is_default_type)),
    field("max_budget", Number, Guards),
    field("mcp_rpm_limit", Object, Guards),
    field("metadata", Object, Kept),
    field("model_max_budget", Object, Guards),
    field("model_rpm_limit", Object, Guards),
    field("model_tpm_limit", Object, Guards),
    field("object_permission", Object, Guards),
    field("organization_id", Text, Guards),
    field("permissions", Object, GuardsUnless(only_grants)),
    field("policies", List, Guards),
    field("project_id", Text, Guards),
    field("prompts", List, Guards),
    field("rotation_interval", Text, Kept),
    field("router_settings", Object, Kept),
    field("rpm_limit_type", Text, Guards),
    field("send_invite_email", Flag, Kept),
    field("soft_budget", Number, Kept),
    field("tag_rpm_limit", Object, Guards),
    field("tags", List, Kept),
    field("team_id", Text, Guards),
    field("temp_budget_expiry", Text, Guards),
    field("temp_budget_increase", Number, Guards),
    field("throttle_on_budget_exceeded", Flag, Guards),
    field("tpd_limit", Count, Guards),
    field("tpm_limit_type", Text, Guards),
    field("user_id", Text, Kept),
];

/// The fields that are read one by one.
const IN_FORCE: &[&str] = &[
    "aliases",
    "blocked",
    "duration",
    "key",
    "key_alias",
    "max_parallel_requests",
    "models",
    "rpm_limit",
    "spend",
    "tpm_limit",
];

const fn field(name: &'static str, shape: Shape, standing: Standing) -> Field {
    Field { name, shape, standing }
}

/// A key type that restricts nothing.
fn is_default_type(value: &Value) -> bool {
    value == "default"
}

/// Permissions that only allow. What a grant allows does not exist here, so it opens nothing.
fn only_grants(value: &Value) -> bool {
    value.as_object().is_some_and(|permissions| permissions.values().all(|value| value == true))
}

/// What a request says about a key.
#[derive(Debug)]
pub(crate) struct KeyFields {
    pub(crate) changes: KeyChanges,
    /// The lifetime as it was written.
    pub(crate) duration: Option<String>,
}

/// Reads all but the `key` itself from `body`.
pub(crate) fn read(mut body: Body, now: UnixMillis) -> Result<KeyFields, Error> {
    let mut changes = KeyChanges {
        alias: none_if(body.take("key_alias", body::text), String::is_empty),
        aliases: body.take("aliases", body::text_map),
        terms: TermsChanges {
            models: body.take("models", body::texts),
            blocked: body.take("blocked", body::flag),
            rpm: body.take("rpm_limit", body::count),
            tpm: body.take("tpm_limit", body::count),
            parallel: body.take("max_parallel_requests", body::count),
            ..TermsChanges::default()
        },
        ..KeyChanges::default()
    };
    let duration = body.take("duration", body::text);
    let spend = body.take("spend", body::number);
    let mut guards = Vec::new();
    for field in OTHER {
        match field.take(&mut body, &mut guards) {
            Change::Keep => {}
            change @ (Change::Clear | Change::Set(_)) => {
                changes.terms.other.insert(field.name.to_owned(), change);
            }
        }
    }
    body.finish(IN_FORCE.iter().copied().chain(OTHER.iter().map(|field| field.name)))?;

    if matches!(spend, Change::Set(spend) if spend != 0.0) {
        guards.push("spend");
    }
    if !guards.is_empty() {
        return Err(Error::NotEnforced { fields: guards });
    }
    let (expires, duration) = match duration {
        Change::Keep => (Change::Keep, None),
        Change::Clear => (Change::Clear, None),
        Change::Set(text) => match expiry(&text, now) {
            Ok(ends) => (Change::Set(ends), Some(text)),
            Err(bad) => {
                let reason = format!("`{text}` is {bad}");
                return Err(Error::BadField { name: "duration", reason });
            }
        },
    };
    changes.expires = expires;
    Ok(KeyFields { changes, duration })
}

fn none_if<T>(change: Change<T>, is_none: fn(&T) -> bool) -> Change<T> {
    match change {
        Change::Set(value) if is_none(&value) => Change::Clear,
        Change::Keep | Change::Clear | Change::Set(_) => change,
    }
}

impl Field {
    /// How it is shown while it is not set.
    pub(crate) fn unset(&self) -> &'static str {
        match self.shape {
            Text | Number | Count | Any => "null",
            Flag => "false",
            List => "[]",
            Object => "{}",
        }
    }

    fn take(&self, body: &mut Body, guards: &mut Vec<&'static str>) -> Change<String> {
        let raw = match body.take_raw(self.name) {
            Change::Keep => return Change::Keep,
            Change::Clear => return Change::Clear,
            Change::Set(raw) => raw,
        };
        let value: Value = serde_json::from_str(raw.get()).expect("raw values are JSON");
        if let Err(wrong) = self.shape.check(&value) {
            body.fault(self.name, wrong);
            return Change::Keep;
        }
        if !guards_nothing(&value) && self.guards(&value) {
            guards.push(self.name);
        }
        Change::Set(raw.get().to_owned())
    }

    fn guards(&self, value: &Value) -> bool {
        match self.standing {
            Kept => false,
            Guards => true,
            GuardsUnless(harmless) => !harmless(value),
        }
    }
}

impl Shape {
    fn check(self, value: &Value) -> Result<(), Wrong> {
        match self {
            Text => body::text(value).map(drop),
            Number => body::number(value).map(drop),
            Count => body::count(value).map(drop),
            Flag => body::flag(value).map(drop),
            List => body::list(value).map(drop),
            Object => body::object(value).map(drop),
            Any if value.is_object() => Ok(()),
            Any => body::list(value).map(drop),
        }
    }
}

/// A number is never nothing: a budget of 0 is a limit that lets nothing through.
fn guards_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<KeyFields, Error> {
        super::read(Body::parse(text.as_bytes())?, UnixMillis(0))
    }

    fn refused(text: &str) -> Vec<&'static str> {
        match read(text) {
            Ok(_) => Vec::new(),
            Err(Error::NotEnforced { fields }) => fields,
            Err(other) => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_would_guard_and_does_not_yet_is_refused_by_name() {
        for (text, fields) in [
            (r#"{"max_budget": 0}"#, vec!["max_budget"]),
            (r#"{"team_id": "t", "guardrails": ["pii"]}"#, vec!["guardrails", "team_id"]),
            (r#"{"permissions": {"pii": false}}"#, vec!["permissions"]),
            (r#"{"key_type": "read_only"}"#, vec!["key_type"]),
            (r#"{"rpm_limit_type": "dynamic"}"#, vec!["rpm_limit_type"]),
            (r#"{"budget_limits": [{"max_budget": 1}]}"#, vec!["budget_limits"]),
            (r#"{"spend": 2.5}"#, vec!["spend"]),
        ] {
            assert_eq!(refused(text), fields, "{text}");
        }
    }

    #[test]
    fn what_guards_nothing_is_kept() {
        for text in [
            r#"{"max_budget": null, "team_id": null, "guardrails": [], "model_max_budget": {}}"#,
            r#"{"auto_rotate": false, "key_type": "default", "organization_id": "", "spend": 0}"#,
            r#"{"permissions": {"get_spend_routes": true}, "soft_budget": 5, "tags": ["a"]}"#,
        ] {
            assert_eq!(refused(text), Vec::<&str>::new(), "{text}");
        }
        let kept =
            read(r#"{"soft_budget": 1.50, "user_id": null}"#).expect("kept").changes.terms.other;
        assert_eq!(kept["soft_budget"], Change::Set("1.50".to_owned()), "as it was written");
        assert_eq!(kept["user_id"], Change::Clear);
        assert!(!kept.contains_key("metadata"), "what is absent stays");
    }

    #[test]
    fn the_table_is_sorted_and_names_nothing_twice() {
        assert!(OTHER.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(OTHER.iter().all(|field| !IN_FORCE.contains(&field.name)));
    }

    #[test]
    fn a_slip_is_told_and_a_stranger_is_ignored() {
        assert!(matches!(read(r#"{"rpm_limt": 1}"#), Err(Error::Invalid(_))));
        assert!(matches!(read(r#"{"max_budgets": 1}"#), Err(Error::Invalid(_))));
        assert!(read(r#"{"my_own_field": 1}"#).is_ok());
    }
}
