//! Seals: what a provider gives with a thought and wants back as it was. Clients' dialects have few
//! places for them. That of the thought behind a call goes where LiteLLM puts it, behind the call's
//! id, which every client keeps; a thought that only its provider can read goes where the dialect has
//! the seal of one that can be read, with a mark before it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::form::{Part, PartKind, ToolCall};

const SEPARATOR: &str = "__thought__";
/// Before the data of a thought that only its provider can read.
pub(crate) const REDACTED: &str = "dnr1.";
/// How the seals of OpenAI's own models begin.
const OPENAIS: &str = "gAAAA";
/// Before that of another server which has OpenAI's responses.
const RESPONSES: &str = "dno1.";
/// Before what OpenRouter says of a thought beside its words.
pub(crate) const DETAIL: &str = "dnd1.";
/// As many characters as tell who made a seal.
const SEAL_HEAD: usize = 16;
/// Before any seal, where it is written in base64.
const SEALED: &str = "dnt1.";

impl ToolCall {
    /// The id for a client, with the seal behind it if there is one.
    pub(crate) fn sealed_id(&self) -> String {
        let seal = self.signature.as_ref();
        seal.map_or_else(|| self.id.clone(), |seal| format!("{}{SEPARATOR}{seal}", self.id))
    }
}

/// The provider's id and the seal, from an id that a client sent back.
pub(crate) fn unsealed(id: &str) -> (String, Option<String>) {
    match id.split_once(SEPARATOR) {
        Some((id, seal)) => (id.to_owned(), Some(seal.to_owned())),
        None => (id.to_owned(), None),
    }
}

/// The provider's id of a call, without the seal that may be behind it.
#[must_use]
pub fn without_seal(id: &str) -> &str {
    id.split_once(SEPARATOR).map_or(id, |(id, _)| id)
}

/// A thought that only its provider can read, as the seal of one without text.
pub(crate) fn seal_of_redacted(data: &str) -> String {
    format!("{REDACTED}{data}")
}

/// The seal of a thought in a response, so that it is known for one.
pub(crate) fn openais_seal(sealed: String) -> String {
    if sealed.starts_with(OPENAIS) { sealed } else { format!("{RESPONSES}{sealed}") }
}

/// What a response sealed. `None`: another seal, which means nothing to its server.
pub(crate) fn of_openais_seal(seal: &str) -> Option<&str> {
    seal.strip_prefix(RESPONSES).or(Some(seal).filter(|seal| seal.starts_with(OPENAIS)))
}

/// Whether Claude made a seal, which Google's models refuse: in both, bytes in a field 1, which may
/// be in a field 2, but Claude's are fields in turn.
pub(crate) fn is_claudes_seal(seal: &str) -> bool {
    fn inside(bytes: &[u8], tag: u8) -> Option<&[u8]> {
        let rest = bytes.strip_prefix(&[tag])?;
        let length = rest.iter().position(|byte| byte & 0x80 == 0)?;
        Some(&rest[length + 1..])
    }
    let head = seal.get(..SEAL_HEAD.min(seal.len() / 4 * 4)).unwrap_or_default();
    let bytes = STANDARD.decode(head).unwrap_or_default();
    let fields = inside(&bytes, 0x12).and_then(|bytes| inside(bytes, 0x0A));
    matches!(fields, Some([0x08 | 0x10 | 0x12 | 0x18, ..]))
}

impl PartKind {
    /// The thought that a client sends back as a text and a seal.
    pub(crate) fn thought(text: String, seal: Option<String>) -> Self {
        match seal.as_deref().and_then(|seal| seal.strip_prefix(REDACTED)) {
            Some(data) => Self::RedactedThinking(data.to_owned()),
            None => Self::Thinking { text, signature: seal },
        }
    }
}

/// Adds `thought`, which goes on the one before it if that has no seal yet: streams give thoughts in
/// pieces and the seal last, and clients send back the pieces.
pub(crate) fn think_on(parts: &mut Vec<Part>, thought: PartKind) {
    match (parts.last_mut().map(|part| &mut part.kind), thought) {
        (
            Some(PartKind::Thinking { text, signature: open @ None }),
            PartKind::Thinking { text: more, signature },
        ) => {
            text.push_str(&more);
            *open = signature;
        }
        (_, thought) => parts.push(thought.into()),
    }
}

/// A seal for clients that take bytes in base64, and send them back in either of its alphabets.
pub(crate) fn in_base64(seal: &str) -> String {
    STANDARD.encode(format!("{SEALED}{seal}"))
}

/// The seal that was put so; any other as it is.
pub(crate) fn of_base64(seal: String) -> String {
    let standard = seal.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let bytes = STANDARD_NO_PAD.decode(standard).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    match text.as_deref().and_then(|text| text.strip_prefix(SEALED)) {
        Some(ours) => ours.to_owned(),
        None => seal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claudes_seals_are_known_from_googles() {
        for claudes in ["EqQBCkYIBxgCKkB0", "EqQBCgIYAhIMxzV3", "EuYBCkQYAiJAd2hh", "ErUBCkYICBgC"]
        {
            assert!(is_claudes_seal(claudes), "{claudes}");
        }
        for others in ["EsEGCr4GAb4+9vuxQmN3", "CpcHAdHtim9+q4rstcbv", "CiQB", "c2Vh+/8=", "", "é"]
        {
            assert!(!is_claudes_seal(others), "{others}");
        }
    }
}
