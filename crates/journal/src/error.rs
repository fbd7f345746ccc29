//! What can go wrong with a journal.

use std::io;
use std::path::PathBuf;

/// A journal operation that failed. Nothing is half-written: an append that failed left no trace.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made or listed.
    #[error("the journal folder {path} cannot be opened")]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A record could not be written, for want of space perhaps.
    #[error("a record cannot be written to {path}: {source}")]
    Append {
        /// The segment.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A segment cannot be read back.
    #[error("the journal segment {path} cannot be read")]
    Read {
        /// The segment.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A segment's records are in a form that is not this version's.
    #[error(
        "this version cannot read the format of the journal segment {path}, or its first bytes are \
         damaged: let the version that wrote it settle its spend, then move the file out of the \
         folder"
    )]
    Form {
        /// The segment.
        path: PathBuf,
    },
    /// A record is longer than a segment may be.
    #[error("a record of {bytes} bytes is longer than the bound of {bound}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        bound: u32,
    },
}
