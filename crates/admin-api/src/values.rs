//! What a JSON value is read as, as leniently as LiteLLM reads it: by the admin API, and by whoever
//! wants to know beforehand what the API will say.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dunlin_types::{AmountError, NanoUsd};
use serde::Serialize;
use serde_json::{Map, Value};

/// Budgets beside the main one that somebody may have: each is a pot of every request.
pub const MAX_WINDOWS: usize = 16;
/// Models for which somebody may have a budget or a limit, and tags.
pub const MAX_SINGLE: usize = 1_000;

/// Why a value does not have the type it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// FastAPI's word for it.
    pub r#type: &'static str,
    /// For people.
    pub msg: Cow<'static, str>,
    /// Inside the value.
    pub at: Option<Step>,
}

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Step {
    /// Into an object.
    Name(String),
    /// Into a list.
    Index(usize),
}

/// Why a value is refused, in a text that names no value.
#[must_use]
pub fn wrong(r#type: &'static str, msg: &'static str) -> Wrong {
    Wrong { r#type, msg: Cow::Borrowed(msg), at: None }
}

/// A value of the right type that cannot be meant, with the reason.
#[must_use]
pub fn senseless(reason: String) -> Wrong {
    Wrong { r#type: "value_error", msg: Cow::Owned(reason), at: None }
}

/// A text.
///
/// # Errors
/// Another type or value.
pub fn text(value: &Value) -> Result<String, Wrong> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| wrong("string_type", "Input should be a valid string"))
}

/// Lenient, as LiteLLM: numbers and words that mean yes or no are taken too.
///
/// # Errors
/// Another type or value.
pub fn flag(value: &Value) -> Result<bool, Wrong> {
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
///
/// # Errors
/// Another type or value.
pub fn count(value: &Value) -> Result<u64, Wrong> {
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
///
/// # Errors
/// Another type or value.
pub fn usd(value: &Value) -> Result<NanoUsd, Wrong> {
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
///
/// # Errors
/// Another type or value.
pub fn budget(value: &Value) -> Result<NanoUsd, Wrong> {
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
#[must_use]
pub fn unseen(name: &str) -> Option<String> {
    let is_unseen = |c: &char| {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let found = name.chars().find(is_unseen)?;
    Some(format!("a name has no control characters, and this one has U+{:04X}", u32::from(found)))
}

/// A longer name is refused.
pub const MAX_NAME_BYTES: usize = 256;

/// A text that names something, which is not too long.
///
/// # Errors
/// Another type or value.
pub fn name(value: &Value) -> Result<String, Wrong> {
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
///
/// # Errors
/// Another type or value.
pub fn names(value: &Value) -> Result<Vec<String>, Wrong> {
    each(value, name)
}

/// Numbers by name, such as requests a minute for single models.
///
/// # Errors
/// Another type or value.
pub fn counts(value: &Value) -> Result<BTreeMap<String, u64>, Wrong> {
    let entry = |(name, value): (&String, &Value)| match count(value) {
        Ok(value) => Ok((name.clone(), value)),
        Err(wrong) => Err(Wrong { at: Some(Step::Name(name.clone())), ..wrong }),
    };
    object(value)?.iter().map(entry).collect()
}

/// Several texts.
///
/// # Errors
/// Another type or value.
pub fn texts(value: &Value) -> Result<Vec<String>, Wrong> {
    each(value, text)
}

fn each<T>(value: &Value, read: fn(&Value) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    let items = value.as_array();
    let items = items.ok_or_else(|| wrong("list_type", "Input should be a valid list"))?;
    let item =
        |(index, item)| read(item).map_err(|wrong| Wrong { at: Some(Step::Index(index)), ..wrong });
    items.iter().enumerate().map(item).collect()
}

/// Texts by name.
///
/// # Errors
/// Another type or value.
pub fn text_map(value: &Value) -> Result<BTreeMap<String, String>, Wrong> {
    let entry = |(name, value): (&String, &Value)| match text(value) {
        Ok(value) => Ok((name.clone(), value)),
        Err(wrong) => Err(Wrong { at: Some(Step::Name(name.clone())), ..wrong }),
    };
    object(value)?.iter().map(entry).collect()
}

/// An object.
///
/// # Errors
/// Another type or value.
pub fn object(value: &Value) -> Result<&Map<String, Value>, Wrong> {
    let object = value.as_object();
    object.ok_or_else(|| wrong("dict_type", "Input should be a valid dictionary"))
}

/// A list.
///
/// # Errors
/// Another type or value.
pub fn list(value: &Value) -> Result<&[Value], Wrong> {
    let items = value.as_array().map(Vec::as_slice);
    items.ok_or_else(|| wrong("list_type", "Input should be a valid list"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
