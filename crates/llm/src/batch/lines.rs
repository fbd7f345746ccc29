//! The lines of a file that comes in pieces.

use bytes::{Buf, Bytes, BytesMut};

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// Too long to be held: its bytes.
    Long(u64),
}

/// A file as it comes in.
#[derive(Debug)]
pub struct Lines {
    held: BytesMut,
    /// Of the present line.
    skipped: u64,
    /// The most bytes of a line that are held.
    most: usize,
}

impl Lines {
    /// Of a file whose lines are held if they are no longer than that.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { held: BytesMut::new(), skipped: 0, most }
    }

    /// Tells every line that ends in the next piece.
    pub fn push(&mut self, mut piece: Bytes, mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', &piece) {
            self.hold(&piece[..end]);
            piece.advance(end + 1);
            let line = self.held.split();
            match std::mem::take(&mut self.skipped) {
                0 => each(Line::Whole(&line)),
                more => each(Line::Long(line.len() as u64 + more)),
            }
        }
        self.hold(&piece);
    }

    /// There is no more: the last line need not have an end.
    pub fn end(&mut self, each: impl FnMut(Line<'_>)) {
        self.push(Bytes::from_static(b"\n"), each);
    }

    fn hold(&mut self, part: &[u8]) {
        let room = self.most - self.held.len();
        let (kept, skipped) = part.split_at(part.len().min(room));
        self.held.extend_from_slice(kept);
        self.skipped += skipped.len() as u64;
    }
}
