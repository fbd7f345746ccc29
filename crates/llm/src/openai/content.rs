//! What a model wrote, as a text or, as Mistral has it, as a list of parts with its thoughts.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Deserialize)]
pub(super) struct ContentPart {
    text: Option<String>,
    thinking: Option<Thinking>,
}

/// A text, or a list of parts with one each.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Thinking {
    Text(String),
    Parts(Vec<ThinkingPart>),
}

#[derive(Deserialize)]
pub(super) struct ThinkingPart {
    text: Option<String>,
}

impl Content {
    /// The words and the thoughts, each empty if there are none.
    pub(super) fn split(self) -> (String, String) {
        let parts = match self {
            Self::Text(text) => return (text, String::new()),
            Self::Parts(parts) => parts,
        };
        let (mut words, mut thoughts) = (String::new(), String::new());
        for part in parts {
            words += &part.text.unwrap_or_default();
            thoughts += &part.thinking.map(Thinking::text).unwrap_or_default();
        }
        (words, thoughts)
    }
}

impl Thinking {
    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}
