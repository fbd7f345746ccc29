//! Why what is stored, or sent, cannot be read: damage, or another version's work. The two are told
//! apart because the ways out are opposite: what is damaged is given up and copied from the peers, and
//! what another version wrote is whole.

use std::path::PathBuf;

use crate::error::Error;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// It is what was written, in words that this version does not know.
    #[error("{0}")]
    OtherVersion(String),
}

impl Unreadable {
    /// Sound JSON of another meaning is another version's; all else is damaged.
    pub(crate) fn json(what: &str, error: &serde_json::Error) -> Self {
        let reason = format!("{what}: {error}");
        if error.is_data() { Self::OtherVersion(reason) } else { Self::Damaged(reason) }
    }

    /// The same of a part, which `part` names.
    pub(crate) fn of(self, part: impl std::fmt::Display) -> Self {
        match self {
            Self::Damaged(reason) => Self::Damaged(format!("{part}: {reason}")),
            Self::OtherVersion(reason) => Self::OtherVersion(format!("{part}: {reason}")),
        }
    }

    /// Why the node does not start.
    pub(crate) fn at(self, path: impl Into<PathBuf>) -> Error {
        let path = path.into();
        match self {
            Self::Damaged(reason) => Error::Corrupt { path, reason },
            Self::OtherVersion(reason) => Error::OtherVersion { path, reason },
        }
    }
}

impl From<String> for Unreadable {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}

impl From<&str> for Unreadable {
    fn from(reason: &str) -> Self {
        Self::Damaged(reason.to_owned())
    }
}
