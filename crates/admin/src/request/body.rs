//! A request's JSON object, read field by field. All faults are found before any is told, in
//! FastAPI's shape, which LiteLLM's clients know.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dunlin_state::Change;
use dunlin_types::{AmountError, NanoUsd, UnixMillis};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::warn;

use crate::error::Error;
use crate::request::repeats;

/// Unknown fields of one request that are named in the log.
const MAX_IGNORED_TOLD: usize = 20;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    r#type: &'static str,
    loc: Vec<Step>,
    msg: String,
}

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Step {
    Name(String),
    Index(usize),
}

/// Why a value does not have the type it must have.
pub(crate) struct Wrong {
    r#type: &'static str,
    msg: Cow<'static, str>,
    /// Inside the value.
    at: Option<Step>,
}

impl Fault {
    /// A fault of the field or parameter `name` in `part` of the request.
    pub(crate) fn of(part: &str, name: &str, r#type: &'static str, msg: impl Into<String>) -> Self {
        let loc = vec![Step::Name(part.to_owned()), Step::Name(name.to_owned())];
        Self { r#type, loc, msg: msg.into() }
    }

    /// As one line of text.
    pub(crate) fn told(&self) -> String {
        let step = |step: &Step| match step {
            Step::Name(name) => name.clone(),
            Step::Index(index) => index.to_string(),
        };
        let place: Vec<_> = self.loc.iter().skip(1).map(step).collect();
        format!("{}: {}", place.join("."), self.msg)
    }

    fn of_body(r#type: &'static str, msg: impl Into<String>) -> Self {
        Self { r#type, loc: vec![Step::Name("body".to_owned())], msg: msg.into() }
    }
}

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
            Err(Wrong { r#type, msg, at }) => {
                let mut fault = Fault::of("body", name, r#type, msg);
                fault.loc.extend(at);
                self.faults.push(fault);
                Change::Keep
            }
        }
    }

    /// Takes the field of a display name or an id; an empty one is none.
    pub(crate) fn take_name(&mut self, field: &'static str) -> Change<String> {
        match self.take(field, text) {
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
        if let Some(reason) = unseen(name).filter(|_| self.now > UnixMillis(0)) {
            self.refuse(field, reason);
        }
    }

    /// Takes a list of models: one without a name is none.
    pub(crate) fn take_names(&mut self, field: &'static str) -> Change<Vec<String>> {
        let list = self.take(field, texts);
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
        let mut fault = Fault::of("body", name, wrong.r#type, wrong.msg);
        fault.loc.extend(wrong.at);
        self.faults.push(fault);
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
            if let Some(meant) = meant(name, known.clone()) {
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

/// Which known name an unknown one is a slip of: at most two letters apart, one for short names.
pub(crate) fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = if name.len() <= 5 { 1 } else { 2 };
    known
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, _)| (1..=most).contains(distance))
        .min()
        .map(|(_, known)| known)
}

pub(crate) fn wrong(r#type: &'static str, msg: &'static str) -> Wrong {
    Wrong { r#type, msg: Cow::Borrowed(msg), at: None }
}

/// A value of the right type that cannot be meant, with the reason.
pub(crate) fn senseless(reason: String) -> Wrong {
    Wrong { r#type: "value_error", msg: Cow::Owned(reason), at: None }
}

pub(crate) fn text(value: &Value) -> Result<String, Wrong> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| wrong("string_type", "Input should be a valid string"))
}

/// Lenient, as LiteLLM: numbers and words that mean yes or no are taken too.
pub(crate) fn flag(value: &Value) -> Result<bool, Wrong> {
    let word = match value {
        Value::Bool(flag) => return Ok(*flag),
        Value::String(word) => word.to_ascii_lowercase(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    };
    match word.as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(wrong("bool_type", "Input should be a valid boolean")),
    }
}

/// A number that is not negative. Lenient, as LiteLLM: `"5"` and `5.0` are 5.
pub(crate) fn count(value: &Value) -> Result<u64, Wrong> {
    const MOST: f64 = 9e15;
    let number = match value {
        Value::Number(number) => number.as_u64().map(Ok).or(number.as_f64().map(Err)),
        Value::String(text) => text.trim().parse().ok().map(Ok),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match number {
        Some(Ok(count)) => Ok(count),
        Some(Err(negative)) if negative < 0.0 => {
            Err(wrong("greater_than_equal", "Input should be greater than or equal to 0"))
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked, and there is no fraction"
        )]
        Some(Err(whole)) if whole.fract() == 0.0 && whole < MOST => Ok(whole as u64),
        Some(Err(_)) | None => Err(wrong("int_type", "Input should be a valid integer")),
    }
}

/// An amount of US dollars, to the nano-dollar. `"5"` is 5; NaN and infinities are none.
pub(crate) fn usd(value: &Value) -> Result<NanoUsd, Wrong> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    text.parse().map_err(|error| match error {
        AmountError::Unreadable => wrong("float_type", "Input should be a valid number"),
        AmountError::Negative => {
            wrong("greater_than_equal", "Input should be greater than or equal to 0")
        }
        AmountError::TooMuch => wrong("less_than_equal", "Input should be at most 18 billion"),
    })
}

/// A budget in US dollars: one that is not 0 does not become 0, which would let nothing through.
pub(crate) fn budget(value: &Value) -> Result<NanoUsd, Wrong> {
    let amount = usd(value)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    if amount == NanoUsd::ZERO && digits.contains(|digit| matches!(digit, '1'..='9')) {
        let reason = "a budget is 0, or at least 0.000000001: money is counted in nano-dollars";
        return Err(senseless(reason.to_owned()));
    }
    Ok(amount)
}

/// Why a name may not be one: characters in it are not seen, or turn around what is.
pub(crate) fn unseen(name: &str) -> Option<String> {
    let is_unseen = |c: &char| {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let found = name.chars().find(is_unseen)?;
    Some(format!("a name has no control characters, and this one has U+{:04X}", u32::from(found)))
}

/// A longer name is refused.
pub(crate) const MAX_NAME_BYTES: usize = 256;

/// A text that names something, which is not too long.
pub(crate) fn name(value: &Value) -> Result<String, Wrong> {
    let name = text(value)?;
    if name.len() > MAX_NAME_BYTES {
        let length = name.len();
        let reason =
            format!("a name has at most {MAX_NAME_BYTES} bytes, and this one has {length}");
        return Err(senseless(reason));
    }
    Ok(name)
}

/// Several names.
pub(crate) fn names(value: &Value) -> Result<Vec<String>, Wrong> {
    each(value, name)
}

/// Numbers by name, such as requests a minute for single models.
pub(crate) fn counts(value: &Value) -> Result<BTreeMap<String, u64>, Wrong> {
    let entry = |(name, value): (&String, &Value)| match count(value) {
        Ok(value) => Ok((name.clone(), value)),
        Err(wrong) => Err(Wrong { at: Some(Step::Name(name.clone())), ..wrong }),
    };
    object(value)?.iter().map(entry).collect()
}

pub(crate) fn texts(value: &Value) -> Result<Vec<String>, Wrong> {
    each(value, text)
}

fn each<T>(value: &Value, read: fn(&Value) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    let items = value.as_array();
    let items = items.ok_or_else(|| wrong("list_type", "Input should be a valid list"))?;
    let item =
        |(index, item)| read(item).map_err(|wrong| Wrong { at: Some(Step::Index(index)), ..wrong });
    items.iter().enumerate().map(item).collect()
}

pub(crate) fn text_map(value: &Value) -> Result<BTreeMap<String, String>, Wrong> {
    let entry = |(name, value): (&String, &Value)| match text(value) {
        Ok(value) => Ok((name.clone(), value)),
        Err(wrong) => Err(Wrong { at: Some(Step::Name(name.clone())), ..wrong }),
    };
    object(value)?.iter().map(entry).collect()
}

pub(crate) fn object(value: &Value) -> Result<&serde_json::Map<String, Value>, Wrong> {
    let object = value.as_object();
    object.ok_or_else(|| wrong("dict_type", "Input should be a valid dictionary"))
}

pub(crate) fn list(value: &Value) -> Result<&[Value], Wrong> {
    let items = value.as_array().map(Vec::as_slice);
    items.ok_or_else(|| wrong("list_type", "Input should be a valid list"))
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
        body.take("a", text);
        body.take("b", texts);
        body.take("c", count);
        body.take("d", count);
        body.take("e", text_map);
        body.take("models", texts);
        body.require("key", text);
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

    #[test]
    fn numbers_and_flags_are_read_as_leniently_as_clients_expect() {
        let count = |text: &str| count(&serde_json::from_str(text).expect("JSON")).ok();
        assert_eq!(count("5.0"), Some(5));
        assert_eq!(count("\"5\""), Some(5));
        assert_eq!(count("18446744073709551615"), Some(u64::MAX));
        assert_eq!(count("1e300"), None);
        assert_eq!(count("true"), None);
        let flag = |text: &str| flag(&serde_json::from_str(text).expect("JSON")).ok();
        assert_eq!(flag("\"False\""), Some(false));
        assert_eq!(flag("1"), Some(true));
        assert_eq!(flag("2"), None);
    }
}
