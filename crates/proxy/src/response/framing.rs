//! How the frames of a stream travel: as server-sent events, or, to clients of Google's that did not
//! ask for those, as one JSON list that grows.

use bytes::Bytes;
use dunlin_llm::{Endpoint, sse};

/// The form of one stream, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Events,
    List {
        /// Its bracket and an element are out.
        begun: bool,
    },
}

impl Framing {
    /// What a request to `endpoint` with this query is answered in.
    pub(crate) fn asked(endpoint: Endpoint, query: Option<&str>) -> Self {
        let mut wishes = query.unwrap_or_default().split('&');
        if endpoint == Endpoint::StreamGenerateContent && !wishes.any(|wish| wish == "alt=sse") {
            Self::List { begun: false }
        } else {
            Self::Events
        }
    }

    /// The `Content-Type` of the answer.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream; charset=utf-8",
            Self::List { .. } => "application/json",
        }
    }

    /// Frames as they are sent; `is_end` if they are the last of a whole stream.
    pub(crate) fn wrap(&mut self, frames: Bytes, is_end: bool) -> Bytes {
        let Self::List { begun } = self else { return frames };
        let mut out = Vec::with_capacity(frames.len() + 8);
        for data in sse::data_lines(&frames) {
            out.extend_from_slice(if std::mem::replace(begun, true) { b",\r\n" } else { b"[" });
            out.extend_from_slice(data);
        }
        if is_end {
            out.extend_from_slice(if *begun { b"\r\n]" } else { b"[]" });
        }
        Bytes::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_whole_only_at_the_end_of_a_whole_stream() {
        let frames = |text: &'static str| Bytes::from_static(text.as_bytes());
        let mut list = Framing::asked(Endpoint::StreamGenerateContent, Some("key=x"));
        let mut out =
            list.wrap(frames("data: {\"a\":1}\n\ndata:{\"a\":2}\r\n\r\n"), false).to_vec();
        out.extend_from_slice(&list.wrap(frames(": wait\n\n"), false));
        out.extend_from_slice(&list.wrap(Bytes::new(), true));
        assert_eq!(out, b"[{\"a\":1},\r\n{\"a\":2}\r\n]");
        let mut nothing = Framing::List { begun: false };
        assert_eq!(nothing.wrap(Bytes::new(), true), "[]");
        for (endpoint, query) in [
            (Endpoint::StreamGenerateContent, Some("key=x&alt=sse")),
            (Endpoint::ChatCompletions, None),
        ] {
            let mut events = Framing::asked(endpoint, query);
            assert_eq!(events.wrap(frames("data: 1\n\n"), true), "data: 1\n\n");
        }
    }
}
