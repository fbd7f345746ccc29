//! The state that every node holds alike: keys, settled spend, members, config revisions.
//!
//! Does not know Raft, time or other nodes: it is handed log entries in order, each with the time
//! its leader stamped on it, and answers what became of them. Invariants: applying the same
//! entries gives the same state everywhere; a rejected command changes nothing; publishing costs a
//! pointer, because the maps are persistent. Read `command.rs` (the log format) and `state.rs`.

mod apply;
mod command;
mod key;
mod results;
mod snapshot;
mod state;

pub use apply::{Rejected, Reply};
pub use command::{Command, CommandId, DecodeError, Entry, FORMAT, KeySpend};
pub use key::{Caller, Change, Key, KeyChanges, Refusal};
pub use snapshot::BadSnapshot;
pub use state::{ConfigRevision, Member, State};
