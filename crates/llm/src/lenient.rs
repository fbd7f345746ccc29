//! Counts as servers write them: most as whole numbers, some as `3.0` or `"3"`.

use std::fmt;

use dunlin_types::PicoUsd;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::Value;

/// For `#[serde(default, deserialize_with = "count")]`. What is no count, or below nothing, says
/// nothing, and does not spoil what stands beside it.
///
/// # Errors
/// The text is no JSON.
pub fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    from.deserialize_any(CountVisitor)
}

/// The whole number that this is, if it is one.
pub(crate) fn whole(number: f64) -> Option<u64> {
    // Read as text, as no cast says what it does with what does not fit.
    let whole = number.fract() == 0.0;
    whole.then(|| format!("{number:.0}").parse().ok())?
}

/// A text that says something, for the same. An empty one says nothing, nor does what is no text.
///
/// # Errors
/// The text is no JSON.
pub fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(from)?;
    let text = if let Value::String(text) = value { Some(text) } else { None };
    Ok(text.filter(|text| !text.is_empty()))
}

/// A price in dollars, for the same: a number, or the total of its parts. What is no price says
/// nothing.
///
/// # Errors
/// The text is no JSON.
pub(crate) fn dollars<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PicoUsd>, D::Error> {
    let said = Option::<Value>::deserialize(from)?.unwrap_or_default();
    let usd = said.as_f64().or_else(|| said["total_cost"].as_f64());
    Ok(usd.and_then(|usd| PicoUsd::from_usd(usd).ok()))
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count")
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Self::Value, E> {
        Ok(Some(count))
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(count).ok())
    }

    fn visit_f64<E: Error>(self, count: f64) -> Result<Self::Value, E> {
        Ok(whole(count))
    }

    fn visit_str<E: Error>(self, count: &str) -> Result<Self::Value, E> {
        Ok(count.trim().parse().ok().and_then(whole))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Counted {
        #[serde(default, deserialize_with = "count")]
        n: Option<u64>,
    }

    #[test]
    fn a_count_is_read_however_it_is_written() {
        for (text, expected) in [
            (r#"{"n":3}"#, Some(3)),
            (r#"{"n":3.0}"#, Some(3)),
            (r#"{"n":"3"}"#, Some(3)),
            (r#"{"n":-3}"#, None),
            (r#"{"n":-3.0}"#, None),
            (r#"{"n":18446744073709551615}"#, Some(u64::MAX)),
            (r#"{"n":1e19}"#, Some(10_000_000_000_000_000_000)),
            (r#"{"n":1e300}"#, None),
            (r#"{"n":3.5}"#, None),
            (r#"{"n":"many"}"#, None),
            (r#"{"n":null}"#, None),
            (r#"{"n":[3]}"#, None),
            (r#"{"n":{"a":3}}"#, None),
            ("{}", None),
        ] {
            let counted: Counted = serde_json::from_str(text).expect(text);
            assert_eq!(counted.n, expected, "{text}");
        }
    }
}
