//! What is written in a streamed answer, frame by frame, before it is known how it goes wrong.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::Value;

use crate::answer::Text;

/// How frames are told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Events,
    /// A line of JSON each.
    Lines,
    /// One JSON array, sent element by element.
    Array,
    /// AWS's binary messages.
    Binary,
}

impl Framing {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Lines => "application/x-ndjson",
            Self::Array => "application/json; charset=UTF-8",
            Self::Binary => "application/vnd.amazon.eventstream",
        }
    }

    /// A frame around what should be JSON.
    pub(crate) fn around(self, inner: &[u8]) -> Bytes {
        let (before, after): (&[u8], &[u8]) = match self {
            Self::Events => (b"data: ", b"\n\n"),
            Self::Lines => (b"", b"\n"),
            Self::Array => (b",", b"\n"),
            // What is read as its length and checksum is neither.
            Self::Binary => (b"", b""),
        };
        Bytes::from([before, inner, after].concat())
    }
}

/// A stream to be written.
pub(crate) struct Script {
    pub(crate) framing: Framing,
    pub(crate) pieces: VecDeque<Piece>,
    /// How the dialect says that it goes no further.
    pub(crate) error: Bytes,
}

/// The same frame so many times.
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    pub(crate) times: u32,
    /// Whether it waits for its turn and is counted.
    pub(crate) token: bool,
}

impl Script {
    pub(crate) fn new(framing: Framing, error: Bytes) -> Self {
        Self { framing, pieces: VecDeque::new(), error }
    }

    /// Something that comes with what is before it.
    pub(crate) fn note(&mut self, bytes: Bytes) {
        self.pieces.push_back(Piece { bytes, times: 1, token: false });
    }

    /// One frame for one token.
    pub(crate) fn token(&mut self, bytes: Bytes) {
        self.pieces.push_back(Piece { bytes, times: 1, token: true });
    }

    /// Lets the very first frame begin otherwise than the others of its text.
    pub(crate) fn open_with(&mut self, old: u8, new: u8) {
        let Some(first) = self.pieces.front_mut() else { return };
        assert_eq!(first.bytes.first(), Some(&old), "frames begin alike");
        let opening = [&[new], &first.bytes[1..]].concat().into();
        let token = first.token;
        first.times -= 1;
        if first.times == 0 {
            self.pieces.pop_front();
        }
        self.pieces.push_front(Piece { bytes: opening, times: 1, token });
    }

    /// Frames for a text, one for each token.
    pub(crate) fn say(&mut self, text: &Text, mut frame: impl FnMut(&str) -> Bytes) {
        for (token, times) in text.runs() {
            self.pieces.push_back(Piece { bytes: frame(token), times, token: true });
        }
    }
}

/// A server-sent event without a name.
pub(crate) fn event(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// A server-sent event whose name is the `type` of its data.
pub(crate) fn named_event(data: &Value) -> Bytes {
    let name = data["type"].as_str().expect("every such event has a type");
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// A line of JSON.
pub(crate) fn line(data: &Value) -> Bytes {
    Bytes::from(format!("{data}\n"))
}
