//! What nodes say to each other about the request log.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use dunlin_journal::{Found, Query, Run};
use dunlin_types::{Epoch, NodeId};
use serde::{Deserialize, Serialize};

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    /// What does the node hold of this one's journal?
    Held(NodeId),
    /// Here is a piece of a segment of a node's journal.
    Add(Piece),
    /// What does the node know of what is asked for?
    Search(Box<Ask>),
}

/// A piece of a segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    /// Whose journal: the caller's, or one of which it holds a copy.
    pub(crate) of: NodeId,
    /// In which life the segment was begun, and the number of its first record.
    pub(crate) segment: (Epoch, u64),
    /// Where in its file the piece begins.
    pub(crate) offset: u64,
    /// Whole frames.
    pub(crate) frames: Bytes,
}

/// A question for one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) query: Query,
    pub(crate) of: Of,
}

/// Whose records are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Of {
    /// The node's own, and all copies but those of these nodes, who are asked themselves.
    OwnAndAllBut(BTreeSet<NodeId>),
    /// Copies of these nodes only.
    Copies(BTreeSet<NodeId>),
}

/// What a node knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) found: Found,
    /// Which records it holds copies of.
    pub(crate) runs: BTreeMap<NodeId, Vec<Run>>,
}

/// The head of a call: all of it but frames.
#[derive(Serialize, Deserialize)]
enum Head {
    Held(NodeId),
    Add { of: NodeId, segment: (Epoch, u64), offset: u64 },
    Search(Box<Ask>),
}

/// Why bytes are no call.
#[derive(Debug, thiserror::Error)]
#[error("not a call about the request log: {0}")]
pub(crate) struct NoCall(String);

impl Call {
    /// The length of the head, the head as JSON, the frames.
    pub(crate) fn encode(self) -> Bytes {
        let (head, frames) = match self {
            Self::Held(of) => (Head::Held(of), Bytes::new()),
            Self::Add(Piece { of, segment, offset, frames }) => {
                (Head::Add { of, segment, offset }, frames)
            }
            Self::Search(ask) => (Head::Search(ask), Bytes::new()),
        };
        let head = serde_json::to_vec(&head).expect("plain data");
        let mut body = BytesMut::with_capacity(4 + head.len() + frames.len());
        body.put_u32_le(u32::try_from(head.len()).expect("a head is short"));
        body.extend_from_slice(&head);
        body.extend_from_slice(&frames);
        body.freeze()
    }

    pub(crate) fn decode(mut body: Bytes) -> Result<Self, NoCall> {
        let short = || NoCall("it is too short".to_owned());
        let length = body.first_chunk::<4>().ok_or_else(short)?;
        let length = u32::from_le_bytes(*length) as usize;
        let _length = body.split_to(4);
        if body.len() < length {
            return Err(short());
        }
        let head = body.split_to(length);
        let head = serde_json::from_slice(&head).map_err(|error| NoCall(error.to_string()))?;
        Ok(match head {
            Head::Held(of) => Self::Held(of),
            Head::Add { of, segment, offset } => {
                Self::Add(Piece { of, segment, offset, frames: body })
            }
            Head::Search(ask) => Self::Search(ask),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_what_is_not_is_refused() {
        let frames = Bytes::from_static(b"frames");
        let piece = Piece { of: NodeId(2), segment: (Epoch(3), 9), offset: 77, frames };
        let of = Of::OwnAndAllBut(BTreeSet::from([NodeId(7)]));
        let ask = Ask { query: Query { limit: 5, ..Query::default() }, of };
        for call in [Call::Held(NodeId(2)), Call::Add(piece), Call::Search(Box::new(ask))] {
            let body = call.clone().encode();
            assert_eq!(Call::decode(body.clone()).expect("a call"), call);
            for length in [0, 3, 4, 8] {
                assert!(Call::decode(body.slice(..length)).is_err(), "{length} bytes of {call:?}");
            }
        }
    }
}
