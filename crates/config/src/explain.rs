//! The stable codes of diagnostics. Their stories are prose and stand in `explain.md`, a heading
//! for each code in the order of [`Code`].

use std::fmt;

const STORIES: &str = include_str!("explain.md");
const HEADING: &str = "## ";

/// What kind of finding a diagnostic is. New kinds come last: a code keeps its meaning for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// The file is not YAML.
    Syntax,
    /// A map has a key twice.
    DuplicateKey,
    /// A key nobody knows.
    UnknownKey,
    /// A value of a kind the key cannot take.
    WrongType,
    /// A value out of range.
    WrongValue,
    /// Something that must be there is not.
    Missing,
    /// An address that cannot be called.
    BadUrl,
    /// An included file that cannot be taken in.
    Include,
    /// A reference to a model that is not listed.
    UnknownModel,
    /// One id for two deployments.
    DuplicateId,
    /// A reference to an environment variable that is not set.
    UnsetVariable,
    /// A reference inside a longer text.
    PartialReference,
    /// A provider of LiteLLM that this version does not speak to.
    NotServed,
    /// A model of which nobody can tell who serves it.
    NoProvider,
    /// A setting without which it is unsafe to run, and which is not carried out.
    Refused,
    /// A known key in another section.
    WrongSection,
    /// A master key that can be guessed.
    WeakMasterKey,
    /// A reference to a credential that is not listed.
    UnknownCredential,
    /// A deployment that takes no traffic here, for a reason of its own.
    Parked,
    /// An alias with the name of a model.
    ShadowedModel,
    /// Servers whose certificates are not checked.
    Unverified,
    /// Models whose price nobody knows.
    Unpriced,
    /// Something that only a config file may say.
    NotAllowed,
}

/// All codes, in order: `DL0101`, `DL0102`, …
pub fn codes() -> impl Iterator<Item = &'static str> {
    STORIES.lines().filter_map(|line| line.strip_prefix(HEADING))
}

/// The longer story of a code such as `DL0103`: what it means, why it matters, how to mend it.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    let sections = STORIES.split(HEADING).skip(1);
    let mut stories = sections.filter_map(|section| section.split_once('\n'));
    stories.find(|(known, _)| *known == code).map(|(_, story)| story.trim())
}

impl Code {
    /// The code as people type it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        codes().nth(self as usize).expect("explain.md has a heading for each code")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_heading_in_order_and_a_story() {
        assert_eq!(codes().count(), Code::NotAllowed as usize + 1);
        for (index, code) in codes().enumerate() {
            assert_eq!(code, format!("DL{:04}", 101 + index));
            assert!(explain(code).is_some_and(|story| story.len() > 60), "{code}");
        }
        assert_eq!(Code::UnknownKey.as_str(), "DL0103");
        assert_eq!(Code::Unpriced.as_str(), "DL0122");
        assert_eq!(explain("DL9999"), None);
    }
}
