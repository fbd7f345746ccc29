//! Messages between nodes as bytes: a tag and JSON, so that a neighbouring release can read them.
//! A snapshot's chunk carries its bytes raw behind a short header.

use std::time::Duration;

use bytes::Bytes;
use dunlin_state::{Entry, Format};
use dunlin_types::{ClusterId, Epoch, MonoMillis, NodeId, UnixMillis};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bootstrap::Introduction;
use crate::certificate::Ballot;
use crate::freshness::{Moment, Word};
use crate::raft::{LogId, Types, Vote};
use crate::removal::RemovalRefused;

/// A message of the Raft core.
pub(crate) enum RaftMessage {
    /// Entries, and what their leader says of itself; `None`: nothing yet.
    Append(AppendEntriesRequest<Types>, Option<Word>),
    Vote(VoteRequest<Types>),
    PreVote(VoteRequest<Types>),
    TransferLeader(TransferLeaderRequest<Types>),
    Chunk(ChunkHead, Bytes),
}

const APPEND: u8 = 1;
pub(crate) const VOTE: u8 = 2;
pub(crate) const PRE_VOTE: u8 = 3;
pub(crate) const TRANSFER_LEADER: u8 = 4;
const CHUNK: u8 = 5;
/// Stands for the age of a quorum in a word that was not given.
const NEVER_MS: u64 = u64::MAX;
/// A node's moment: its epoch and its clock, each a big-endian `u64`.
const MOMENT_BYTES: usize = 16;
/// A leader's word: the age of its quorum, its time, what it has applied, and the moment it echoes.
const WORD_BYTES: usize = 24 + MOMENT_BYTES;

/// Who answers entries: the moment at which it does, and its calendar's clock then.
pub(crate) struct Answerer {
    pub(crate) moment: Moment,
    pub(crate) clock: UnixMillis,
}

/// Which part of which snapshot follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkHead {
    pub(crate) vote: Vote,
    /// The last entry in the snapshot: its name.
    pub(crate) last: Option<LogId>,
    pub(crate) offset: u64,
    pub(crate) total: u64,
}

/// The answer to a chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ChunkTaken {
    /// Send the next one.
    More,
    /// That was the last one: the snapshot is installed, or refused by a newer vote than its own.
    Installed(Vote),
}

/// A tag and a body.
pub(crate) fn tagged(tag: u8, body: &impl Serialize) -> Bytes {
    let mut bytes = vec![tag];
    serde_json::to_writer(&mut bytes, body).expect("our messages are plain data");
    bytes.into()
}

/// Entries, behind their leader's word.
pub(crate) fn append(entries: &AppendEntriesRequest<Types>, word: Option<Word>) -> Bytes {
    let age = |word: Word| u64::try_from(word.quorum_age.as_millis()).ok();
    let age = word.and_then(age).unwrap_or(NEVER_MS);
    let mut bytes = vec![APPEND];
    bytes.extend_from_slice(&age.to_be_bytes());
    bytes.extend_from_slice(&word.map_or(0, |word| word.time.0).to_be_bytes());
    bytes.extend_from_slice(&word.map_or(0, |word| word.applied).to_be_bytes());
    bytes.extend_from_slice(&moment_bytes(word.map(|word| word.echo).unwrap_or_default()));
    serde_json::to_writer(&mut bytes, entries).expect("our messages are plain data");
    bytes.into()
}

/// The answer to entries, behind what its giver says of itself.
pub(crate) fn appended(by: Answerer, answer: &AppendEntriesResponse<Types>) -> Bytes {
    let mut bytes = moment_bytes(by.moment).to_vec();
    bytes.extend_from_slice(&by.clock.0.to_be_bytes());
    serde_json::to_writer(&mut bytes, answer).expect("our messages are plain data");
    bytes.into()
}

/// What [`appended`] made; the reason if it is not that.
pub(crate) fn decode_appended(
    bytes: &[u8],
) -> Result<(Answerer, AppendEntriesResponse<Types>), String> {
    let (moment, rest) = bytes.split_first_chunk().ok_or("an answer cut short")?;
    let (clock, answer) = rest.split_first_chunk().ok_or("an answer cut short")?;
    let clock = UnixMillis(u64::from_be_bytes(*clock));
    Ok((Answerer { moment: moment_of(moment), clock }, decode(answer)?))
}

fn moment_bytes(moment: Moment) -> [u8; MOMENT_BYTES] {
    (u128::from(moment.epoch.0) << 64 | u128::from(moment.at.0)).to_be_bytes()
}

fn moment_of(bytes: &[u8; MOMENT_BYTES]) -> Moment {
    let both = u128::from_be_bytes(*bytes);
    let low = |number: u128| u64::try_from(number & u128::from(u64::MAX)).expect("64 bits");
    Moment { epoch: Epoch(low(both >> 64)), at: MonoMillis(low(both)) }
}

pub(crate) fn chunk(head: &ChunkHead, data: &[u8]) -> Bytes {
    let head = serde_json::to_vec(head).expect("our messages are plain data");
    let length = u16::try_from(head.len()).expect("a head is short");
    let mut bytes = Vec::with_capacity(3 + head.len() + data.len());
    bytes.push(CHUNK);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(data);
    bytes.into()
}

fn word_of(bytes: &[u8; WORD_BYTES]) -> Option<Word> {
    let (age, rest) = bytes.split_first_chunk::<8>()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (applied, moment) = rest.split_first_chunk::<8>()?;
    let age = Some(u64::from_be_bytes(*age)).filter(|age| *age != NEVER_MS)?;
    let (echo, quorum_age) = (moment_of(moment.try_into().ok()?), Duration::from_millis(age));
    let (applied, time) = (u64::from_be_bytes(*applied), UnixMillis(u64::from_be_bytes(*time)));
    Some(Word { echo, quorum_age, applied, time })
}

