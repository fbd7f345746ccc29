//! The header lines of an answer, as they become known. Their values are written one after the other
//! into one buffer, of which each line keeps its part: forty lines take one allocation for them.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::BytesMut;

use crate::response::figure::{self, Figure};

/// As many lines as an answer usually has, and a few.
const USUAL_LINES: usize = 48;
/// Bytes that their values usually take, and some.
const USUAL_BYTES: usize = 2048;

/// Header lines and the room for more.
#[derive(Clone, Default)]
pub(crate) struct Lines {
    lines: HeaderMap,
    room: BytesMut,
}

impl Lines {
    /// None, with room for those that an answer usually has.
    pub(crate) fn with_room() -> Self {
        let room = BytesMut::with_capacity(USUAL_BYTES);
        Self { lines: HeaderMap::with_capacity(USUAL_LINES), room }
    }

    /// Sets a line to a text, if it is one that a header can carry; empty ones are left out.
    pub(crate) fn text(&mut self, name: HeaderName, text: &str) {
        self.written(name, |room| room.extend_from_slice(text.as_bytes()));
    }

    /// Sets a line to a number.
    pub(crate) fn number(&mut self, name: HeaderName, number: u64) {
        self.figure(name, &figure::whole(number));
    }

    /// Sets a line to a figure.
    pub(crate) fn figure(&mut self, name: HeaderName, figure: &Figure) {
        self.written(name, |room| room.extend_from_slice(figure.digits()));
    }

    /// Sets a line to what `write` puts into the empty room, as [`text`](Self::text) does.
    pub(crate) fn written(&mut self, name: HeaderName, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.room);
        self.end(name);
    }

    fn end(&mut self, name: HeaderName) {
        let text = self.room.split().freeze();
        // Others than ASCII a header may carry, but no client can tell what they mean.
        if !text.is_empty()
            && text.is_ascii()
            && let Ok(value) = HeaderValue::from_maybe_shared(text)
        {
            self.lines.insert(name, value);
        }
    }

    /// Sets a line to a value as it is.
    pub(crate) fn value(&mut self, name: HeaderName, value: HeaderValue) {
        self.lines.insert(name, value);
    }

    /// Takes a line away.
    pub(crate) fn remove(&mut self, name: &'static str) {
        self.lines.remove(name);
    }

    /// All of them.
    pub(crate) fn into_map(self) -> HeaderMap {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_own_value_and_the_last_one_set() {
        let mut lines = Lines::default();
        let name = HeaderName::from_static;
        // More than fits into the room: none is lost.
        let long = "x".repeat(USUAL_BYTES);
        lines.text(name("a"), "one");
        lines.number(name("b"), 60);
        lines.text(name("a"), &long);
        lines.written(name("c"), |room| {
            for part in ["two", "/", "three"] {
                room.extend_from_slice(part.as_bytes());
            }
        });
        lines.value(name("d"), HeaderValue::from_static("whole"));
        lines.text(name("not"), "caf\u{e9}");
        lines.text(name("nor"), "two\nlines");
        lines.text(name("none"), "");
        lines.remove("d");
        let expected = [("a", &*long), ("b", "60"), ("c", "two/three")];
        let map = lines.into_map();
        assert_eq!(map.len(), expected.len());
        for (name, value) in expected {
            assert_eq!(map[name], value);
        }
    }
}
