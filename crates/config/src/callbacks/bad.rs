//! Why a receiver cannot be sent to, in words that name what was written.

use super::CallbackKind;

/// Why a receiver cannot be sent to. No value is in it: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReceiver {
    /// Something is missing without which nothing can be sent.
    #[error("{0} is not set")]
    Missing(String),
    /// A value that cannot be used.
    #[error("{0} {1}")]
    Wrong(String, &'static str),
    /// A variable that it does not have.
    #[error("`{name}` is not a variable of {}: {near}", kind.name())]
    Unknown {
        /// The variable.
        name: String,
        /// Whose it is not.
        kind: CallbackKind,
        /// What may have been meant.
        near: String,
    },
}

impl BadReceiver {
    pub(super) fn missing(name: &str) -> Self {
        Self::Missing(name.to_owned())
    }

    pub(super) fn wrong(name: &str, must: &'static str) -> Self {
        Self::Wrong(name.to_owned(), must)
    }

    /// The same of what somebody wrote under `names`, which need not be in large letters; what he
    /// did not write is named in small ones.
    pub(super) fn in_words_of<'n>(self, mut names: impl Iterator<Item = &'n str>) -> Self {
        self.renamed(|name| {
            let written = names.find(|written| written.eq_ignore_ascii_case(name));
            written.map_or_else(|| name.to_ascii_lowercase(), str::to_owned)
        })
    }

    pub(super) fn renamed(self, mut to: impl FnMut(&str) -> String) -> Self {
        match self {
            Self::Missing(name) => Self::Missing(to(&name)),
            Self::Wrong(name, must) => Self::Wrong(to(&name), must),
            Self::Unknown { .. } => self,
        }
    }
}
