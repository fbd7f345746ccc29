//! What a body does not show of its prompt: what the provider itself adds to that, from its store or
//! from elsewhere, pictures, which may have more tokens than bytes, and how often tools have the model
//! read it again. By names of members and kinds of parts that no two dialects mean otherwise, so that
//! one reading does for all of them.

use std::borrow::Cow;
use std::fmt;

use dunlin_types::Tokens;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::uses::{self, Uses};

/// What a body does not show of its prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// The provider adds to it: earlier turns, files, pages, what its tools find.
    pub added: bool,
    /// The pictures in it.
    pub pictures: u64,
    /// How often its provider's own tools may be used.
    pub uses: Uses,
}

/// What a member of a name is to the length of the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// Whatever it says, the provider adds something.
    Adds,
    /// The same if it is an object: as a text it is a prompt.
    Stored,
    /// Where something is, or that itself, as a data URL.
    Address,
    /// An object that may say its address.
    Holder,
    /// An object that may say the id of a sound that the provider holds.
    Sound,
    /// The address that such an object says.
    Url,
    /// What kind of part or tool this is.
    Kind,
    /// What kind of data lies beside it.
    MediaType,
    /// The same, as the end of a file's name.
    Format,
    /// A picture, or a list of them.
    Picture,
    /// The call of a tool, if it is an object: its words.
    Input,
    /// Schemas, words of tools, labels: nothing in them is fetched.
    Words,
}

/// By their names, in the order of their first letters.
const MEMBERS: &[(&str, Sign)] = &[
    ("args", Sign::Words),
    ("arguments", Sign::Words),
    ("audio", Sign::Sound),
    ("audio_url", Sign::Address),
    ("bytes", Sign::Picture),
    ("cachedContent", Sign::Adds),
    ("cached_content", Sign::Adds),
    ("codeExecution", Sign::Adds),
    ("code_execution", Sign::Adds),
    ("connectors", Sign::Adds),
    ("container", Sign::Adds),
    ("conversation", Sign::Adds),
    ("data_sources", Sign::Adds),
    ("document_url", Sign::Address),
    ("enable_search", Sign::Adds),
    ("enterpriseWebSearch", Sign::Adds),
    ("enterprise_web_search", Sign::Adds),
    ("file", Sign::Holder),
    ("fileData", Sign::Address),
    ("fileSearch", Sign::Adds),
    ("fileUri", Sign::Adds),
    ("file_data", Sign::Address),
    ("file_id", Sign::Adds),
    ("file_ids", Sign::Adds),
    ("file_search", Sign::Adds),
    ("file_uri", Sign::Adds),
    ("file_url", Sign::Address),
    ("format", Sign::Format),
    ("gcsUri", Sign::Adds),
    ("gcs_uri", Sign::Adds),
    ("googleMaps", Sign::Adds),
    ("googleSearch", Sign::Adds),
    ("googleSearchRetrieval", Sign::Adds),
    ("google_maps", Sign::Adds),
    ("google_search", Sign::Adds),
    ("google_search_retrieval", Sign::Adds),
    ("image", Sign::Address),
    ("image_url", Sign::Address),
    ("images", Sign::Picture),
    ("input", Sign::Input),
    ("inputSchema", Sign::Words),
    ("input_schema", Sign::Words),
    ("json_schema", Sign::Words),
    ("mcp_servers", Sign::Adds),
    ("media_type", Sign::MediaType),
    ("metadata", Sign::Words),
    ("mimeType", Sign::MediaType),
    ("mime_type", Sign::MediaType),
    ("parameters", Sign::Words),
    ("parametersJsonSchema", Sign::Words),
    ("parameters_json_schema", Sign::Words),
    ("plugins", Sign::Adds),
    ("previous_message_id", Sign::Adds),
    ("previous_response_id", Sign::Adds),
    ("prompt", Sign::Stored),
    ("promptVariables", Sign::Adds),
    ("responseJsonSchema", Sign::Words),
    ("responseSchema", Sign::Words),
    ("response_format", Sign::Words),
    ("response_json_schema", Sign::Words),
    ("response_schema", Sign::Words),
    ("retrieval", Sign::Adds),
    ("s3Location", Sign::Adds),
    ("s3_location", Sign::Adds),
    ("schema", Sign::Words),
    ("search_parameters", Sign::Adds),
    ("source", Sign::Holder),
    ("type", Sign::Kind),
    ("url", Sign::Url),
    ("urlContext", Sign::Adds),
    ("url_context", Sign::Adds),
    ("vector_store_ids", Sign::Adds),
    ("video_url", Sign::Address),
    ("web_search_options", Sign::Adds),
];

