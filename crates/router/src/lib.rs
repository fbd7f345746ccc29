//! Where a request goes, decided in pure code: catalog, health and load in, a pick out.
//!
//! Does not know HTTP, gossip or who a caller is beyond what it may call. Invariants: the same
//! inputs and seed give the same pick; a parked deployment is never picked; a hint from a peer
//! alone never leaves a request without a deployment. Read `catalog.rs` for the nouns, then
//! `candidates.rs` and `pick.rs`.

mod access;
mod candidates;
mod catalog;
mod health;
mod load;
mod pattern;
mod pick;

pub use access::Access;
pub use candidates::{Candidates, FallbackChoice, NoRoute, candidates, listed};
pub use catalog::{Alias, BackendId, Catalog, Deployment, Group, Retry, Strategy, Weight};
pub use health::{CooldownRules, Health, HealthState, Outcome, Reach};
pub use load::{Mean, decay};
pub use pattern::is_pattern;
pub use pick::{NonePicked, Seen, pick};
