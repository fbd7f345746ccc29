//! Fields that this release does not act upon, as requests have them; which there are, and which of
//! them are refused, `dunlin_admin_api` knows.

use std::collections::BTreeMap;

use dunlin_admin_api::{Field, Of as Whose, REGIONS, Shape, THROUGHPUTS, idle_fields};
use dunlin_state::{Change, Kind};
use serde_json::Value;
use tracing::warn;

use crate::request::body::Body;
use crate::request::values::{self, Wrong};

/// Whose field it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Of {
    Key,
    Member,
    Entity(Kind),
}

impl From<Of> for Whose {
    fn from(of: Of) -> Self {
        match of {
            Of::Key => Self::Key,
            Of::Member => Self::Member,
            Of::Entity(Kind::Team) => Self::Team,
            Of::Entity(Kind::User) => Self::User,
            Of::Entity(Kind::EndUser) => Self::EndUser,
            Of::Entity(Kind::Organization) => Self::Organization,
            Of::Entity(Kind::Budget) => Self::Budget,
            Of::Entity(Kind::Tag) => Self::Tag,
            Of::Entity(Kind::AccessGroup) => Self::AccessGroup,
        }
    }
}

/// Fields by which LiteLLM routes the requests of one key, team or user, and this release does not.
const STEERING: [&str; 2] = ["config", "router_settings"];

/// The fields of one of them that are not in force.
pub(crate) fn other(of: Of) -> impl Iterator<Item = &'static Field> + Clone {
    idle_fields(of.into())
}

/// What a request says in those fields, and in which it asks for a guard that there is not.
pub(crate) fn read(
    body: &mut Body,
    of: Of,
) -> (BTreeMap<String, Change<String>>, Vec<&'static str>) {
    let (mut changes, mut guards) = (BTreeMap::new(), Vec::new());
    for field in other(of) {
        match take(field, body, &mut guards) {
            Change::Keep => {}
            change @ (Change::Clear | Change::Set(_)) => {
                changes.insert(field.name.to_owned(), change);
            }
        }
    }
    (changes, guards)
}

fn take(field: &Field, body: &mut Body, guards: &mut Vec<&'static str>) -> Change<String> {
    let raw = match body.take_raw(field.name) {
        Change::Keep => return Change::Keep,
        Change::Clear => return Change::Clear,
        Change::Set(raw) => raw,
    };
    let value: Value = serde_json::from_str(raw.get()).expect("raw values are JSON");
    let kept = match kept(field.shape, &value, raw.get()) {
        Ok(kept) => kept,
        Err(wrong) => {
            body.fault(field.name, wrong);
            return Change::Keep;
        }
    };
    if field.guards(&value) {
        guards.push(field.name);
    }
    if STEERING.contains(&field.name) && value.as_object().is_some_and(|all| !all.is_empty()) {
        warn!(field.name, "a field of a key, team or user is stored but has no effect");
    }
    Change::Set(kept)
}

/// What is kept of a value: it, as it was written.
fn kept(shape: Shape, value: &Value, written: &str) -> Result<String, Wrong> {
    match shape {
        Shape::Text => values::text(value).map(drop)?,
        // Who reads it where it is kept reads one form.
        Shape::Count => return values::count(value).map(|count| count.to_string()),
        Shape::Flag => values::flag(value).map(drop)?,
        Shape::List => values::list(value).map(drop)?,
        Shape::Object => values::object(value).map(drop)?,
        Shape::Counts => values::counts(value).map(drop)?,
        Shape::Lists => lists(value)?,
        Shape::Throughput => one_of(&THROUGHPUTS, value)?,
        Shape::Region => one_of(&REGIONS, value)?,
    }
    Ok(written.to_owned())
}

fn one_of(words: &[&str], value: &Value) -> Result<(), Wrong> {
    let text = values::text(value)?;
    if words.contains(&text.as_str()) {
        return Ok(());
    }
    Err(values::senseless(format!("`{text}` is none of {}", words.join(", "))))
}

fn lists(value: &Value) -> Result<(), Wrong> {
    let lists: Result<BTreeMap<String, Vec<String>>, _> = serde_json::from_value(value.clone());
    let expected =
        || values::senseless("expected lists of models by model, {\"a\": [\"b\"]}".to_owned());
    lists.map(drop).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    type Found = (BTreeMap<String, Change<String>>, Vec<&'static str>);

    fn read(text: &str) -> Result<Found, Error> {
        let mut body = Body::parse(text.as_bytes())?;
        let found = super::read(&mut body, Of::Key);
        body.finish(other(Of::Key).map(|field| field.name))?;
        Ok(found)
    }

    #[test]
    fn what_would_guard_and_does_not_is_told_by_name() {
        for (text, fields) in [
            (r#"{"guardrails": ["pii"], "agent_id": "a"}"#, vec!["agent_id", "guardrails"]),
            (r#"{"permissions": {"pii": false}}"#, vec!["permissions"]),
            (r#"{"rpm_limit_type": "dynamic"}"#, vec![]),
            (r#"{"rpm_limit_type": "guaranteed_throughput"}"#, vec![]),
            (r#"{"tpd_limit": 0}"#, vec![]),
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
        let (counts, _) =
            read(r#"{"tpd_limit": 5.0, "default_estimated_output_tokens": " 7"}"#).expect("kept");
        assert_eq!(counts["tpd_limit"], Change::Set("5".to_owned()));
        assert_eq!(counts["default_estimated_output_tokens"], Change::Set("7".to_owned()));
        assert!(!kept.contains_key("rotation_interval"), "what is absent stays");
        for wrong in [
            r#"{"guardrails": "pii"}"#,
            r#"{"budget_fallbacks": {"a": "b"}}"#,
            r#"{"rpm_limit_type": "dinamic"}"#,
            r#"{"tpd_limit": -1}"#,
            r#"{"tpd_limit": 1.5}"#,
        ] {
            assert!(matches!(read(wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn nothing_in_force_is_said_to_be_idle() {
        assert!(other(Of::Key).all(|field| !crate::terms::FIELDS.contains(&field.name)));
    }
}