/// How the kinds begin of parts that the provider holds. Its tools, whose findings it reads, are those
/// that it uses.
const HELD: &[&str] = &["container_", "item_reference"];

/// Tools that only read what is in the body, and what they made themselves.
const KINDS_OF_OWN: &[&str] = &["image_generation", "tool_search"];

/// Packed documents and films, by the ends of their names.
const FORMATS: &[&str] = &[
    "doc", "docx", "flv", "mkv", "mov", "mp4", "mpeg", "mpg", "pdf", "webm", "wmv", "xls", "xlsx",
];

/// The most tokens of one picture, by how models' names begin behind their provider's: as their
/// makers document them, of the largest that they take, looked at as closely as can be.
const PICTURES: &[(&str, u64)] = &[
    ("claude", 4_784),
    ("gemini", 4_386),
    ("gpt-4.1", 3_779),
    ("gpt-4o-mini", MOST_A_PICTURE),
    ("gpt-4o", 1_445),
    ("gpt-5", 10_000),
    ("o1", 1_275),
    ("o3", 1_275),
    ("o4-mini", 2_642),
];
/// The same of any other: as many as `gpt-4o-mini` counts.
const MOST_A_PICTURE: u64 = 48_169;

/// How the boundary of a form begins.
const FORM: &[u8] = b"--";

impl Unseen {
    /// Of a body in JSON. One that cannot be read shows nothing of its prompt; a form shows all.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        // Most are text, and need not be read again.
        if body.starts_with(FORM) || !may_have_any(body) {
            return Self::default();
        }
        let mut found = Self::default();
        let mut from = serde_json::Deserializer::from_slice(body);
        let read = Look { found: &mut found, under: None }.deserialize(&mut from);
        let added = found.added || read.is_err();
        // What is no object is none of those requests that have tools.
        let may_use = found.uses.all > 0 || added && body.trim_ascii_start().starts_with(b"{");
        let uses = if may_use { Uses::of(body) } else { Uses::default() };
        Self { added, uses, ..found }
    }

    /// The most tokens of one picture that this model is sent.
    #[must_use]
    pub fn most_a_picture(model: &str) -> Tokens {
        let is_its = |name: &str| {
            model.match_indices(name).any(|(at, _)| {
                at == 0 || matches!(model.as_bytes()[at - 1], b'/' | b'.' | b':' | b'-')
            })
        };
        let known = PICTURES.iter().find(|(name, _)| is_its(name));
        Tokens(known.map_or(MOST_A_PICTURE, |(_, tokens)| *tokens))
    }

    fn media(&mut self, kind: &str) {
        match kind.split('/').next() {
            Some("image") => self.pictures += 1,
            Some("audio" | "text") => {}
            // Packed: a page or a film has more in it than its bytes.
            _ => self.added = true,
        }
    }

    fn kind(&mut self, kind: &str) {
        if !kinds().any(|begin| kind.starts_with(begin)) {
            return;
        }
        self.uses.all = u64::MAX;
        self.added |=
            !KINDS_OF_OWN.iter().any(|own| kind.starts_with(own) && !kind.ends_with("_call"));
    }

    fn address(&mut self, address: &str) {
        match address.strip_prefix("data:") {
            Some(data) => self.media(data),
            None => self.added |= !address.is_empty(),
        }
    }
}

