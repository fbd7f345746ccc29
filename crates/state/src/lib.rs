//! The state that every node holds alike: keys and their owners, budgets and settled spend, the
//! cluster's nodes, config revisions, models and credentials set over the API.
//!
//! Does not know Raft, time or other nodes: it gets log entries in order, each stamped with the
//! leader's time, and returns each outcome. Invariants: applying the same entries gives the same
//! state everywhere; a rejected command changes nothing; settled spend is conserved, whatever
//! becomes of its key; a change made by someone is in the audit log in the same step; publishing
//! costs a few pointers, because the maps are persistent. Read `command.rs` (the log format), then
//! `state.rs` and `apply.rs`.

mod apply;
mod audit;
mod batched;
mod caller;
mod claims;
mod command;
mod days;
mod format;
mod kept;
pub mod met;
mod past;
mod payer;
mod results;
pub mod routes;
mod settled;
mod sight;
mod snapshot;
mod state;
mod unique;

pub use apply::RECOVERED_BY;
pub use audit::{
    Action, Actor, AuditLink, AuditLog, AuditRow, BrokenChain, MAX_AUDIT_BYTES, MAX_AUDIT_ROWS,
    Table,
};
pub use caller::{Caller, Refusal};
pub use command::{
    Change, Charge, Command, CommandId, Day, DaySums, DecodeError, Entity, EntityChanges, Entry,
    Facets, Grant, Key, KeyChanges, Kind, MAX_DAY_NAME_BYTES, Member, MemberChanges, ModelBudget,
    Rejected, Renewal, Reply, ResealedField, ResealedResource, ResealedRevision, Resource,
    ResourceChange, ResourceKind, Return, SealedFor, Seen, SettingChange, Spender, Temporary,
    Terms, TermsChanges, Totals, UsedBatch,
};
pub use days::{
    Book, DAYS_KEPT, Days, MAX_LABELLED_ROWS_A_DAY, MAX_MODELS_A_DAY, MAX_ROWS_A_DAY, Symbol,
};
pub use format::Format;
pub use payer::{
    Budget, DEPLOYMENTS, PROVIDERS, PROXY, Payer, Rank, TAGS, is_of_config, is_rolling,
};
pub use settled::{Settled, Stretch};
pub use sight::LEADING;
pub use snapshot::{BadSnapshot, ClusterNode, ConfigRevision, FormerCluster, RemovedNode, Spent};
pub use state::State;

#[cfg(test)]
mod tests;
