//! The format of the replicated log: which commands it may hold, and by which rules they are applied.
//!
//! During an upgrade nodes of two versions apply one log. What only the newer one knows must not be in
//! it, nor decide what becomes of an entry: the state says which format is in force, and what came
//! later waits until every member knows it and [`Command::RaiseFormat`] has said so. All that is newer
//! than the first format is named in this file: commands in [`Command::format`], rules as constants
//! that `apply` compares with [`State::format`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::command::{Command, Reply};
use crate::state::State;

/// A format of the log. A newer one has all that the older ones have. It is read only if this version
/// knows it: whoever met an unknown one and went on would apply the log by other rules than the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub struct Format(pub u32);

impl Format {
    /// The one in which every log begins.
    pub const FIRST: Self = Self(2);
    /// The newest that this version knows.
    pub const NEWEST: Self = Self(4);

    /// [`Command::HoldFormat`].
    const HOLDS: Self = Self(3);
    /// [`Command::Drain`].
    const DRAINS: Self = Self(3);
    /// A promise through a shared budget or of a single model is one, and who has promised keeps enough
    /// for it. Before, only a limit of one's own was, when it was promised.
    pub(crate) const KEEPS_PROMISES: Self = Self(3);
    /// What was not used of a lease is known when its period is over.
    pub(crate) const KEEPS_PASTS: Self = Self(3);
    /// The same when whose budget it is is deleted.
    pub(crate) const KEEPS_PASTS_OF_DELETED: Self = Self(4);
    /// Whether what was claimed is settled is known.
    pub(crate) const SETTLES_CLAIMS: Self = Self(4);
    /// What was spent counts on when a budget's duration is changed.
    pub(crate) const KEEPS_SPENT: Self = Self(4);
    /// No two users have one `sso_user_id`.
    pub(crate) const UNIQUE_SSO_IDS: Self = Self(3);
    /// The former text of a key is the key's for as long as it works, and no longer than the key.
    pub(crate) const OWNS_FORMER_TEXTS: Self = Self(3);
    /// A key that is given another text at once has no former one left.
    pub(crate) const ENDS_FORMER_TEXTS: Self = Self(4);
}

impl Default for Format {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Format {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

impl From<Format> for u32 {
    fn from(format: Format) -> Self {
        format.0
    }
}

impl TryFrom<u32> for Format {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        let format = Self(number);
        if (Self::FIRST..=Self::NEWEST).contains(&format) {
            return Ok(format);
        }
        let Format(newest) = Self::NEWEST;
        Err(format!("the log's format {number} is unknown: this version knows up to {newest}"))
    }
}

impl Command {
    /// The first format of which a log may hold it. A field that says more than an older version
    /// understands counts as much as a variant.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::HoldFormat { .. } => Format::HOLDS,
            Self::Drain { .. } => Format::DRAINS,
            Self::All { commands } => {
                commands.iter().map(Self::format).max().unwrap_or(Format::FIRST)
            }
            Self::IfUnchanged { seen: _, command } => command.format(),
            Self::Settle { claimed, .. } if !claimed.is_empty() => Format::SETTLES_CLAIMS,
            // It is proposed only when every member knows what it says.
            Self::RaiseFormat { .. }
            | Self::FormCluster { .. }
            | Self::AddNode { .. }
            | Self::SetAddress { .. }
            | Self::RemoveNode { .. }
            | Self::Reclaim { .. }
            | Self::ReclaimOf { .. }
            | Self::MarkDown { .. }
            | Self::Rest { .. }
            | Self::MarkUp { .. }
            | Self::CreateKey { .. }
            | Self::UpdateKey { .. }
            | Self::DeleteKeys { .. }
            | Self::SetBlocked { .. }
            | Self::RegenerateKey { .. }
            | Self::CreateEntity { .. }
            | Self::UpdateEntity { .. }
            | Self::DeleteEntities { .. }
            | Self::AddMembers { .. }
            | Self::UpdateMember { .. }
            | Self::PutKey { .. }
            | Self::PutEntity { .. }
            | Self::PutMember { .. }
            | Self::RemoveMembers { .. }
            | Self::MeetEndUsers { .. }
            | Self::Settle { .. }
            | Self::Lease { .. }
            | Self::CloseLives { .. }
            | Self::SetSpend { .. }
            | Self::Claim { .. }
            | Self::CountBatch { .. }
            | Self::TrueUpBatch { .. }
            | Self::SetSpendOf { .. }
            | Self::ResetSpend {}
            | Self::CreateResource { .. }
            | Self::UpdateResource { .. }
            | Self::DeleteResources { .. }
            | Self::ProposeConfig { .. }
            | Self::EditConfig { .. }
            | Self::Reseal { .. }
            | Self::RollBackConfig { .. } => Format::FIRST,
        }
    }
}

/// Nothing is raised while it is held, whichever of the two was said first, and never back.
pub(crate) fn raise(state: &mut State, to: Format) -> Reply {
    if state.format_held || to <= state.format {
        return Reply::Unchanged;
    }
    state.format = to;
    Reply::Done
}

pub(crate) fn hold(state: &mut State, held: bool) -> Reply {
    if state.format_held == held {
        return Reply::Unchanged;
    }
    state.format_held = held;
    Reply::Done
}

#[cfg(test)]
mod tests {
    use dunlin_types::NodeId;

    use super::*;

    #[test]
    fn a_command_needs_the_newest_format_of_what_is_in_it() {
        let old = || Command::MarkUp { node: NodeId(1) };
        let new = || Command::Drain { node: NodeId(1), draining: true };
        let all = |commands| Command::All { commands };
        assert_eq!(old().format(), Format::FIRST);
        assert_eq!(all(vec![old()]).format(), Format::FIRST);
        let nested = all(vec![old(), all(vec![new()])]);
        let bound = Command::IfUnchanged { seen: Vec::new(), command: Box::new(nested) };
        assert_eq!(bound.format(), Format::DRAINS);
    }
}