/// Whether any name of the tables stands behind a quote, or may, where letters are escaped.
fn may_have_any(body: &[u8]) -> bool {
    memchr::memchr2_iter(b'"', b'\\', body).any(|at| {
        let rest = &body[at + 1..];
        if body[at] == b'\\' {
            return rest.starts_with(b"u00") && matches!(rest.get(3), Some(b'2'..=b'7'));
        }
        let (from, to) = MEMBERS_BY_LETTER[usize::from(rest.first().copied().unwrap_or(0))];
        MEMBERS[from..to].iter().any(|(name, sign)| {
            // These tell something of what is looked at only where others are.
            let tells = match sign {
                Sign::Words | Sign::Kind | Sign::Input | Sign::Holder => false,
                Sign::Stored => is_of_object(rest),
                Sign::Adds
                | Sign::Address
                | Sign::Sound
                | Sign::Url
                | Sign::MediaType
                | Sign::Format
                | Sign::Picture => true,
            };
            tells && is_word(rest, name)
        }) || kinds().any(|kind| rest.starts_with(kind.as_bytes())) && is_kind(&body[..at])
    })
}

/// How the kinds begin of whatever adds to a prompt.
fn kinds() -> impl Iterator<Item = &'static str> {
    HELD.iter().chain(uses::KINDS).copied()
}

fn is_word(rest: &[u8], word: &str) -> bool {
    rest.strip_prefix(word.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'"'))
}

/// Whether the value of the name that begins here is an object.
fn is_of_object(rest: &[u8]) -> bool {
    let end = memchr::memchr(b'"', rest).map_or(rest.len(), |end| end + 1);
    let value = rest[end..].trim_ascii_start().strip_prefix(b":");
    value.is_some_and(|value| value.trim_ascii_start().first() == Some(&b'{'))
}

/// Whether a text that follows this says what kind of thing something is.
fn is_kind(before: &[u8]) -> bool {
    let name = before.trim_ascii_end().strip_suffix(b":");
    name.is_some_and(|name| name.trim_ascii_end().ends_with(b"\"type\""))
}

/// Where the members of each first letter stand.
static MEMBERS_BY_LETTER: [(usize, usize); 256] = {
    let mut ranges = [(0, 0); 256];
    let mut at = 0;
    while at < MEMBERS.len() {
        let letter = MEMBERS[at].0.as_bytes()[0] as usize;
        if ranges[letter].1 == 0 {
            ranges[letter].0 = at;
        }
        ranges[letter].1 = at + 1;
        at += 1;
    }
    ranges
};

fn sign(name: &str) -> Option<Sign> {
    let (from, to) = MEMBERS_BY_LETTER[usize::from(*name.as_bytes().first()?)];
    MEMBERS[from..to].iter().find(|(known, _)| *known == name).map(|(_, sign)| *sign)
}

/// Looks at a value that is the member of such a name.
struct Look<'f> {
    found: &'f mut Unseen,
    under: Option<Sign>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let found = self.found;
        match self.under {
            Some(Sign::Address) => found.address(text),
            Some(Sign::MediaType) => found.media(text),
            Some(Sign::Kind) => found.kind(text),
            Some(Sign::Format) => found.added |= FORMATS.contains(&text),
            Some(Sign::Picture) => found.pictures += 1,
            Some(
                Sign::Adds
                | Sign::Stored
                | Sign::Holder
                | Sign::Sound
                | Sign::Url
                | Sign::Input
                | Sign::Words,
            )
            | None => {}
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { found, under } = self;
        found.added |= under == Some(Sign::Stored);
        let is_words = matches!(under, Some(Sign::Input | Sign::Format));
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let sign = match sign(&name) {
                Some(Sign::Url) if matches!(under, Some(Sign::Address | Sign::Holder)) => {
                    Some(Sign::Address)
                }
                None if under == Some(Sign::Sound) && name == "id" => Some(Sign::Adds),
                sign => sign,
            };
            match sign {
                _ if is_words => drop(map.next_value::<IgnoredAny>()?),
                Some(Sign::Words) => drop(map.next_value::<IgnoredAny>()?),
                Some(Sign::Adds) => {
                    found.added |= map.next_value::<Option<IgnoredAny>>()?.is_some();
                }
                under => map.next_value_seed(Look { found: &mut *found, under })?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { found, under } = self;
        let under = under.filter(|sign| *sign == Sign::Picture);
        while seq.next_element_seed(Look { found: &mut *found, under })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
