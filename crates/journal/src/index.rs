//! What is known of a segment without reading it: where its blocks of records are and when their
//! requests began, in memory; which words occur in it, in a file beside it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use dunlin_types::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::SpendRecord;
use crate::filter::{Filter, hash};
use crate::frame::HEAD;

/// Records in one block: what is read of a segment at least.
pub(crate) const BLOCK_RECORDS: u32 = 256;

/// Neighbouring records of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// Where its first record is in the file.
    pub(crate) offset: u64,
    pub(crate) records: u32,
    /// When the first of its requests began.
    pub(crate) from: UnixMillis,
    /// When the last of its requests began.
    pub(crate) until: UnixMillis,
}

/// All blocks of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blocks {
    pub(crate) blocks: Vec<Block>,
    /// When the last of its requests ended.
    pub(crate) ended: UnixMillis,
}

impl Blocks {
    /// A record is at byte `offset`.
    pub(crate) fn add(&mut self, offset: u64, record: &SpendRecord) {
        let began = record.started;
        self.ended = self.ended.max(record.ended);
        match self.blocks.last_mut() {
            Some(block) if block.records < BLOCK_RECORDS => {
                block.records += 1;
                block.from = block.from.min(began);
                block.until = block.until.max(began);
            }
            Some(_) | None => {
                let (from, until) = (began, began);
                self.blocks.push(Block { offset, records: 1, from, until });
            }
        }
    }

    /// When the first of its requests began.
    pub(crate) fn began(&self) -> Option<UnixMillis> {
        self.blocks.iter().map(|block| block.from).min()
    }
}

/// What a word says of a record.
#[derive(Clone, Copy)]
pub(crate) enum Word {
    Id = 1,
    Key,
    User,
    Team,
    Organization,
    EndUser,
    Tag,
    Session,
}

/// The words of a record, by which it may be looked for.
pub(crate) fn words(record: &SpendRecord) -> Vec<u64> {
    let (whose, origin) = (&record.whose, &record.origin);
    let key = record.key.as_ref().map_or(&[][..], |key| key.as_bytes());
    let mut words =
        vec![hash(Word::Id as u8, record.call_id.as_bytes()), hash(Word::Key as u8, key)];
    let named = [
        (Word::Id, &record.answer_id),
        (Word::User, &whose.user),
        (Word::Team, &whose.team),
        (Word::Organization, &whose.organization),
        (Word::EndUser, &origin.end_user),
        (Word::Session, &origin.session),
    ];
    let named = named.into_iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?)));
    let tags = origin.tags.iter().map(|tag| (Word::Tag, tag));
    words.extend(named.chain(tags).map(|(kind, word)| hash(kind as u8, word.as_bytes())));
    words
}

/// What an index file says of its segment.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// How long the segment's file was when it was indexed.
    pub(crate) file_bytes: u64,
    /// Up to where its records are whole.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    pub(crate) blocks: Blocks,
}

/// Writes the index of a segment that is closed; it begins as the segment does. A crash leaves the
/// whole of it or nothing.
pub(crate) fn write(path: &Path, head: &Head, filter: &Filter) -> io::Result<()> {
    let json = serde_json::to_vec(head).expect("plain data");
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let rest = [&length.to_le_bytes()[..], &json, &filter.bytes()].concat();
    let crc = crc32fast::hash(&rest);
    let partial = path.with_extension("idx.new");
    let mut file = File::create(&partial)?;
    file.write_all(HEAD)?;
    file.write_all(&crc.to_le_bytes())?;
    file.write_all(&rest)?;
    file.sync_data()?;
    fs::rename(&partial, path)
}

/// Reads one back. `None`: there is none, or it is damaged.
pub(crate) fn read(path: &Path) -> Option<(Head, Filter)> {
    let bytes = fs::read(path).ok()?;
    let (crc, rest) = bytes.strip_prefix(HEAD)?.split_first_chunk::<4>()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (json, filter) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((serde_json::from_slice(json).ok()?, Filter::of_bytes(filter)?))
}
