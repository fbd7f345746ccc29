//! Messages between nodes as bytes: a tag and JSON, so that a neighbouring release can read them.
//! A snapshot's chunk carries its bytes raw behind a short header.

use std::time::Duration;

use bytes::Bytes;
use dunlin_state::Entry;
use dunlin_types::{ClusterId, NodeId};
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bootstrap::Introduction;
use crate::certificate::Ballot;
use crate::raft::{LogId, Types, Vote};

/// A message of the Raft core.
pub(crate) enum RaftMessage {
    /// Entries, and how long ago their leader last heard a quorum; `None`: it has not yet.
    Append(AppendEntriesRequest<Types>, Option<Duration>),
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
/// Stands for the age of a quorum that was never heard.
const NEVER_MS: u64 = u64::MAX;

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

/// Entries, behind the age of their leader's quorum in milliseconds.
pub(crate) fn append(entries: &AppendEntriesRequest<Types>, quorum: Option<Duration>) -> Bytes {
    let age = quorum.and_then(|age| u64::try_from(age.as_millis()).ok()).unwrap_or(NEVER_MS);
    let mut bytes = vec![APPEND];
    bytes.extend_from_slice(&age.to_be_bytes());
    serde_json::to_writer(&mut bytes, entries).expect("our messages are plain data");
    bytes.into()
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

impl RaftMessage {
    /// The message in these bytes; the reason if there is none.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, String> {
        let (tag, body) = bytes.split_first().ok_or("an empty message")?;
        match *tag {
            APPEND => {
                let (age, entries) = body.split_first_chunk::<8>().ok_or("an append cut short")?;
                let age = Some(u64::from_be_bytes(*age)).filter(|age| *age != NEVER_MS);
                Ok(Self::Append(decode(entries)?, age.map(Duration::from_millis)))
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
pub(crate) enum Ask {
    /// Commit this command.
    Write(Entry),
    /// Up to where must I have applied to read what is true now?
    ReadIndex,
}

/// What the asked node says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Told {
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
}

/// Between nodes that may have no cluster in common.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum JoinAsk {
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
    },
}

/// Answers to [`JoinAsk`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum JoinTold {
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
}

pub(crate) fn encode(message: &impl Serialize) -> Bytes {
    serde_json::to_vec(message).expect("our messages are plain data").into()
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|e| format!("a message that cannot be read: {e}"))
}
