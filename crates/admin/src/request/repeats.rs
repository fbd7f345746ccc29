//! Which member of a JSON text is given twice. Of two values of one name readers take either: the
//! one that is in force would be a matter of chance.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The first member that is given twice, with those it is in: `model_max_budget.gpt-4o`.
///
/// # Errors
/// It is no JSON, or cannot be taken apart: too deep, or half of a character.
pub(crate) fn first(bytes: &[u8]) -> serde_json::Result<Option<String>> {
    let mut found = None;
    let mut text = serde_json::Deserializer::from_slice(bytes);
    Walk { within: "", found: &mut found }.deserialize(&mut text)?;
    text.end().map(|()| found)
}

struct Walk<'a> {
    within: &'a str,
    found: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<(), D::Error> {
        text.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Walk { within: self.within, found: self.found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = match self.within {
                "" => name.clone(),
                within => format!("{within}.{name}"),
            };
            if !names.insert(name) {
                self.found.get_or_insert_with(|| path.clone());
            }
            members.next_value_seed(Walk { within: &path, found: self.found })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_given_twice_is_named_wherever_it_is() {
        for (text, name) in [
            (r#"{"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 1}]}"#, None),
            (r#"{"max_budget": 1, "max_budget": 100}"#, Some("max_budget")),
            (r#"{"a": {"b": {"c": null, "c": null}}, "d": 1, "d": 2}"#, Some("a.b.c")),
            (r#"{"a": [1, {"b": 1.5, "b": -1}]}"#, Some("a.b")),
            (r#"{"b": "", "\u0062": true}"#, Some("b")),
        ] {
            assert_eq!(first(text.as_bytes()).expect("JSON").as_deref(), name, "{text}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        for text in [r#"{"a": 1"#, r#"{"a": 1} 2"#, r#"{"a": "\ud800"}"#, &deep] {
            assert!(first(text.as_bytes()).is_err(), "{text}");
        }
    }
}
