//! How a body lies in a segment: a head of fixed length, and the body.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | CRC-32 of the rest of the head |
//! | 16 | the id |
//! | 16 | the label that it is found by, 0 for none |
//! | 8 | when it was made, in milliseconds since 1970 |
//! | 8 | until when it is kept |
//! | 4 | the body's length; the highest value says that the body was deleted, and none follows |
//! | 4 | CRC-32 of the body |

use dunlin_types::{RequestId, UnixMillis};

use crate::{Label, MAX_BODY_BYTES};

/// Of every record.
pub(crate) const HEAD_BYTES: usize = 60;
const DELETED: u32 = u32::MAX;

/// What stands before a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: RequestId,
    pub(crate) label: Option<Label>,
    pub(crate) made: UnixMillis,
    pub(crate) until: UnixMillis,
    /// `None`: it was deleted.
    pub(crate) body: Option<Body>,
}

/// What is known of a body without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) length: u32,
    pub(crate) crc: u32,
}

impl Body {
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BODY_BYTES)?;
        Some(Self { length, crc: crc32fast::hash(body) })
    }

    /// Whether it is this one.
    pub(crate) fn is(self, body: &[u8]) -> bool {
        Self::of(body) == Some(self)
    }
}

impl Head {
    pub(crate) fn write(&self) -> [u8; HEAD_BYTES] {
        let (length, crc) = self.body.map_or((DELETED, 0), |body| (body.length, body.crc));
        let mut head = [0; HEAD_BYTES];
        head[4..20].copy_from_slice(&self.id.0.to_le_bytes());
        let label = self.label.map_or(0, |label| label.0);
        head[20..36].copy_from_slice(&label.to_le_bytes());
        head[36..44].copy_from_slice(&self.made.0.to_le_bytes());
        head[44..52].copy_from_slice(&self.until.0.to_le_bytes());
        head[52..56].copy_from_slice(&length.to_le_bytes());
        head[56..60].copy_from_slice(&crc.to_le_bytes());
        let own = crc32fast::hash(&head[4..]);
        head[..4].copy_from_slice(&own.to_le_bytes());
        head
    }

    /// `None` if it is torn or damaged.
    pub(crate) fn read(head: &[u8; HEAD_BYTES]) -> Option<Self> {
        let (own, rest) = head.split_first_chunk::<4>()?;
        if crc32fast::hash(rest) != u32::from_le_bytes(*own) {
            return None;
        }
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (label, rest) = rest.split_first_chunk::<16>()?;
        let (made, rest) = rest.split_first_chunk::<8>()?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let label = Some(u128::from_le_bytes(*label)).filter(|label| *label != 0).map(Label);
        let (length, crc) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        let crc = u32::from_le_bytes(*crc.first_chunk()?);
        Some(Self {
            id: RequestId(u128::from_le_bytes(*id)),
            label,
            made: UnixMillis(u64::from_le_bytes(*made)),
            until: UnixMillis(u64::from_le_bytes(*until)),
            body: (length != DELETED).then_some(Body { length, crc }),
        })
    }

    /// The bytes of the body that follows.
    pub(crate) fn length(&self) -> u64 {
        self.body.map_or(0, |body| u64::from(body.length))
    }
}
