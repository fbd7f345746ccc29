//! How the events of a stream go: whether one of them says that the rest will not come, and whether
//! the one that ends them came.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::word::Word;

/// What tells of the start, the end, or a failure.
static TELLS: [Word; 3] =
    [Word::new(b"message_st"), Word::new(b"error"), Word::new(b"response.failed")];

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The event that says so.
    failure: Option<String>,
    /// Begun in Anthropic's words, which have one for the end.
    is_open: bool,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow, default)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl Course {
    pub(super) fn event(&mut self, text: &[u8]) {
        // Most are pieces of text, and need not be read again.
        if !TELLS.iter().any(|word| word.is_in(text)) {
            return;
        }
        let Ok(Peek { r#type, error }) = serde_json::from_slice(text) else { return };
        match &*r#type {
            "message_start" => self.is_open = true,
            "message_stop" => self.is_open = false,
            "error" | "response.failed" => self.fail(text),
            _ if error.is_some_and(|error| error.get() != "null") => self.fail(text),
            _ => {}
        }
    }

    /// It is over before its end.
    pub(super) fn cut(&mut self) {
        self.is_open = true;
    }

    pub(super) fn fail(&mut self, event: &[u8]) {
        self.failure.get_or_insert_with(|| String::from_utf8_lossy(event).into_owned());
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_open && self.failure.is_none()
    }
}