impl RaftMessage {
    /// The message in these bytes; the reason if there is none.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, String> {
        let (tag, body) = bytes.split_first().ok_or("an empty message")?;
        match *tag {
            APPEND => {
                let (word, entries) =
                    body.split_first_chunk::<WORD_BYTES>().ok_or("an append cut short")?;
                Ok(Self::Append(decode(entries)?, word_of(word)))
            }
            VOTE => decode(body).map(Self::Vote),
            PRE_VOTE => decode(body).map(Self::PreVote),
            TRANSFER_LEADER => decode(body).map(Self::TransferLeader),
            CHUNK => {
                let (length, rest) = body.split_first_chunk::<2>().ok_or("a chunk cut short")?;
                let length = usize::from(u16::from_be_bytes(*length));
                let head = rest.get(..length).ok_or("a chunk cut short")?;
                Ok(Self::Chunk(decode(head)?, bytes.slice(3 + length..)))
            }
            other => Err(format!("message kind {other} is unknown to this version")),
        }
    }
}

/// What a node asks of the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LeaderRequest {
    /// Commit this command.
    Write(Entry),
    /// Up to where must I have applied to read what is true now?
    ReadIndex,
    /// How much do you know of what was decided?
    Knowledge,
    /// May a member be removed for good?
    MayRemove {
        /// Which one.
        node: NodeId,
        /// Even if it is alive.
        force: bool,
    },
}

/// What the asked node says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LeaderReply {
    /// Committed at this index and applied by the leader.
    Applied(u64),
    /// Apply up to this index, then read.
    ReadAt(u64),
    /// Nothing was done: another node may be the leader.
    NotLeader,
    /// The command was taken, but what became of it is not known.
    Unknown,
    /// Nothing was done: the leader has lost its quorum.
    NoQuorum,
    /// How long the answering node may lack something, the last entry in its log, and the index of
    /// the last one it has applied.
    Knowledge { stale_ms: u64, last: Option<LogId>, applied: u64 },
    /// Whether a member may be removed, as the leader sees it.
    Removal(Result<(), RemovalRefused>),
}

impl LeaderReply {
    /// Up to where to apply before reading, if that is the answer.
    pub(crate) fn read_at(self) -> Option<u64> {
        if let Self::ReadAt(index) = self { Some(index) } else { None }
    }

    /// What a leader with a quorum says of a removal, if that is the answer.
    pub(crate) fn removal(self) -> Option<Result<(), RemovalRefused>> {
        if let Self::Removal(judged) = self { Some(judged) } else { None }
    }
}

/// Between nodes that may have no cluster in common.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum JoinRequest {
    /// Who are you, and where do you stand?
    Introduce,
    /// Promise yourself to this set.
    Promise(Ballot),
    /// I have entered your cluster: make me a member.
    AddMe {
        /// The asker's advertised address.
        address: String,
        /// The cluster it has entered.
        cluster: ClusterId,
        /// Whether it has been a member before.
        member: bool,
        /// The newest format of the log that its version knows.
        #[serde(default = "first_format")]
        format: u32,
    },
}

/// What versions know that do not say.
fn first_format() -> u32 {
    Format::FIRST.0
}

/// Answers to [`JoinRequest`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum JoinReply {
    Introduction(Introduction),
    Promised,
    /// No promise, and why.
    Withheld(String),
    /// The leader is adding the asker.
    Added,
    /// Ask there.
    Leader(NodeId, String),
    /// No leader is known now: ask again.
    NoLeader,
    /// Never, and why.
    Refused(String),
    /// It was removed for good: why, and what to do.
    Removed(String),
}

pub(crate) fn encode(message: &impl Serialize) -> Bytes {
    serde_json::to_vec(message).expect("our messages are plain data").into()
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|e| format!("a message that cannot be read: {e}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dunlin_state::{Command, CommandId, Entry};
    use openraft::EntryPayload;
    use openraft::entry::RaftEntry as _;

    use super::*;
    use crate::raft::{LogEntry, Stamped};

    #[test]
    fn nothing_of_a_message_is_taken_in_which_something_is_not_known() {
        let log_id = |index| openraft::testing::log_id::<Types>(1, 7, index);
        let entry = |index: u64, command| {
            let id = CommandId { node: NodeId(7), epoch: Epoch(1), seq: index };
            let entry = Arc::new(Entry { id, actor: None, command });
            let stamped = Stamped { at: UnixMillis(index), entry };
            LogEntry::new(log_id(index), EntryPayload::Normal(stamped))
        };
        let address =
            |text: &str| Command::SetAddress { node: NodeId(7), address: text.to_owned() };
        let request = AppendEntriesRequest::<Types> {
            vote: Vote::new(1, 7),
            prev_log_id: None,
            entries: vec![entry(1, address("a")), entry(2, address("b"))],
            leader_commit: None,
        };
        let sent = append(&request, None);
        assert!(matches!(RaftMessage::decode(&sent), Ok(RaftMessage::Append(..))));
        let (head, body) = sent.split_at(1 + WORD_BYTES);
        let body = String::from_utf8(body.to_vec()).expect("JSON");
        let last = body.rfind("SetAddress").expect("there");
        let later = format!("{}SetAbode{}", &body[..last], &body[last + "SetAddress".len()..]);
        let later = Bytes::from([head, later.as_bytes()].concat());
        let why = RaftMessage::decode(&later).err().expect("refused");
        assert!(why.contains("unknown variant `SetAbode`"), "{why}");
        let why = RaftMessage::decode(&Bytes::from_static(&[250])).err().expect("refused");
        assert!(why.contains("message kind 250 is unknown"), "{why}");
    }
}
