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
}

impl Framing {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// A frame around what should be JSON.
    pub(crate) fn around(self, inner: &[u8]) -> Bytes {
        let (before, after): (&[u8], &[u8]) = match self {
            Self::Events => (b"data: ", b"\n\n"),
            Self::Lines => (b"", b"\n"),
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
