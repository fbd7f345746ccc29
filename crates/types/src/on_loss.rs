//! What limits do while nobody can tell what others admitted.

use serde::{Deserialize, Serialize};

/// What a limit does while nodes are lost.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// The side with the quorum has the whole limit; a node that reaches no owner has its share.
    #[default]
    Full,
    /// Each side has its shares, and for a minute after a loss no more than what nobody can have
    /// taken: never more than the limit, whatever is lost.
    Share,
    /// The side with the quorum has the whole limit; a node that reaches no owner admits nothing.
    Closed,
    /// A node that reaches no owner admits everything.
    Open,
}

impl OnLoss {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Full, Self::Share, Self::Closed, Self::Open];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Share => "share",
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }

    /// What is written so.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}
