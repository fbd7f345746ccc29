//! JSON kept as the text it came in.

use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// How many lists and objects may lie in each other. serde_json takes 128 apart, and what is kept
/// here is put into larger values before it is.
const MAX_DEPTH: usize = 96;

/// One JSON value as text: equal if the text is, written as it was read. It can always be taken apart:
/// it is not nested too deeply, its escapes stand for characters and its numbers for numbers.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Checks that `text` is one JSON value.
    ///
    /// # Errors
    /// It is not, or it could not be taken apart.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str::<Self>(text)
    }

    /// The JSON text of a value.
    ///
    /// # Panics
    /// The value has no JSON form, such as a map with keys that are no strings.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::value::to_raw_value(value).expect("our values have a JSON form"))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The value, taken apart.
    ///
    /// # Panics
    /// Never: see above.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(self.text()).expect("it was taken apart before")
    }

    /// True for `{...}`.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.text().starts_with('{')
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(from)?;
        if is_too_deep(value.get()) {
            return Err(D::Error::custom("a value is nested too deeply"));
        }
        serde_json::from_str::<Apart>(value.get()).map_err(D::Error::custom)?;
        Ok(Self(value))
    }
}

/// A value that could not be taken apart becomes `null`.
impl From<&RawValue> for Json {
    fn from(value: &RawValue) -> Self {
        let is_apart = || serde_json::from_str::<Apart>(value.get()).is_ok();
        let is_fit = !is_too_deep(value.get()) && is_apart();
        Self(if is_fit { value } else { RawValue::NULL }.to_owned())
    }
}

/// A value that is read to its last number and character, and dropped. Who only skips over it does
/// not see half of a character, or a number that is none of a machine's.
struct Apart;

impl<'de> Deserialize<'de> for Apart {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Apart {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Whether more lists and objects lie in each other than can be kept.
pub(crate) fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth -= 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_can_be_taken_apart() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for (text, is_kept) in [
            (deep(MAX_DEPTH), true),
            (deep(MAX_DEPTH + 1), false),
            (r#""\ud83d\ude00 \u00e9 \\ud800""#.to_owned(), true),
            (r#"{"a":"\ud800"}"#.to_owned(), false),
            (r#""\ud800\u0041""#.to_owned(), false),
            (r#""\uDE00""#.to_owned(), false),
            (r#"{"\ud83d":[1]}"#.to_owned(), false),
            ("[-0.5,18446744073709551616,1e300,true,null]".to_owned(), true),
            ("1e999".to_owned(), false),
        ] {
            assert_eq!(Json::parse(&text).is_ok(), is_kept, "{text}");
            let raw: Box<RawValue> = serde_json::from_str(&text).expect("it looks like JSON");
            let json = Json::from(&*raw);
            assert_eq!(json.text() != "null", is_kept, "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(json.text()).is_ok(), "{text}");
        }
    }
}
