//! What a JSON value is read as, as leniently as LiteLLM reads it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dunlin_types::{AmountError, NanoUsd};
use serde_json::Value;

use super::fault::Step;

/// Why a value does not have the type it must have.
pub(crate) struct Wrong {
    pub(super) r#type: &'static str,
    pub(super) msg: Cow<'static, str>,
    /// Inside the value.
    pub(super) at: Option<Step>,
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
