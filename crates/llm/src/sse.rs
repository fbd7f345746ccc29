//! Server-sent events, cut out of a byte stream as whole frames.
//!
//! A frame is everything up to and including a blank line. Line ends may be LF, CR or CRLF. Frames
//! come out the same however the bytes are cut, so a CR at the end of a read waits for the next
//! byte: it may be half of a CRLF.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr2;
use serde::Serialize;

use crate::json::Span;

/// The longest frame: 1 MiB. A chunk of a chat is some hundred bytes.
pub const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// A frame grew over its bound without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of the stream is longer than its bound")]
pub struct FrameTooLong;

/// Cuts a byte stream into frames. A frame that lies in one read is a slice of it, not a copy.
#[derive(Debug)]
pub struct Splitter {
    /// The read being cut.
    input: Bytes,
    /// The start of a frame whose end has not been read yet.
    carried: BytesMut,
    seen: Seen,
    most: usize,
    /// No frame has come out yet.
    is_first: bool,
}

/// May stand before a stream, and is no part of it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

impl Default for Splitter {
    fn default() -> Self {
        Self::with_frames_of(MAX_FRAME_BYTES)
    }
}

/// What the last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Seen {
    /// The end of a line, or nothing at all.
    #[default]
    LineStart,
    Text,
    /// A CR that ended a line of text.
    Cr,
    /// A CR that ended a blank line.
    BlankCr,
}

impl Splitter {
    /// A splitter of frames of at most `most` bytes.
    #[must_use]
    pub fn with_frames_of(most: usize) -> Self {
        let (input, carried) = (Bytes::new(), BytesMut::new());
        Self { input, carried, seen: Seen::default(), most, is_first: true }
    }

    /// Takes the next bytes. All frames of the bytes before must have been taken out.
    pub fn push(&mut self, read: Bytes) {
        assert!(self.input.is_empty(), "frames of the last read are still here");
        self.input = read;
    }

    /// The next whole frame, `None` when more bytes are needed.
    ///
    /// # Errors
    /// The frame is too long. The stream cannot be read further.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameTooLong> {
        let end = self.frame_end();
        let taken = self.input.split_to(end.unwrap_or(self.input.len()));
        if self.carried.len() + taken.len() > self.most {
            return Err(FrameTooLong);
        }
        if end.is_some() && self.carried.is_empty() {
            return Ok(Some(self.unmarked(taken)));
        }
        self.carried.extend_from_slice(&taken);
        Ok(end.map(|_| self.carried.split().freeze()).map(|frame| self.unmarked(frame)))
    }

    /// What is left when the stream has ended: a frame without its blank line, or nothing.
    #[must_use]
    pub fn rest(&mut self) -> Bytes {
        let rest = self.carried.split().freeze();
        self.unmarked(rest)
    }

    fn unmarked(&mut self, mut frame: Bytes) -> Bytes {
        if std::mem::replace(&mut self.is_first, false) && frame.starts_with(BYTE_ORDER_MARK) {
            frame.advance(BYTE_ORDER_MARK.len());
        }
        frame
    }

    /// The length of `input` that ends a frame.
    fn frame_end(&mut self) -> Option<usize> {
        let mut at = 0;
        loop {
            match self.seen {
                Seen::Cr | Seen::BlankCr => {
                    let next = *self.input.get(at)?;
                    at += usize::from(next == b'\n');
                    let blank = self.seen == Seen::BlankCr;
                    self.seen = Seen::LineStart;
                    if blank {
                        return Some(at);
                    }
                }
                Seen::LineStart | Seen::Text => {
                    let text = &self.input[at..];
                    let Some(length) = memchr2(b'\n', b'\r', text) else {
                        if !text.is_empty() {
                            self.seen = Seen::Text;
                        }
                        return None;
                    };
                    let blank = length == 0 && self.seen == Seen::LineStart;
                    let cr = text[length] == b'\r';
                    at += length + 1;
                    self.seen = match (cr, blank) {
                        (false, _) => Seen::LineStart,
                        (true, false) => Seen::Cr,
                        (true, true) => Seen::BlankCr,
                    };
                    if blank && !cr {
                        return Some(at);
                    }
                }
            }
        }
    }
}

/// Whether a frame is named an error, whatever its data is.
pub(crate) fn is_error(frame: &[u8]) -> bool {
    let name = frame.strip_prefix(b"event:").map(<[u8]>::trim_ascii_start);
    let rest = name.and_then(|name| name.strip_prefix(b"error"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'\r' | b'\n')))
}

/// Where a frame's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// Only comments, or fields without data.
    Absent,
    /// In one line, as everyone sends it.
    Line(Span),
    /// In several, to be joined.
    Lines,
}

/// Finds the data of a frame.
pub(crate) fn data(frame: &[u8]) -> Data {
    let mut found = Data::Absent;
    for line in lines(frame) {
        if let Some(span) = data_of(frame, line) {
            match found {
                Data::Absent => found = Data::Line(span),
                Data::Line(_) | Data::Lines => return Data::Lines,
            }
        }
    }
    found
}

/// The frame with its data in one line, and where that is. `None`: it has no data.
pub(crate) fn in_one_line(frame: Bytes) -> (Bytes, Option<Span>) {
    match data(&frame) {
        Data::Absent => (frame, None),
        Data::Line(span) => (frame, Some(span)),
        Data::Lines => {
            let joined = join_data(&frame);
            let Data::Line(span) = data(&joined) else { unreachable!("joined data is one line") };
            (joined, Some(span))
        }
    }
}

/// The same frame with its data in one line. A line end in JSON is white space, so a space is as
/// good.
fn join_data(frame: &[u8]) -> Bytes {
    let (mut fields, mut joined) = (Vec::with_capacity(frame.len()), Vec::new());
    for line in lines(frame) {
        match data_of(frame, line) {
            Some(span) => {
                joined.push(b' ');
                joined.extend_from_slice(&frame[span.range()]);
            }
            None if line.start == line.end => {}
            None => {
                fields.extend_from_slice(&frame[line.range()]);
                fields.push(b'\n');
            }
        }
    }
    fields.extend_from_slice(b"data:");
    fields.extend_from_slice(&joined);
    fields.extend_from_slice(b"\n\n");
    Bytes::from(fields)
}

/// Appends an event that has a name.
pub(crate) fn write_event(out: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    serde_json::to_writer(&mut *out, data).expect("a Vec takes every write");
    out.extend_from_slice(b"\n\n");
}

/// The data of each line that has some, in order.
pub fn data_lines(frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    let spans = lines(frames).filter_map(|line| data_of(frames, line));
    spans.map(|span| frames[span.range()].trim_ascii()).filter(|data| !data.is_empty())
}

/// The value of `line` if it is a data field, without the one space that may precede it.
fn data_of(frame: &[u8], line: Span) -> Option<Span> {
    let value = match frame[line.range()].strip_prefix(b"data")? {
        [] => line.end,
        [b':', b' ', ..] => line.start + b"data: ".len(),
        [b':', ..] => line.start + b"data:".len(),
        [..] => return None,
    };
    Some(Span { start: value, end: line.end })
}

/// The lines of a frame without their ends. A CRLF counts as two ends around an empty line, which
/// means nothing inside a frame.
fn lines(frame: &[u8]) -> impl Iterator<Item = Span> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= frame.len() {
            return None;
        }
        let length = memchr2(b'\n', b'\r', &frame[start..]).unwrap_or(frame.len() - start);
        let line = Span { start, end: start + length };
        start = line.end + 1;
        Some(line)
    })
}

#[cfg(test)]
mod tests;
