//! What each command does: one exhaustive match, one function for each family of commands.

mod config;
mod keys;
mod nodes;
mod spend;

use std::sync::Arc;

use dunlin_types::{KeyDigest, NodeId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::command::{Command, Entry};
use crate::key::Key;
use crate::state::State;

/// What a command brought about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// It was so already, or was overtaken.
    Unchanged,
    /// The key as it is now.
    Key(Arc<Key>),
    /// The keys that were deleted.
    Deleted(Vec<KeyDigest>),
    /// The config revision that holds the proposed content.
    Revision(u64),
}

/// Why a command changed nothing. A reply, not an error: all nodes reject alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejected {
    /// Another key has the alias.
    #[error("a key with alias `{alias}` exists already")]
    DuplicateAlias {
        /// The alias.
        alias: String,
    },
    /// A key with the same hash exists, or existed.
    #[error("this key exists already")]
    KeyExists,
    /// No key has the hash.
    #[error("the key does not exist")]
    UnknownKey,
    /// The node is no member.
    #[error("node {node} is not a member of this cluster")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The cluster has its name already.
    #[error("the cluster is formed already")]
    AlreadyFormed,
    /// The proposer had not seen the newest revision.
    #[error("config revision {newest} was accepted in between")]
    StaleRevision {
        /// The newest revision.
        newest: u64,
    },
    /// The content is that of an older revision.
    #[error("this is the config of revision {revision}, and {newest} is in force")]
    OldRevision {
        /// The revision that had this content.
        revision: u64,
        /// The newest revision.
        newest: u64,
    },
}

impl State {
    /// Applies the log's entry `index`, which its leader stamped with `at`. Time never goes back.
    /// An entry that was applied before, under another index, gives the result it gave then.
    ///
    /// # Errors
    /// [`Rejected`]: nothing changed but the index and the time.
    pub fn apply(&mut self, index: u64, at: UnixMillis, entry: &Entry) -> Result<Reply, Rejected> {
        self.applied = index;
        self.at = self.at.max(at);
        if let Some(known) = self.results.find(entry.id) {
            return known.clone();
        }
        let result = self.carry_out(entry);
        self.results.remember(entry.id, result.clone());
        result
    }

    /// Moves past an entry of the log that carries no command.
    pub fn skip(&mut self, index: u64) {
        self.applied = index;
    }

    fn carry_out(&mut self, entry: &Entry) -> Result<Reply, Rejected> {
        match &entry.command {
            Command::FormCluster { cluster } => nodes::form(self, *cluster),
            Command::AddNode { node, address } => nodes::add(self, *node, address),
            Command::SetAddress { node, address } => nodes::set_address(self, *node, address),
            Command::RemoveNode { node } => nodes::remove(self, *node),
            Command::MarkDown { node } => nodes::mark(self, *node, true),
            Command::MarkUp { node } => nodes::mark(self, *node, false),
            Command::CreateKey { key } => keys::create(self, key),
            Command::UpdateKey { token, changes } => keys::update(self, *token, changes),
            Command::DeleteKeys { tokens } => keys::delete(self, tokens),
            Command::SetBlocked { token, blocked } => keys::set_blocked(self, *token, *blocked),
            Command::Settle { node, epoch, from, to, spends } => {
                spend::settle(self, *node, (*epoch, *from), *to, spends)
            }
            Command::ProposeConfig { hash, sealed, source, after } => {
                let by = entry.id.node;
                config::propose(self, config::Proposal { hash, sealed, source, after: *after, by })
            }
        }
    }
}

#[cfg(test)]
mod tests;
