//! JSON kept as the text it came in.

use std::fmt;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How many lists and objects may lie in each other. serde_json takes 128 apart, and what is kept
/// here is put into larger values before it is.
const MAX_DEPTH: usize = 96;

/// One JSON value as text: equal if the text is, written as it was read. Never nested so deeply that
/// it could not be taken apart.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Checks that `text` is one JSON value.
    ///
    /// # Errors
    /// It is not, or it is nested too deeply.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(Self)
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
        Ok(Self(value))
    }
}

/// A value that is nested too deeply becomes `null`.
impl From<&RawValue> for Json {
    fn from(value: &RawValue) -> Self {
        Self(if is_too_deep(value.get()) { RawValue::NULL } else { value }.to_owned())
    }
}

fn is_too_deep(text: &str) -> bool {
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
