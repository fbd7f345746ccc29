//! Where an answer's words come from. Each dialect says it otherwise: by numbers of characters, by
//! numbers of bytes, or by cutting the words into blocks.

use std::ops::Range;

use crate::form::Json;

/// A source of some of an answer's words.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Citation {
    /// Which words, as characters of all the text of their answer. `None`: the provider does not say.
    pub words: Option<Range<u64>>,
    /// What the source is called.
    pub title: String,
    /// Where it is. `None`: a document that has no address.
    pub url: Option<String>,
    /// The words of the source itself. Empty: the provider does not say.
    pub quote: String,
    /// All that Anthropic says of it, which its clients and LiteLLM's know.
    pub anthropic: Option<Json>,
}

/// A range of bytes of `text` as a range of characters. `None`: it is none, or cuts one in two.
pub(crate) fn characters(text: &str, bytes: Range<usize>) -> Option<Range<u64>> {
    let words = text.get(bytes.clone())?;
    let start = text[..bytes.start].chars().count() as u64;
    Some(start..start + words.chars().count() as u64)
}

/// A range of characters of `text` as a range of bytes. `None`: the text is not as long, or the range
/// is empty.
pub(crate) fn bytes(text: &str, characters: &Range<u64>) -> Option<Range<usize>> {
    let at = |number: u64| {
        let number = usize::try_from(number).ok()?;
        let all = text.char_indices().map(|(at, _)| at);
        all.chain(std::iter::once(text.len())).nth(number)
    };
    if characters.is_empty() {
        return None;
    }
    Some(at(characters.start)?..at(characters.end)?)
}
