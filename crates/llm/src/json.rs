//! JSON text looked at without being taken apart: top-level members as spans of the text, and the
//! splice that replaces one span.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a text could not be read, in words for people: they know no names of ours.
pub(crate) fn why(error: &serde_json::Error) -> String {
    const OURS: &str = "expected struct ";
    let why = error.to_string();
    match why.split_once(OURS) {
        Some((before, named)) => {
            let after = named.find(' ').map_or("", |end| &named[end..]);
            format!("{before}expected an object{after}")
        }
        None => why,
    }
}

/// A range of bytes of some text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    /// Where `part` lies in `whole`, of which it must be a slice.
    pub(crate) fn of(part: &str, whole: &str) -> Self {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        Self { start, end: start + part.len() }
    }

    /// The empty span at `at`: something can be put there.
    pub(crate) fn point(at: usize) -> Self {
        Self { start: at, end: at }
    }

    /// The same bytes, seen from a text in which this one starts at `offset`.
    pub(crate) fn shifted(self, offset: usize) -> Self {
        Self { start: self.start + offset, end: self.end + offset }
    }

    /// The inside of the string `value` that lies here, if it has no escapes.
    pub(crate) fn unquoted(self, value: &str) -> Option<Self> {
        let plain = value.starts_with('"') && !value.contains('\\');
        plain.then_some(Self { start: self.start + 1, end: self.end - 1 })
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// One `"name": value` of an object.
pub(crate) struct Member<'a> {
    /// Unescaped; borrowed when the text has no escape in it.
    pub(crate) name: Cow<'a, str>,
    /// The value's JSON text.
    pub(crate) value: &'a str,
}

/// The members of the object that `text` is, in their order, duplicates included. An error of
/// category `Data` says that it is another kind of JSON value.
pub(crate) fn members(text: &str) -> serde_json::Result<Vec<Member<'_>>> {
    serde_json::from_str::<Members<'_>>(text).map(|members| members.0)
}

/// The text of a JSON string; `None` for every other kind of value.
pub(crate) fn string(value: &str) -> Option<Cow<'_, str>> {
    // Most have no escapes: they say what they are.
    let inside = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let is_plain = |byte: u8| !matches!(byte, b'"' | b'\\' | ..b' ');
    if let Some(plain) = inside.filter(|inside| inside.bytes().all(is_plain)) {
        return Some(Cow::Borrowed(plain));
    }
    serde_json::from_str::<Text<'_>>(value).ok().map(|text| text.0)
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a Vec takes every write and a str is always JSON");
}

/// `whole` with the JSON string at `at` replaced by `text`: the same `Bytes` if it says so already.
pub(crate) fn splice_string(whole: &Bytes, at: Span, text: &str) -> Bytes {
    let old = &whole[at.range()];
    let plain = old.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    if plain == Some(text.as_bytes()) && !old.contains(&b'\\') {
        return whole.clone();
    }
    let mut out = Vec::with_capacity(whole.len() + text.len() + 2);
    out.extend_from_slice(&whole[..at.start]);
    write_string(&mut out, text);
    out.extend_from_slice(&whole[at.end..]);
    Bytes::from(out)
}

/// What to cut so that the member whose value lies at `value` is gone: it, and the comma between it
/// and its neighbour. `None` if its name stands there otherwise than as `name`.
pub(crate) fn member_at(text: &str, value: Span, name: &str) -> Option<Span> {
    let before = text[..value.start].trim_end().strip_suffix(':')?.trim_end();
    let before = before.strip_suffix('"')?.strip_suffix(name)?.strip_suffix('"')?.trim_end();
    if let Some(before) = before.strip_suffix(',') {
        return Some(Span { start: before.len(), end: value.end });
    }
    let after = &text[value.end..];
    let rest = after.trim_start().strip_prefix(',').unwrap_or(after);
    Some(Span { start: before.len(), end: text.len() - rest.len() })
}

/// `whole` without what lies at `at`.
pub(crate) fn cut(whole: &[u8], at: Span) -> Bytes {
    Bytes::from([&whole[..at.start], &whole[at.end..]].concat())
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Requests of real clients have 3 to 12 members.
        let mut members = Vec::with_capacity(12);
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            members.push(Member { name, value: value.get() });
        }
        Ok(Members(members))
    }
}

/// A string that borrows where it can: serde's own `Cow` always copies.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_read_as_json_has_it() {
        for (value, text) in [
            (r#""a b""#, Some("a b")),
            (r#""""#, Some("")),
            (r#" "é\n""#, Some("\u{e9}\n")),
            (r#""a"b""#, None),
            ("\"a\nb\"", None),
            ("\"", None),
            ("7", None),
        ] {
            assert_eq!(string(value).as_deref(), text, "{value}");
        }
    }
}
