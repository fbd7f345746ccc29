//! The replicated state of the cluster: one Raft log, applied alike on every node, published as an
//! immutable `Arc<State>`.
//!
//! Knows nothing of HTTP, the meaning of keys, or money: commands are decided in `dunlin_state` and
//! carried here. Invariants: what was acknowledged is durable on a quorum of disks, and a disk
//! reports durability only after a sync; a node never votes with a log shorter than its
//! certificate; two halves of a network never both form a cluster; a command takes effect once.
//! openraft and sled end here.
//!
//! Read `consensus.rs` first (the handle and a node's life), then `bootstrap.rs` (how a cluster
//! begins) and `log_store.rs` (what durable means).

mod addresses;
mod autopilot;
mod bootstrap;
mod certificate;
mod cluster_time;
mod compaction;
mod consensus;
mod durable;
mod error;
mod format;
mod formation;
mod freshness;
mod hand_over;
mod identity;
mod incoming;
mod log_store;
mod machine;
mod metrics;
mod network;
mod node;
mod propose;
mod raft;
mod recovery;
mod removal;
mod service;
mod snapshot;
mod staleness;
mod unreadable;
mod wire;

pub use consensus::{Calls, Config, Consensus, Role, Status};
pub use error::Error;
pub use format::{FormatStatus, NeedsFormat};
pub use identity::Identity;
pub use metrics::METRICS;
pub use propose::{NoQuorum, ProposeError};
pub use recovery::{Known, Position, Recovery};
pub use removal::{RemovalRefused, RemoveError};

#[cfg(test)]
mod tests;
