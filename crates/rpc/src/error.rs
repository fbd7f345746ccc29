//! Why a call failed, and why a node could not open its end.

use std::net::SocketAddr;
use std::time::Duration;

use dunlin_types::{ClusterId, NodeId};

/// Why the node's end of node-to-node calls could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen for other nodes on {address}")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No certificate could be made from the cluster secret.
    #[error("cannot issue this node's certificate")]
    Certificate(#[source] rcgen::Error),
    /// TLS refused our own certificate.
    #[error("cannot set up TLS between nodes")]
    Tls(#[source] rustls::Error),
    /// TLS refused our own certificate authority.
    #[error("cannot set up the check of other nodes' certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// Why a call has no answer. Only [`CallError::TimedOut`] and [`CallError::Lost`] leave it open
/// whether the peer acted on it; every other cause means it did not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection could be made.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Where the peer was expected.
        address: String,
        /// What went wrong, as a clause.
        reason: String,
    },
    /// No address is known for the peer; see `Rpc::learn`.
    #[error("no address is known for node {node}")]
    UnknownPeer {
        /// The peer.
        node: NodeId,
    },
    /// No answer in time. The peer may have acted on the call.
    #[error("no answer within {} ms", after.as_millis())]
    TimedOut {
        /// The bound that was given.
        after: Duration,
    },
    /// The connection broke after the call was sent. The peer may have acted on it.
    #[error("the connection to {address} broke during the call: {reason}")]
    Lost {
        /// Where the peer was.
        address: String,
        /// What went wrong, as a clause.
        reason: String,
    },
    /// The peer, or the owner of the service there, said no.
    #[error("refused: {reason}")]
    Refused {
        /// The peer's words.
        reason: String,
    },
    /// The two nodes are not of one formed cluster.
    #[error(
        "the peer is {}, this node is {}",
        standing(*theirs),
        standing(*ours)
    )]
    WrongCluster {
        /// The cluster the call was made for.
        ours: Option<ClusterId>,
        /// The cluster of the peer.
        theirs: Option<ClusterId>,
        /// Theirs goes on in the place of ours, which had lost its majority.
        superseded: bool,
    },
    /// The node at the address holds another cluster secret.
    #[error(
        "the node at {address} does not have the same cluster secret as this one: give every node \
         of the cluster the same (`cluster.secret` or DUNLIN_CLUSTER_SECRET), and while it is changed the \
         former one too (DUNLIN_CLUSTER_SECRET_PREVIOUS)"
    )]
    WrongSecret {
        /// Where that node is.
        address: String,
    },
    /// Another node answers at the address.
    #[error("node {found} answers at {address}, not node {expected}")]
    WrongTarget {
        /// Where it is.
        address: String,
        /// The node meant.
        expected: NodeId,
        /// The node found.
        found: NodeId,
    },
    /// The address leads back to this node.
    #[error("the call is addressed to this node itself")]
    Itself,
    /// The service's queue at the peer is full, or too many calls to the peer are under way.
    #[error("too many calls wait for the peer")]
    Busy,
    /// The body is larger than [`crate::MAX_BODY_BYTES`].
    #[error("a body of {bytes} bytes is too large for a call between nodes")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// This node is stopping.
    #[error("this node is stopping")]
    Stopping,
}

impl CallError {
    /// Whether the peer may have acted on the call.
    #[must_use]
    pub fn may_have_acted(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Lost { .. })
    }
}

/// "of cluster X" or "of no cluster", for messages.
pub(crate) fn standing(cluster: Option<ClusterId>) -> String {
    match cluster {
        Some(id) => format!("of cluster {id}"),
        None => "of no cluster yet".to_owned(),
    }
}
