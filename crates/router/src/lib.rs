//! Where a request goes, decided in pure code: catalog + health + load + request → the chosen
//! deployment.
//!
//! Does not know HTTP, clocks or other nodes: its caller passes in what has been seen, the time and
//! a seed. Invariants: a parked deployment is never picked; a key never reaches a model it may not
//! call through another name for it; the same arguments give the same pick on every node. Read
//! `catalog.rs`, then `candidates.rs` and `pick.rs`.

mod access;
mod by_error;
mod candidates;
mod catalog;
mod context;
mod draw;
mod health;
mod pass_through;
mod pick;
mod region;
pub mod relay;
mod served;
mod tags;
pub mod tool_models;
mod wait;
mod wildcard;

pub use access::{Access, MAX_BOUNDS};
pub use by_error::{AllowedFails, ByError, ErrorClass, RetryPolicy};
pub use candidates::{Candidate, Candidates, FailedBy, NoRoute, candidates, group, listed};
pub use catalog::{
    About, Alias, BackendId, Catalog, Deployment, DeploymentLimits, Group, HealthCheck, Keepalive,
    KeyLimits, Retry, Strategy, TeamGroups, Weight, is_beside,
};
pub use context::{context, service, tells_costs};
pub use health::{Cooldown, Outcome, Reach, Rules};
pub use pass_through::{PassThrough, find as find_pass_through};
pub use pick::{NonePicked, Seen, decay, pick, warmth};
pub use region::Region;
pub use served::{is_served_as, served};
pub use tags::TagFilter;
pub use wait::retry_wait;
pub use wildcard::matches;

#[cfg(test)]
mod tests;
