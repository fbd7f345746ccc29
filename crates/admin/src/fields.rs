//! The fields of keys, teams, users and the others that are not in force here: which are kept and
//! shown, and which are refused.
//!
//! Refused is what would guard money or access and does not: whoever sets it would believe to be
//! protected. Saying that nothing is guarded (null, empty, false) is always fine.

use std::collections::BTreeMap;

use dunlin_state::{Change, Kind};
use serde_json::Value;

use crate::body::{self, Body, Wrong};

/// Whose field it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Of {
    Key,
    Entity(Kind),
}

/// A field that this release does not act upon.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    shape: Shape,
    standing: Standing,
    /// A letter for each whose field it is: Key, Team, User, Customer, Organization, taG.
    on: &'static str,
}

#[derive(Clone, Copy)]
enum Shape {
    Text,
    Number,
    Count,
    Flag,
    List,
    Object,
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

use Shape::{Count, Flag, List, Number, Object, Text};
use Standing::{Guards, GuardsUnless, Kept};

/// Everything in LiteLLM's objects that is not in force here, by name.
static OTHER: &[Field] = &[
    field("access_group_ids", List, Guards, "KTUO"),
    field("agent_id", Text, Guards, "K"),
    field("allowed_cache_controls", List, Kept, "KU"),
    field("allowed_model_region", Text, Guards, "C"),
    field("allowed_passthrough_routes", List, Kept, "KT"),
    field("allowed_vector_store_indexes", List, Guards, "KT"),
    field("auto_rotate", Flag, Guards, "K"),
    field("budget_fallbacks", Object, Kept, "KT"),
    field("config", Object, Kept, "KU"),
    field("default_estimated_output_tokens", Count, Kept, "KT"),
    field("default_estimated_output_tokens_per_model", Object, Kept, "KT"),
    field("default_model", Text, Guards, "C"),
    field("default_team_member_models", List, Guards, "T"),
    field("denied_passthrough_routes", List, Guards, "KT"),
    field("description", Text, Kept, "G"),
    field("disable_global_guardrails", Flag, Kept, "KT"),
    field("guardrails", List, Guards, "KTU"),
    field("mcp_rpm_limit", Object, Guards, "KT"),
    field("object_permission", Object, Guards, "KTUCO"),
    field("password", Text, Guards, "U"),
    field("permissions", Object, GuardsUnless(only_grants), "KU"),
    field("policies", List, Guards, "KTU"),
    field("project_id", Text, Guards, "K"),
    field("prompts", List, Guards, "KTU"),
    field("rotation_interval", Text, Kept, "K"),
    field("router_settings", Object, Kept, "KTU"),
    field("rpm_limit_type", Text, Guards, "KT"),
    field("secret_manager_settings", Object, Kept, "T"),
    field("send_invite_email", Flag, Kept, "KU"),
    field("sso_user_id", Text, Kept, "U"),
    field("tag_rpm_limit", Object, Guards, "KT"),
    field("team_member_key_duration", Text, Guards, "T"),
    field("throttle_on_budget_exceeded", Flag, Guards, "KTU"),
    field("tpd_limit", Number, Guards, "KTU"),
    field("tpm_limit_type", Text, Guards, "KT"),
];

const fn field(name: &'static str, shape: Shape, standing: Standing, on: &'static str) -> Field {
    Field { name, shape, standing, on }
}

/// Permissions that only allow. What a grant allows does not exist here, so it opens nothing.
fn only_grants(value: &Value) -> bool {
    value.as_object().is_some_and(|permissions| permissions.values().all(|value| value == true))
}

impl Of {
    fn letter(self) -> char {
        match self {
            Self::Key => 'K',
            Self::Entity(Kind::Team) => 'T',
            Self::Entity(Kind::User) => 'U',
            Self::Entity(Kind::EndUser) => 'C',
            Self::Entity(Kind::Organization) => 'O',
            Self::Entity(Kind::Budget) => 'B',
            Self::Entity(Kind::Tag) => 'G',
            Self::Entity(Kind::AccessGroup) => 'A',
        }
    }
}

/// The fields of one of them that are not in force.
pub(crate) fn other(of: Of) -> impl Iterator<Item = &'static Field> + Clone {
    OTHER.iter().filter(move |field| field.on.contains(of.letter()))
}

/// What a request says in those fields, and in which it asks for a guard that there is not.
pub(crate) fn read(
    body: &mut Body,
    of: Of,
) -> (BTreeMap<String, Change<String>>, Vec<&'static str>) {
    let (mut changes, mut guards) = (BTreeMap::new(), Vec::new());
    for field in other(of) {
        match field.take(body, &mut guards) {
            Change::Keep => {}
            change @ (Change::Clear | Change::Set(_)) => {
                changes.insert(field.name.to_owned(), change);
            }
        }
    }
    (changes, guards)
}

impl Field {
    /// How it is shown while it is not set.
    pub(crate) fn unset(&self) -> &'static str {
        match self.shape {
            Text | Number | Count => "null",
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
    use crate::error::Error;

    type Found = (BTreeMap<String, Change<String>>, Vec<&'static str>);

    fn read(text: &str) -> Result<Found, Error> {
        let mut body = Body::parse(text.as_bytes())?;
        let found = super::read(&mut body, Of::Key);
        body.finish(OTHER.iter().map(|field| field.name))?;
        Ok(found)
    }

    #[test]
    fn what_would_guard_and_does_not_is_told_by_name() {
        for (text, fields) in [
            (r#"{"guardrails": ["pii"], "agent_id": "a"}"#, vec!["agent_id", "guardrails"]),
            (r#"{"permissions": {"pii": false}}"#, vec!["permissions"]),
            (r#"{"rpm_limit_type": "dynamic"}"#, vec!["rpm_limit_type"]),
            (r#"{"tpd_limit": 0}"#, vec!["tpd_limit"]),
            (r#"{"guardrails": [], "auto_rotate": false, "project_id": null}"#, vec![]),
            (r#"{"permissions": {"get_spend_routes": true}}"#, vec![]),
        ] {
            assert_eq!(read(text).expect("fields").1, fields, "{text}");
        }
    }

    #[test]
    fn what_is_kept_stays_as_it_was_written() {
        let (kept, _) = read(r#"{"router_settings": {"a": 1.50}, "config": null}"#).expect("kept");
        assert_eq!(kept["router_settings"], Change::Set(r#"{"a": 1.50}"#.to_owned()));
        assert_eq!(kept["config"], Change::Clear);
        assert!(!kept.contains_key("rotation_interval"), "what is absent stays");
        assert!(matches!(read(r#"{"guardrails": "pii"}"#), Err(Error::Invalid(_))));
    }

    #[test]
    fn the_table_is_sorted_and_names_nothing_that_is_in_force() {
        assert!(OTHER.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(OTHER.iter().all(|field| !crate::terms::FIELDS.contains(&field.name)));
    }
}
