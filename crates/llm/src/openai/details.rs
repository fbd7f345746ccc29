//! Thoughts as OpenRouter tells them, and servers that follow it: `reasoning_details`, a list in which
//! each says of whose it is and, if it has one, its seal. They are wanted back as they were. What is
//! said of a thought beside its words goes through clients as its seal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::form::{DETAIL, Delta, Part, PartKind};

/// Where the words of a thought are, by its type; those of no such type have none.
const WORDS: [(&str, &str); 2] = [("reasoning.text", "text"), ("reasoning.summary", "summary")];

/// One of them, or a piece of one.
#[derive(Debug)]
pub(super) struct Detail(Map<String, Value>);

/// Those in a member `reasoning_details`.
pub(super) fn read(member: Option<Value>) -> Vec<Detail> {
    let Some(Value::Array(all)) = member else { return Vec::new() };
    let of = |detail| if let Value::Object(said) = detail { Some(Detail(said)) } else { None };
    all.into_iter().filter_map(of).collect()
}

impl Detail {
    fn said(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The member in which its words are.
    fn words_in(&self) -> Option<&'static str> {
        let kind = self.said("type")?;
        WORDS.iter().find(|(known, _)| *known == kind).map(|(_, words)| *words)
    }

    /// True if it says words.
    pub(super) fn has_words(&self) -> bool {
        self.words_in().and_then(|words| self.said(words)).is_some_and(|words| !words.is_empty())
    }

    fn take_words(&mut self) -> Option<String> {
        let words = self.0.remove(self.words_in()?);
        Some(words.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    fn seal(&self) -> String {
        let text = serde_json::to_vec(&self.0).expect("values are always JSON");
        format!("{DETAIL}{}", STANDARD.encode(text))
    }

    /// The part of a whole answer.
    pub(super) fn part(mut self) -> Part {
        match self.take_words() {
            Some(text) => PartKind::Thinking { text, signature: Some(self.seal()) },
            None => PartKind::RedactedThinking(self.seal()),
        }
        .into()
    }

    fn of_seal(seal: &str) -> Option<Self> {
        let text = STANDARD.decode(seal.strip_prefix(DETAIL)?).ok()?;
        serde_json::from_slice(&text).ok().map(Self)
    }
}

/// What a part of a model's turn was told as.
pub(super) fn of_part(part: &PartKind) -> Option<Value> {
    let (seal, text) = match part {
        PartKind::Thinking { text, signature: Some(seal) } => (seal, Some(text)),
        PartKind::RedactedThinking(data) => (data, None),
        PartKind::Text(_)
        | PartKind::Refusal(_)
        | PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::Thinking { .. }
        | PartKind::ToolCall(_)
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => return None,
    };
    let mut detail = Detail::of_seal(seal)?;
    if let (Some(words), Some(text)) = (detail.words_in(), text) {
        detail.0.insert(words.to_owned(), text.as_str().into());
    }
    Some(Value::Object(detail.0))
}

/// The thought of a stream that is being told.
#[derive(Debug, Default)]
pub(super) struct Open(Option<Detail>);

impl Open {
    /// Takes the next piece.
    pub(super) fn take(&mut self, choice: u32, mut more: Detail, out: &mut Vec<Delta>) {
        let words = more.take_words();
        let is_same =
            |open: &Detail| ["type", "index"].iter().all(|it| open.0.get(*it) == more.0.get(*it));
        if words.is_none() || !self.0.as_ref().is_some_and(is_same) {
            self.close(choice, out);
        }
        let Some(text) = words else {
            out.push(Delta::RedactedThinking { choice, data: more.seal() });
            return;
        };
        if !text.is_empty() {
            out.push(Delta::Thinking { choice, text });
        }
        let open = self.0.get_or_insert(Detail(Map::new()));
        open.0.extend(more.0.into_iter().filter(|(_, value)| !value.is_null()));
    }

    /// Something else is said.
    pub(super) fn close(&mut self, choice: u32, out: &mut Vec<Delta>) {
        if let Some(open) = self.0.take() {
            out.push(Delta::Signature { choice, signature: open.seal(), of_thought: true });
        }
    }
}
