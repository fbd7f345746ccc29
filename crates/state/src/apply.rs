//! What each command does: one exhaustive match, one function for each family of commands.

mod audit;
mod batched;
mod claims;
mod config;
mod durations;
mod entities;
mod keys;
mod met;
mod money;
mod nodes;
mod promised;
mod recovery;
mod reseal;
mod resources;
mod seen;

use dunlin_types::{EntityId, NodeId, UnixMillis};

use crate::claims::Claim;
use crate::command::{Command, Entry, Rejected, Reply, Seen};
use crate::format::{self, Format};
use crate::payer::FIRST_ROW;
use crate::state::State;

pub use recovery::RECOVERED_BY;

impl State {
    /// Applies the log's entry `index`, which its leader stamped with `at`. Time never goes back.
    /// An entry that was applied before, under another index, gives the result it gave then.
    ///
    /// # Errors
    /// [`Rejected`]: nothing changed but the index and the time.
    pub fn apply(&mut self, index: u64, at: UnixMillis, entry: &Entry) -> Result<Reply, Rejected> {
        self.applied = index;
        self.at = self.at.max(at);
        if let Some(removed) = self.removed.get(&entry.id.node)
            && !matches!(entry.command, Command::Settle { .. })
        {
            return Err(Rejected::NodeRemoved { node: entry.id.node, by: removed.by.clone() });
        }
        if let Some(known) = self.results.find(entry.id) {
            return known;
        }
        // A clone costs a few pointers, so a rejected command has nothing to undo.
        let mut next = self.clone();
        let result = next.command(entry.id.node, &entry.command);
        if result.is_ok() {
            config::sign(self, &mut next, entry.actor.as_deref());
            audit::record(self, &mut next, entry);
            *self = next;
        }
        self.results.remember(entry.id, result.clone());
        if self.removed.contains_key(&entry.id.node) {
            self.results.forget(entry.id.node);
        }
        result
    }

    /// Moves past an entry of the log that carries no command.
    pub fn skip(&mut self, index: u64) {
        self.applied = index;
    }

    #[expect(clippy::too_many_lines, reason = "a line or so for each command")]
    fn command(&mut self, by: NodeId, command: &Command) -> Result<Reply, Rejected> {
        match command {
            Command::FormCluster { cluster } => nodes::form(self, *cluster),
            Command::RaiseFormat { to } => Ok(format::raise(self, *to)),
            Command::HoldFormat { held } => Ok(format::hold(self, *held)),
            Command::AddNode { node, address } => nodes::add(self, *node, address),
            Command::SetAddress { node, address } => nodes::set_address(self, *node, address),
            Command::RemoveNode { node, by } => nodes::remove(self, *node, by),
            Command::Reclaim { node } => nodes::reclaim(self, *node),
            Command::ReclaimOf { node, whose } => money::reclaim_of(self, *node, whose),
            Command::MarkDown { node } => nodes::mark(self, *node, true),
            Command::Rest { node, resting } => nodes::rest(self, *node, *resting),
            Command::Drain { node, draining: _ } => nodes::drain(self, *node),
            Command::MarkUp { node } => nodes::mark(self, *node, false),
            Command::CreateKey { key } => keys::create(self, key),
            Command::UpdateKey { token, changes } => keys::update(self, *token, changes),
            Command::DeleteKeys { tokens } => keys::delete(self, tokens),
            Command::SetBlocked { token, blocked } => keys::set_blocked(self, *token, *blocked),
            Command::RegenerateKey { token, new, name, grace, changes } => {
                let text = keys::NewText { token: *new, name, grace: *grace };
                keys::regenerate(self, *token, &text, changes)
            }
            Command::CreateEntity { entity, members } => entities::create(self, entity, members),
            Command::UpdateEntity { kind, name, changes } => {
                entities::update(self, *kind, name, changes)
            }
            Command::DeleteEntities { kind, names } => entities::delete(self, *kind, names),
            Command::AddMembers { kind, name, members } => {
                entities::add_members(self, *kind, name, members)
            }
            Command::UpdateMember { kind, name, user, changes } => {
                entities::update_member(self, (*kind, name, user), changes)
            }
            Command::PutKey { key, over } => keys::put_over(self, key, *over),
            Command::PutEntity { entity, over } => entities::put_over(self, entity, *over),
            Command::PutMember { kind, name, member, over } => {
                entities::put_member(self, *kind, name, member, *over)
            }
            Command::RemoveMembers { kind, name, users } => {
                entities::remove_members(self, *kind, name, users)
            }
            Command::MeetEndUsers { names } => met::meet(self, names),
            Command::All { commands } => self.all(by, commands),
            Command::IfUnchanged { seen, command } => self.if_unchanged(by, seen, command),
            Command::Settle { node, epoch, from, to, charges, days, claimed } => {
                money::settle(self, *node, (*epoch, *from), *to, (charges, days, claimed))
            }
            Command::Lease { node, epoch, number, returns, grants } => {
                money::lease(self, *node, (*epoch, *number), returns, grants)
            }
            Command::CloseLives { node, through } => Ok(money::close(self, *node, *through)),
            Command::SetSpend { pot, period, to } => money::set_spend(self, pot, *period, *to),
            Command::Claim { request, made, by } => {
                // Until then nobody says when it is.
                let settled = self.format < Format::SETTLES_CLAIMS;
                claims::claim(self, *request, Claim { made: *made, by: *by, settled })
            }
            Command::CountBatch { whose, tokens } => batched::count(self, whose, *tokens),
            Command::TrueUpBatch { batch } => batched::true_up(self, batch),
            Command::SetSpendOf { whose, period, to } => {
                money::set_spend_of(self, whose, *period, *to)
            }
            Command::ResetSpend {} => Ok(money::reset(self)),
            Command::CreateResource { resource } => resources::create(self, resource),
            Command::UpdateResource { change } => resources::update(self, change),
            Command::DeleteResources { kind, ids } => resources::delete(self, *kind, ids),
            Command::ProposeConfig { hash, sealed, source, after } => {
                config::propose(self, config::Proposal { hash, sealed, source, after: *after, by })
            }
            Command::EditConfig { hash, sealed, source, after, changes: _ } => {
                config::edit(self, config::Proposal { hash, sealed, source, after: *after, by })
            }
            Command::Reseal { secret, revisions, resources, fields } => {
                Ok(reseal::reseal(self, secret, (revisions, resources, fields)))
            }
            Command::RollBackConfig { to, after } => config::roll_back(self, *to, *after, by),
        }
    }

    fn if_unchanged(
        &mut self,
        by: NodeId,
        seen: &[Seen],
        command: &Command,
    ) -> Result<Reply, Rejected> {
        seen::check(self, seen)?;
        self.command(by, command)
    }

    fn all(&mut self, by: NodeId, commands: &[Command]) -> Result<Reply, Rejected> {
        let replies = commands.iter().map(|command| self.command(by, command));
        Ok(Reply::All(replies.collect::<Result<_, _>>()?))
    }

    /// When something was made that may have an age of its own. Nothing is older than it can be.
    fn age(&self, of: UnixMillis) -> UnixMillis {
        if of == UnixMillis(0) { self.at } else { of.min(self.at) }
    }

    /// A number that nothing had before.
    fn next_id(&mut self) -> EntityId {
        self.numbered = self.numbered.max(FIRST_ROW - 1) + 1;
        EntityId(self.numbered)
    }
}

#[cfg(test)]
mod tests;
