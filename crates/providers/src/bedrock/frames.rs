//! AWS's event stream: binary frames of headers and a payload, with a checksum over the lengths
//! and one over all. Any damage is an error: behind it nothing can be found again.

use bytes::{Buf, Bytes, BytesMut};
use dunlin_llm::BadFrame;
use dunlin_llm::sse::FrameTooLong;

use crate::stream::{MAX_EVENT_BYTES, StreamError};

/// Two lengths, and the checksum of them.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// The kind of header that holds a text.
const TEXT: u8 = 7;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// `event`, `exception` or `error`.
    pub(super) message_type: String,
    /// Which event or exception.
    pub(super) kind: String,
    /// What an `error`, which has no payload, says.
    pub(super) error: Option<String>,
    pub(super) payload: Bytes,
}

/// Cuts bytes into frames.
#[derive(Default)]
pub(super) struct Cutter {
    carried: BytesMut,
}

fn damaged(what: &'static str) -> StreamError {
    BadFrame::NotAChunk { reason: what.to_owned() }.into()
}

impl Cutter {
    pub(super) fn push(&mut self, read: &[u8]) {
        self.carried.extend_from_slice(read);
    }

    /// Whether nothing of a frame is at hand.
    pub(super) fn is_empty(&self) -> bool {
        self.carried.is_empty()
    }

    /// The next whole frame, `None` when more bytes are needed.
    ///
    /// # Errors
    /// The bytes are no frame.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, StreamError> {
        let Some(mut prelude) = self.carried.get(..PRELUDE) else { return Ok(None) };
        let sum = crc32fast::hash(&prelude[..PRELUDE - CHECKSUM]);
        let (whole, headers) = (prelude.get_u32() as usize, prelude.get_u32() as usize);
        if prelude.get_u32() != sum {
            return Err(damaged("the checksum of its lengths is wrong"));
        }
        if whole > MAX_EVENT_BYTES {
            return Err(FrameTooLong.into());
        }
        if headers.saturating_add(PRELUDE + CHECKSUM) > whole {
            return Err(damaged("its headers are longer than it"));
        }
        if self.carried.len() < whole {
            return Ok(None);
        }
        let frame = self.carried.split_to(whole).freeze();
        let mut checksum = &frame[whole - CHECKSUM..];
        if checksum.get_u32() != crc32fast::hash(&frame[..whole - CHECKSUM]) {
            return Err(damaged("its checksum is wrong"));
        }
        let payload = frame.slice(PRELUDE + headers..whole - CHECKSUM);
        let headers = read_headers(&frame[PRELUDE..PRELUDE + headers]);
        let headers = headers.ok_or_else(|| damaged("its headers cannot be read"))?;
        let named = |name: &str| {
            headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let kind = named(":event-type").or(named(":exception-type")).or(named(":error-code"));
        let message_type = named(":message-type").unwrap_or_else(|| "event".to_owned());
        let error = named(":error-message");
        Ok(Some(Frame { message_type, kind: kind.unwrap_or_default(), error, payload }))
    }
}

/// The headers that hold texts. `None` if they are cut or of no known kind.
fn read_headers(mut bytes: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(bytes.try_get_u8().ok()?);
        let name = std::str::from_utf8(bytes.split_off(..length)?).ok()?;
        let kind = bytes.try_get_u8().ok()?;
        let length = match kind {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            6 | TEXT => usize::from(bytes.try_get_u16().ok()?),
            9 => 16,
            _ => return None,
        };
        let value = bytes.split_off(..length)?;
        if kind == TEXT {
            headers.push((name, std::str::from_utf8(value).ok()?));
        }
    }
    Some(headers)
}
