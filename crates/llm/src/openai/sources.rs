//! Sources that stand beside an answer, whose words refer to them by their numbers, as Perplexity has
//! it: "A robin sings.[1][3]".

use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::form::Citation;

/// As many are read of one answer.
const MAX_SOURCES: usize = 100;

/// The sources of an answer, or those that are known so far.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Addresses; the first is number 1.
    pub(super) citations: Option<Listed<String>>,
    /// The same with their titles.
    pub(super) search_results: Option<Listed<Source>>,
}

/// A list of them; others than Perplexity have other things under its name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Listed<T> {
    All(Vec<T>),
    Other(IgnoredAny),
}

impl<T> Listed<T> {
    fn of(listed: Option<&Self>) -> &[T] {
        match listed {
            Some(Self::All(all)) => all,
            Some(Self::Other(_)) | None => &[],
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Source {
    title: Option<String>,
    url: Option<String>,
}

impl Sources {
    /// Takes what a later piece of a stream says.
    pub(super) fn update(&mut self, later: Self) {
        self.citations = later.citations.or(self.citations.take());
        self.search_results = later.search_results.or(self.search_results.take());
    }

    /// Who is referred to in `text`: for each source its first mention, and the words before that, back
    /// to the mention or the line end before. Sources that nothing refers to are the whole answer's.
    pub(super) fn cited(&self, text: &str) -> Vec<Citation> {
        let count = self.count();
        if count == 0 {
            return Vec::new();
        }
        let mut cited = Vec::new();
        let mut named = vec![false; count];
        // The words that a mention would be of, and where the text is read.
        let (mut words, mut at) = (0_u64..0, 0_u64);
        let mut is_over = true;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let mention = mention(rest).filter(|(number, _)| (1..=count).contains(number));
            if let Some((number, length)) = mention {
                is_over = true;
                if !words.is_empty() && !std::mem::replace(&mut named[number - 1], true) {
                    cited.extend(self.source(number - 1, Some(words.clone())));
                }
                at += length as u64;
                rest = &rest[length..];
                continue;
            }
            if !first.is_whitespace() {
                words = if is_over { at } else { words.start }..at + 1;
                is_over = false;
            } else if first == '\n' {
                (words, is_over) = (at..at, true);
            }
            at += 1;
            rest = &rest[first.len_utf8()..];
        }
        let unnamed = (0..count).filter(|at| !named[*at]);
        cited.extend(unnamed.filter_map(|at| self.source(at, None)));
        cited
    }

    fn count(&self) -> usize {
        let (addresses, results) =
            (Listed::of(self.citations.as_ref()), Listed::of(self.search_results.as_ref()));
        addresses.len().max(results.len()).min(MAX_SOURCES)
    }

    fn source(&self, at: usize, words: Option<Range<u64>>) -> Option<Citation> {
        let result = Listed::of(self.search_results.as_ref()).get(at);
        let url = result.and_then(|result| result.url.clone());
        let url = url.or_else(|| Listed::of(self.citations.as_ref()).get(at).cloned())?;
        let title = result.and_then(|result| result.title.clone()).unwrap_or_default();
        Some(Citation { words, title, url: Some(url), ..Citation::default() })
    }
}

/// The number that `text` begins with in brackets, and how many bytes that is.
fn mention(text: &str) -> Option<(usize, usize)> {
    let (number, _) = text.strip_prefix('[')?.split_once(']')?;
    let is_number = number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| is_number)?, number.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_brackets_are_the_sources_of_the_words_before() {
        let sources = Sources {
            citations: serde_json::from_str(r#"["https://a","https://b","https://c"]"#).ok(),
            search_results: serde_json::from_str(r#"[{"title":"A","url":"https://a"}]"#).ok(),
        };
        let text = "\u{c4} robin sings.[1][2] It [x] flies[9].\nAll of it.[1]";
        let cited = sources.cited(text);
        let told: Vec<_> = cited
            .iter()
            .map(|one| (one.url.as_deref().unwrap_or_default(), &*one.title, one.words.clone()))
            .collect();
        assert_eq!(
            told,
            [
                ("https://a", "A", Some(0..14)),
                ("https://b", "", Some(0..14)),
                ("https://c", "", None),
            ]
        );
        let others =
            Sources { citations: serde_json::from_str(r#"{"x":1}"#).ok(), ..Sources::default() };
        assert!(others.cited(text).is_empty());
    }
}
