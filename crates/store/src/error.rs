//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;

use dunlin_types::NodeId;

use crate::MAX_BODY_BYTES;

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made or listed.
    #[error("the store's folder {path} cannot be opened")]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A segment cannot be read.
    #[error("the store's segment {path} cannot be read")]
    Read {
        /// The segment.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A body that nobody holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// It is too long.
    #[error("a body of {bytes} bytes is longer than the {MAX_BODY_BYTES} that are stored")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Neither of its holders could take it.
    #[error("no node could store it: {reason}")]
    Failed {
        /// What both said.
        reason: String,
    },
}

/// Who may have a body, and cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Each with the reason.
    pub away: Vec<(NodeId, String)>,
}
