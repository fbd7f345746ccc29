//! What each command does: one exhaustive match, one function for each family of commands.

mod config;
mod keys;
mod nodes;
mod spend;

use dunlin_types::UnixMillis;

use crate::command::{Command, Entry, Rejected, Reply};
use crate::state::State;

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
            return known;
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
