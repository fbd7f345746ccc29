//! A request's JSON object, read field by field. All faults are found before any is told.

use std::collections::BTreeMap;

use dunlin_state::Change;
use dunlin_types::UnixMillis;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::warn;

use crate::error::Error;
use crate::request::fault::{Fault, guard_meant, meant};
use crate::request::repeats;
use crate::request::values::{self, Wrong};

/// Unknown fields of one request that are named in the log.
const MAX_IGNORED_TOLD: usize = 20;

/// A JSON object and what was found wrong with it so far.
pub(crate) struct Body {
    fields: BTreeMap<String, Box<RawValue>>,
    faults: Vec<Fault>,
    refused: Option<Error>,
    /// When the request came; at the beginning of time for what was in force elsewhere.
    now: UnixMillis,
}

impl Body {
    /// The object in `bytes`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.trim_ascii().is_empty() {
            return Err(Error::Invalid(vec![Fault::of_body("missing", "Field required")]));
        }
        let fields = serde_json::from_slice(bytes).map_err(|error| {
            Error::Invalid(vec![if error.is_data() {
                let msg = "Input should be a valid dictionary or object to extract fields from";
                Fault::of_body("model_attributes_type", msg)
            } else {
                Fault::of_body("json_invalid", format!("JSON decode error: {error}"))
            }])
        })?;
        // A value passes as text which cannot be taken apart: too deep, or half of a character.
        let twice = repeats::first(bytes).map_err(|error| {
            let fault = Fault::of_body("json_invalid", format!("JSON decode error: {error}"));
            Error::Invalid(vec![fault])
        })?;
        match twice {
            Some(name) => Err(Error::Twice { name }),
            None => Ok(Self { fields, faults: Vec::new(), refused: None, now: UnixMillis(0) }),
        }
    }

    /// The same in a request that came at `now`: what ends before that is refused.
    pub(crate) fn at(self, now: UnixMillis) -> Self {
        Self { now, ..self }
    }

    /// Whether a moment had passed when the request came.
    pub(crate) fn is_past(&self, moment: UnixMillis) -> bool {
        moment <= self.now
    }

    /// Puts in what is absent or null; the names of what it put in.
    pub(crate) fn fill(&mut self, defaults: &BTreeMap<String, String>) -> Vec<String> {
        let mut filled = Vec::new();
        for (name, text) in defaults {
            let absent = self.fields.get(name).is_none_or(|raw| raw.get() == "null");
            if let (true, Ok(raw)) = (absent, RawValue::from_string(text.clone())) {
                self.fields.insert(name.clone(), raw);
                filled.push(name.clone());
            }
        }
        filled
    }

    /// Takes a field away.
    pub(crate) fn drop(&mut self, name: &str) {
        self.fields.remove(name);
    }

    /// Whether a field is there, null or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// A field that stays where it is.
    pub(crate) fn peek(&self, name: &str) -> Option<Value> {
        self.fields
            .get(name)
            .map(|raw| serde_json::from_str(raw.get()).expect("raw values are JSON"))
    }

    /// Puts a field in the place of the one with its name.
    pub(crate) fn put(&mut self, name: &str, value: &impl Serialize) {
        let raw = serde_json::value::to_raw_value(value).expect("plain data with text keys");
        self.fields.insert(name.to_owned(), raw);
    }

    /// Notes why a request is not done though every field has its type. The first reason is told.
    pub(crate) fn refuse(&mut self, name: &'static str, reason: String) {
        self.refused.get_or_insert(Error::BadField { name, reason });
    }

    /// Takes a field that may be absent or null.
    pub(crate) fn take<T>(
        &mut self,
        name: &str,
        read: fn(&Value) -> Result<T, Wrong>,
    ) -> Change<T> {
        let Some(raw) = self.fields.remove(name) else { return Change::Keep };
        let value: Value = serde_json::from_str(raw.get()).expect("raw values are JSON");
        if value.is_null() {
            return Change::Clear;
        }
        match read(&value) {
            Ok(value) => Change::Set(value),
            Err(wrong) => {
                self.faults.push(Fault::of_value(name, wrong));
                Change::Keep
            }
        }
    }

    /// Takes the field of a display name or an id; an empty one is none.
    pub(crate) fn take_name(&mut self, field: &'static str) -> Change<String> {
        match self.take(field, values::text) {
            Change::Set(name) if name.is_empty() => Change::Clear,
            Change::Set(name) => {
                self.check_name(field, &name);
                Change::Set(name)
            }
            change @ (Change::Keep | Change::Clear) => change,
        }
    }

    /// Refuses a name with characters that would let it pass for another, unless it was one elsewhere.
    pub(crate) fn check_name(&mut self, field: &'static str, name: &str) {
        if let Some(reason) = values::unseen(name).filter(|_| self.now > UnixMillis(0)) {
            self.refuse(field, reason);
        }
    }

    /// Refuses names in an object that could mean nothing, unless they were there elsewhere.
    pub(crate) fn check_names<'n>(
        &mut self,
        field: &'static str,
        names: impl Iterator<Item = &'n String>,
    ) {
        for name in names {
            if name.trim().is_empty() && self.now > UnixMillis(0) {
                self.refuse(field, format!("{field}: a name in it is empty"));
            }
            self.check_name(field, name);
        }
    }

    /// Takes a list of models: one without a name is none.
    pub(crate) fn take_names(&mut self, field: &'static str) -> Change<Vec<String>> {
        let list = self.take(field, values::texts);
        if let Change::Set(names) = &list
            && names.iter().any(|name| name.trim().is_empty())
        {
            self.refuse(field, format!("{field}: a name in it is empty"));
        }
        list
    }

    /// Takes a field that must be there.
    pub(crate) fn require<T: Default>(
        &mut self,
        name: &str,
        read: fn(&Value) -> Result<T, Wrong>,
    ) -> T {
        let known = self.faults.len();
        match self.take(name, read) {
            Change::Set(value) => value,
            Change::Keep | Change::Clear => {
                if self.faults.len() == known {
                    self.faults.push(Fault::of("body", name, "missing", "Field required"));
                }
                T::default()
            }
        }
    }

    /// Takes a field's text as it came; null is [`Change::Clear`].
    pub(crate) fn take_raw(&mut self, name: &str) -> Change<Box<RawValue>> {
        match self.fields.remove(name) {
            None => Change::Keep,
            Some(raw) if raw.get() == "null" => Change::Clear,
            Some(raw) => Change::Set(raw),
        }
    }

    /// Notes a fault that another check has found.
    pub(crate) fn fault(&mut self, name: &str, wrong: Wrong) {
        self.faults.push(Fault::of_value(name, wrong));
    }

    /// Refuses all that was not taken, instead of ignoring it.
    pub(crate) fn forbid_rest(&mut self, why: &str) {
        for name in std::mem::take(&mut self.fields).into_keys() {
            let msg = format!("Extra inputs are not permitted: {why}");
            self.faults.push(Fault::of("body", &name, "extra_forbidden", msg));
        }
    }

    /// Ends the reading. Fields that were not taken are ignored, as LiteLLM does, and named in the
    /// log; unless they look like a misspelt one of `known`: that one would be missing unnoticed.
    /// Only bodies of admins are read, so nobody else can fill the log.
    pub(crate) fn finish<'a>(
        mut self,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), Error> {
        for name in self.fields.keys() {
            let meant = meant(name, known.clone());
            if let Some(meant) = meant.or_else(|| guard_meant(name, known.clone())) {
                let msg = format!("Unknown field `{name}`; did you mean `{meant}`?");
                self.faults.push(Fault::of("body", name, "extra_forbidden", msg));
            }
        }
        if !self.faults.is_empty() {
            return Err(Error::Invalid(self.faults));
        }
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        if !self.fields.is_empty() {
            let ignored: Vec<_> = self.fields.keys().take(MAX_IGNORED_TOLD).collect();
            warn!(?ignored, "ignored unknown fields in a management request");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_told_at_once_with_their_place() {
        let mut body = Body::parse(
            br#"{"a": 1, "b": ["x", 2], "c": -1, "d": 1.5, "e": {"f": 1}, "models": "m", "modles": 1, "foo": 2}"#,
        )
        .expect("an object");
        body.take("a", values::text);
        body.take("b", values::texts);
        body.take("c", values::count);
        body.take("d", values::count);
        body.take("e", values::text_map);
        body.take("models", values::texts);
        body.require("key", values::text);
        let Err(Error::Invalid(faults)) = body.finish(["models", "metadata"].into_iter()) else {
            panic!("faults");
        };
        let told = serde_json::to_value(&faults).expect("JSON");
        let places: Vec<_> = told
            .as_array()
            .expect("a list")
            .iter()
            .map(|fault| (fault["loc"].to_string(), fault["type"].as_str().expect("a word")))
            .collect();
        let expected = [
            (r#"["body","a"]"#, "string_type"),
            (r#"["body","b",1]"#, "string_type"),
            (r#"["body","c"]"#, "greater_than_equal"),
            (r#"["body","d"]"#, "int_type"),
            (r#"["body","e","f"]"#, "string_type"),
            (r#"["body","models"]"#, "list_type"),
            (r#"["body","key"]"#, "missing"),
            (r#"["body","modles"]"#, "extra_forbidden"),
        ];
        let expected: Vec<_> =
            expected.into_iter().map(|(place, kind)| (place.to_owned(), kind)).collect();
        assert_eq!(places, expected);
    }

    #[test]
    fn a_body_must_be_an_object() {
        for (text, kind) in [
            ("", "missing"),
            ("[]", "model_attributes_type"),
            ("{\"a\"", "json_invalid"),
            ("null", "model_attributes_type"),
        ] {
            let Err(Error::Invalid(faults)) = Body::parse(text.as_bytes()) else {
                panic!("{text} is no object");
            };
            assert_eq!(faults[0].r#type, kind, "{text}");
        }
    }
}
