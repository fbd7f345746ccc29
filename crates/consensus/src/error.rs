//! Why this node cannot take part in the cluster, in words for the person who runs it.

use std::io;
use std::path::PathBuf;

use dunlin_types::{ClusterId, NodeId};

/// Consensus could not be started or went on. Every variant names its way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory or a file in it cannot be made, read, written or synced.
    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said: part of the text, because the log has no other place for it.
        cause: io::Error,
    },

    /// Another process holds the data directory.
    #[error(
        "{} is in use by another dunlin process: stop it, or give this node its own --data-dir",
        path.display()
    )]
    InUse {
        /// The lock file.
        path: PathBuf,
    },

    /// The birth certificate cannot be understood.
    #[error(
        "{} is damaged ({reason}): move the data directory away and start again; \
         this node then joins as a new one and copies the state from its peers",
        path.display()
    )]
    DamagedCertificate {
        /// The certificate.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A log is there, but nothing says whose it is.
    #[error(
        "{} holds a log but no birth certificate: move the data directory away and start again; \
         this node then joins as a new one",
        path.display()
    )]
    NoCertificate {
        /// The data directory.
        path: PathBuf,
    },

    /// The data directory was copied from another one.
    #[error(
        "{} is a copy of the data directory of node {node}: two nodes must never share an id. \
         Start with an empty --data-dir to join as a new node. Only if the original is gone for \
         good and the copy is complete, delete {}/lock to make the copy the original",
        path.display(), path.display()
    )]
    Copied {
        /// The data directory.
        path: PathBuf,
        /// The node it belonged to.
        node: NodeId,
    },

    /// The log holds less than this node had made durable: a voter that forgets breaks the promise
    /// of the whole cluster.
    #[error(
        "{} has lost data: {lost}. A node that forgets its votes and entries must not come back \
         under its old id: move the data directory away and start again; \
         this node then joins as a new one and copies the state from its peers",
        path.display()
    )]
    Emptied {
        /// The log's directory.
        path: PathBuf,
        /// What is missing.
        lost: String,
    },

    /// The log belongs to another node or cluster.
    #[error(
        "{} belongs to {found}, not to {expected}: give each node its own --data-dir",
        path.display()
    )]
    Foreign {
        /// The log's directory.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Who this node is.
        expected: String,
    },

    /// A stored record cannot be read back as it was written.
    #[error(
        "{} is damaged: {reason}. Move the data directory away and start again; \
         this node then joins as a new one and copies the state from its peers",
        path.display()
    )]
    Corrupt {
        /// The damaged file or directory.
        path: PathBuf,
        /// Which record, and what is wrong with it.
        reason: String,
    },

    /// A stored record is whole, and of another version.
    #[error(
        "{} was written by another version of dunlin ({reason}). Nothing is lost, and nothing was \
         changed: start this node with the version that wrote it, or a newer one",
        path.display()
    )]
    OtherVersion {
        /// The file or directory.
        path: PathBuf,
        /// Which record, and what this version does not know.
        reason: String,
    },

    /// The Raft core did not start.
    #[error("raft did not start: {reason}")]
    Raft {
        /// What the core said.
        reason: String,
    },

    /// The set this node would have formed a cluster with has given it up.
    #[error(
        "most of the nodes that were to form cluster {cluster} gave it up: start this node again, \
         and it joins the others"
    )]
    Voided {
        /// The cluster that will never be.
        cluster: ClusterId,
    },

    /// There is nothing to recover from.
    #[error(
        "{} is not the data directory of a cluster member: name that of a surviving node",
        path.display()
    )]
    NoMember {
        /// The data directory.
        path: PathBuf,
    },

    /// A cluster of one has its majority.
    #[error("node {node} is the only voter of its cluster, so nothing is lost: start it as usual")]
    NothingLost {
        /// The node.
        node: NodeId,
    },

    /// The cluster knew this node and removed it.
    #[error("node {node} is no longer part of cluster {cluster}: {why}")]
    Removed {
        /// This node.
        node: NodeId,
        /// The cluster that removed it.
        cluster: ClusterId,
        /// When and by whom, and what to do.
        why: String,
    },
}

impl Error {
    /// A closure for `map_err`: what was tried, on which path.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { action, path, cause }
    }
}
