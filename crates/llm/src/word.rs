//! Words that tell whether a body is worth reading: looked for in every one, and in few.

use std::sync::OnceLock;

use memchr::memmem::Finder;

/// A word to look for in many bodies: how to find it is worked out once, at its first use, which costs
/// more than to look through a short body.
pub struct Word {
    word: &'static [u8],
    finder: OnceLock<Finder<'static>>,
}

impl Word {
    /// `word` as it stands in a body, byte for byte.
    #[must_use]
    pub const fn new(word: &'static [u8]) -> Self {
        Self { word, finder: OnceLock::new() }
    }

    /// Whether `body` has the word anywhere.
    #[must_use]
    pub fn is_in(&self, body: &[u8]) -> bool {
        self.find(body).is_some()
    }

    /// What of `body` follows the word where it first stands.
    pub(crate) fn behind<'b>(&self, body: &'b [u8]) -> Option<&'b [u8]> {
        self.find(body).map(|at| &body[at + self.word.len()..])
    }

    fn find(&self, body: &[u8]) -> Option<usize> {
        self.finder.get_or_init(|| Finder::new(self.word)).find(body)
    }
}
