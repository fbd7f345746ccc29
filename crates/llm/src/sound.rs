//! How long a sound is, by what its file says of itself: for providers that hear by the second and do
//! not tell how many they heard.
//!
//! Read are WAV, FLAC, Ogg, MP3, AAC (ADTS), MP4 and WebM. Nothing is decoded. What cannot be read, and
//! what says something absurd, is taken for [`BYTES_A_SECOND`].

use bytes::BytesMut;
use memchr::memmem;

mod boxes;
mod frames;

/// Speech at 64 kbit/s: what a sound in another form is taken for.
pub const BYTES_A_SECOND: u64 = 8_000;
/// No sound has more: two channels of 32 bits at 96 kHz.
const MOST_BYTES_A_SECOND: u64 = 768_000;
/// None has fewer: silence, packed well.
const FEWEST_BYTES_A_SECOND: u64 = 50;

/// Nor has speech that can still be understood: 8 kbit/s.
const FEWEST_BYTES_A_SECOND_OF_SPEECH: u64 = 1_000;

/// Samples without a file around them: 16 bits at 24 kHz, as OpenAI sends them.
const RAW_BYTES_A_SECOND: u64 = 48_000;
/// The forms of plain samples in a WAV file.
const PCM: u16 = 1;
const FLOATS: u16 = 3;
/// As much of a sound that passes is kept to be read.
const MAX_HEAD: usize = 64 << 10;

/// Measures a sound that passes.
#[derive(Debug)]
pub struct Measure {
    head: BytesMut,
    length: u64,
    is_raw: bool,
}

impl Measure {
    /// For a sound of that `Content-Type`.
    #[must_use]
    pub fn new(content_type: &str) -> Self {
        let kind = content_type.to_ascii_lowercase();
        let is_raw = ["audio/pcm", "audio/l16"].iter().any(|raw| kind.starts_with(raw));
        Self { head: BytesMut::new(), length: 0, is_raw }
    }

    /// The next bytes of it.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = MAX_HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length = self.length.saturating_add(bytes.len() as u64);
    }

    /// The milliseconds so far, rounded up.
    #[must_use]
    pub fn millis(&self) -> u64 {
        if self.is_raw {
            return by_length(self.length, RAW_BYTES_A_SECOND);
        }
        millis(&self.head, self.length)
    }
}

/// The milliseconds of a sound of `length` bytes of which `head` are the first ones, rounded up.
#[must_use]
pub fn millis(head: &[u8], length: u64) -> u64 {
    credible(head, length).unwrap_or_else(|| by_length(length, BYTES_A_SECOND))
}

/// The milliseconds of so many bytes.
fn by_length(length: u64, bytes_a_second: u64) -> u64 {
    length.saturating_mul(1000).div_ceil(bytes_a_second.max(1))
}

/// The most milliseconds that a sound of `length` bytes may have of which `head` are the first ones.
/// A figure in its file may be a lie: only what follows from how its samples lie there is believed
/// where the bytes could be more.
#[must_use]
pub fn most_millis(head: &[u8], length: u64) -> u64 {
    let by_samples = match head {
        [b'R', b'I' | b'F', b'F' | b'6', b'F' | b'4', ..] => {
            samples_a_second(head).map(|rate| by_length(length, rate))
        }
        _ => frames::all_millis(head, length),
    };
    by_samples.unwrap_or_else(|| match credible(head, length) {
        Some(said) => said.max(by_length(length, FEWEST_BYTES_A_SECOND_OF_SPEECH)),
        None => by_length(length, FEWEST_BYTES_A_SECOND),
    })
}

/// What it says of itself, unless that is absurd.
fn credible(head: &[u8], length: u64) -> Option<u64> {
    let least = length.saturating_mul(1000) / MOST_BYTES_A_SECOND;
    let most = length.saturating_mul(1000) / FEWEST_BYTES_A_SECOND;
    said(head, length).filter(|millis| (least.max(1)..=most).contains(millis))
}

fn said(head: &[u8], length: u64) -> Option<u64> {
    match head {
        [b'R', b'I' | b'F', b'F' | b'6', b'F' | b'4', ..] if head.get(8..12) == Some(b"WAVE") => {
            wave(head, length)
        }
        [b'f', b'L', b'a', b'C', ..] => flac(head),
        [b'O', b'g', b'g', b'S', ..] => ogg(head),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => boxes::webm(head),
        _ if head.get(4..8) == Some(b"ftyp") => boxes::mp4(head),
        _ => frames::millis(head, length),
    }
}

/// The length of the samples by the bytes of a second.
fn wave(head: &[u8], length: u64) -> Option<u64> {
    let (format, _) = chunk(head, b"fmt ")?;
    let rate = le32(head, format + 8)?;
    let (begin, size) = chunk(head, b"data")?;
    // A stream does not know its length when it begins.
    let rest = length.saturating_sub(begin as u64);
    let size = if size == 0 { rest } else { size.min(rest) };
    (rate > 0).then(|| by_length(size, rate))
}

/// The bytes of a second of plain samples, by what decoders go by: how many there are, and how large.
fn samples_a_second(head: &[u8]) -> Option<u64> {
    let (begin, _) = chunk(head, b"fmt ")?;
    let fact = |at: usize| {
        let two = head.get(begin + at..)?.first_chunk()?;
        Some(u16::from_le_bytes(*two))
    };
    let is_plain = [PCM, FLOATS].contains(&fact(0)?);
    let bytes = le32(head, begin + 4)?.saturating_mul(u64::from(fact(12)?));
    Some(bytes).filter(|bytes| is_plain && (1..=MOST_BYTES_A_SECOND).contains(bytes))
}

/// Where the content of the first chunk of a kind begins, and how long it says that it is.
fn chunk(head: &[u8], kind: &[u8; 4]) -> Option<(usize, u64)> {
    let mut at = 12;
    loop {
        let found = head.get(at..at + 8)?;
        let size = u64::from(u32::from_le_bytes(*found.last_chunk()?));
        let begin = at + 8;
        if found.starts_with(kind) {
            return Some((begin, size));
        }
        let size = usize::try_from(size).ok()?;
        at = begin.checked_add(size)?.checked_add(size % 2)?;
    }
}

/// The samples that its first block counts.
fn flac(head: &[u8]) -> Option<u64> {
    let facts = u64::from_be_bytes(*head.get(18..26)?.first_chunk()?);
    let (rate, samples) = (facts >> 44, facts & ((1 << 36) - 1));
    of_samples(samples, rate)
}

/// The samples that its last page counts.
fn ogg(head: &[u8]) -> Option<u64> {
    let first = &head[..head.len().min(256)];
    let (rate, skipped) = if let Some(at) = memmem::find(first, b"OpusHead") {
        (48_000, u64::from(u16::from_le_bytes(*first.get(at + 10..)?.first_chunk()?)))
    } else {
        let at = memmem::find(first, b"\x01vorbis")?;
        (le32(first, at + 12)?, 0)
    };
    let last = memmem::rfind(head, b"OggS")?;
    let samples = u64::from_le_bytes(*head.get(last + 6..)?.first_chunk()?);
    of_samples(samples.checked_sub(skipped)?, rate)
}

fn le32(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)))
}

fn of_samples(samples: u64, rate: u64) -> Option<u64> {
    let counted = samples > 0 && rate > 0;
    counted.then(|| by_length(samples, rate))
}

#[cfg(test)]
mod tests;
