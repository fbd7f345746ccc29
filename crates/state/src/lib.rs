//! The state that every node holds alike: keys, settled spend, members, config revisions.
//!
//! Does not know Raft, time or other nodes: it is handed log entries in order, each with the time
//! its leader stamped on it, and answers what became of them. Invariants: applying the same
//! entries gives the same state everywhere; a rejected command changes nothing; settled spend is
//! conserved, whatever becomes of its key; publishing costs a few pointers, because the maps are
//! persistent. Read `command.rs` (the log format), then `state.rs` and `apply.rs`.

mod apply;
mod caller;
mod command;
mod deleted;
mod results;
mod snapshot;
mod state;

pub use caller::{Caller, Refusal};
pub use command::{
    Change, Command, CommandId, DecodeError, Entry, FORMAT, Key, KeyChanges, KeySpend, Rejected,
    Reply,
};
pub use snapshot::{BadSnapshot, ConfigRevision, Member, Spent};
pub use state::State;

#[cfg(test)]
mod tests;
