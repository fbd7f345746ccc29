//! Tokens guessed from bytes, for reservations and for providers that count nothing.
//!
//! The guess is four bytes a token, the mean of English text under today's tokenizers. It is high
//! for long runs of one character and low for scripts that a tokenizer splits into bytes. It is
//! replaced by the provider's count wherever there is one.

use std::fmt;

use dunlin_types::Tokens;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::word::Word;

const BYTES_A_TOKEN: u64 = 4;

/// What an image or file sent inline is taken for: about a high-resolution image. Its base64 says
/// nothing about its tokens.
const TOKENS_AN_INLINE_FILE: u64 = 1_000;

/// The estimate for `bytes` of text: a quarter of it, rounded up.
#[must_use]
pub fn tokens_in(bytes: u64) -> Tokens {
    Tokens(bytes.div_ceil(BYTES_A_TOKEN))
}

/// The estimate for a prompt in its JSON form. Names and punctuation count as text, which makes up
/// for the tokens that chat templates add.
pub(crate) fn prompt_tokens(json: &[u8]) -> Tokens {
    let (urls, in_urls) = inline_files(json, &IN_A_URL, false);
    // Google and Anthropic have the base64 in a member of its own.
    let (members, in_members) = inline_files(json, &A_MEMBER, true);
    let bytes = (json.len() as u64).saturating_sub(in_urls + in_members);
    tokens_in(bytes) + Tokens((urls + members) * TOKENS_AN_INLINE_FILE)
}

/// Shorter data counts as text.
const MIN_INLINE_FILE: usize = 256;

static IN_A_URL: Word = Word::new(b";base64,");
static A_MEMBER: Word = Word::new(b"\"data\"");

/// How many texts that follow `mark`, which is a member's name or not, are files, and their bytes in
/// all.
fn inline_files(json: &[u8], mark: &Word, is_member: bool) -> (u64, u64) {
    let (mut files, mut bytes, mut rest) = (0, 0, json);
    while let Some(behind) = mark.behind(rest) {
        rest = behind;
        if is_member {
            let Some(text) = text_of_member(rest) else { continue };
            rest = text;
        }
        let length = memchr::memchr(b'"', rest).unwrap_or(rest.len());
        if !is_member || (length >= MIN_INLINE_FILE && !rest[..length].contains(&b' ')) {
            files += 1;
            bytes += length as u64;
        }
        rest = &rest[length..];
    }
    (files, bytes)
}

/// What follows a member's name, from behind the quote on, if it is a text.
fn text_of_member(rest: &[u8]) -> Option<&[u8]> {
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    value.trim_ascii_start().strip_prefix(b"\"")
}

/// The bytes of output text in the JSON text of a `choices` member, of a reply or of a chunk:
/// content, reasoning and the calls of tools.
pub(crate) fn output_bytes(choices: &str) -> u64 {
    // A shape that no one knows has no text that can be counted.
    serde_json::from_str::<Vec<Choice>>(choices)
        .map_or(0, |choices| choices.iter().map(Choice::text_bytes).sum())
}

/// The text of which [`output_bytes`] tells how long it is.
pub(crate) fn output_text(choices: &str) -> String {
    let choices: Vec<Value> = serde_json::from_str(choices).unwrap_or_default();
    let mut text = String::new();
    for choice in &choices {
        ["delta", "message", "text"].iter().for_each(|name| add_words(&choice[*name], &mut text));
    }
    text
}

/// The text of which [`words_in`] tells how long it is.
pub(crate) fn words_of(json: &str) -> String {
    let mut text = String::new();
    add_words(&serde_json::from_str(json).unwrap_or_default(), &mut text);
    text
}

fn add_words(value: &Value, text: &mut String) {
    match value {
        Value::String(words) => text.push_str(words),
        Value::Array(list) => list.iter().for_each(|one| add_words(one, text)),
        Value::Object(members) => {
            let written = members.iter().filter(|(name, _)| is_models(name));
            written.for_each(|(_, value)| add_words(value, text));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The bytes of all text in a JSON value that a model may have written.
pub(crate) fn words_in(json: &str) -> u64 {
    serde_json::from_str::<TextBytes>(json).map_or(0, |text| text.0)
}

/// One of the answers in a `choices` member.
#[derive(serde::Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    delta: TextBytes,
    #[serde(default)]
    message: TextBytes,
    #[serde(default)]
    text: TextBytes,
    #[serde(default)]
    finish_reason: TextBytes,
}

impl Choice {
    /// True if it says why it ends.
    pub(crate) fn ends(&self) -> bool {
        self.finish_reason.0 > 0
    }

    /// Its bytes of output text.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.delta.0 + self.message.0 + self.text.0
    }
}

/// The summed length of all strings in a value, but for those that no model wrote.
#[derive(Default)]
struct TextBytes(u64);

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextBytesVisitor).map(TextBytes)
    }
}

struct TextBytesVisitor;

impl<'de> Visitor<'de> for TextBytesVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        Ok(text.len() as u64)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some(written) = map.next_key::<WrittenByModel>()? {
            if written.0 {
                sum += map.next_value::<TextBytes>()?.0;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(sum)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some(TextBytes(bytes)) = seq.next_element()? {
            sum += bytes;
        }
        Ok(sum)
    }

    fn visit_unit<E: Error>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<u64, E> {
        Ok(0)
    }
}

/// Whether the member of this name holds a model's words: seals are none.
struct WrittenByModel(bool);

impl<'de> Deserialize<'de> for WrittenByModel {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = WrittenByModel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(WrittenByModel(is_models(name)))
    }
}

fn is_models(name: &str) -> bool {
    !matches!(name, "role" | "id" | "type" | "signature" | "thoughtSignature")
}
