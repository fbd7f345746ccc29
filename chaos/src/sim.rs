//! Simulated nodes: the pure crates under a seeded clock and network, on one thread. The same seed
//! gives the same run, event for event.
//!
//! A node (`node.rs`) does with `State` and `Limiter` what the edge crates do with them. The log
//! between them is a model (`replica.rs`): it loses, repeats and truncates what Raft may, and keeps
//! what Raft must. Read `world.rs` first.

mod faults;
mod limits;
mod node;
mod replica;
mod settler;
mod world;

use crate::history::History;

pub use faults::{ALL as FAULTS, Fault};

/// Runs the world of a seed to its end.
#[must_use]
pub fn run(seed: u64) -> History {
    world::World::new(seed).run()
}

/// The shortest way to see the run of a seed again.
#[must_use]
pub fn replay(seed: u64) -> String {
    format!("cargo run -p dunlin-chaos -- sim --seed {seed}")
}
