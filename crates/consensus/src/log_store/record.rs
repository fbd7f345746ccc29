//! How the log lies in sled: one keyspace, so that one batch is one atomic step.
//!
//! An entry is cut into pieces of at most 4 KiB. A leaf of sled holds up to about 20 values, and
//! a leaf above 128 KiB would move to a file of its own, which sled never syncs; with pieces of
//! this size no leaf ever does. The pieces of an entry carry one CRC over the whole.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::unreadable::Unreadable;

/// The most bytes one value in sled holds.
const PIECE: usize = 4096;
const CRC: usize = 4;

/// The keys of all pieces of all entries start with this byte, so they are one range.
const ENTRY: u8 = b'e';

/// Single records beside the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// Whose log this is.
    Owner,
    /// The last vote.
    Vote,
    /// The last log id known to be committed.
    Committed,
    /// The last log id that a snapshot replaced.
    Purged,
}

impl Fact {
    pub(super) fn key(self) -> &'static [u8] {
        match self {
            Self::Owner => b"m/owner",
            Self::Vote => b"m/vote",
            Self::Committed => b"m/committed",
            Self::Purged => b"m/purged",
        }
    }
}

/// The key of one piece. `key(index, 0)` is the lowest key of the entry at `index`.
pub(super) fn key(index: u64, piece: u16) -> [u8; 11] {
    let mut key = [ENTRY; 11];
    key[1..9].copy_from_slice(&index.to_be_bytes());
    key[9..].copy_from_slice(&piece.to_be_bytes());
    key
}

/// The first key above all entries.
pub(super) const ENTRIES_END: [u8; 1] = [ENTRY + 1];

/// The index and piece that a key of the entry range names.
pub(super) fn parse_key(key: &[u8]) -> Option<(u64, u16)> {
    let rest = key.strip_prefix(&[ENTRY])?;
    let (index, piece) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*index), u16::from_be_bytes(piece.try_into().ok()?)))
}

/// A record with its CRC in front.
pub(super) fn seal(record: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut sealed = vec![0; CRC];
    serde_json::to_writer(&mut sealed, record)?;
    let crc = crc32fast::hash(&sealed[CRC..]).to_be_bytes();
    sealed[..CRC].copy_from_slice(&crc);
    Ok(sealed)
}

/// The record behind a CRC; the reason if it is not what was written.
pub(super) fn open<T: DeserializeOwned>(sealed: &[u8]) -> Result<T, Unreadable> {
    let (crc, body) = sealed.split_first_chunk::<CRC>().ok_or("it is shorter than its checksum")?;
    if u32::from_be_bytes(*crc) != crc32fast::hash(body) {
        return Err("its checksum does not match".into());
    }
    serde_json::from_slice(body)
        .map_err(|error| Unreadable::json("it is not a record of this version", &error))
}

/// A sealed entry as keys and values.
pub(super) fn pieces(index: u64, sealed: &[u8]) -> impl Iterator<Item = ([u8; 11], &[u8])> {
    sealed.chunks(PIECE).enumerate().map(move |(piece, bytes)| {
        let piece = u16::try_from(piece).expect("checked by `fits`");
        (key(index, piece), bytes)
    })
}

/// Whether an entry can be numbered in pieces at all (256 MiB; messages between nodes end before).
pub(super) fn fits(sealed: &[u8]) -> bool {
    sealed.len().div_ceil(PIECE) <= usize::from(u16::MAX)
}
