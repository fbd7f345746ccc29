//! What dunlin promises while things go wrong, tried out: `sim` runs the pure crates under a seeded
//! clock and network, `live` runs real processes.
//!
//! Both have the same clients (`workload.rs`), write down what happens in the same words
//! (`history.rs`), and are judged by the same checks (`invariants/`), which know nothing else. Does
//! not know how a node works inside, except that `sim/` does with the pure crates what the edge
//! crates do. Read `history.rs` first.

mod clock;
pub mod history;
pub mod invariants;
pub mod live;
pub mod random;
pub mod report;
pub mod sim;
pub mod workload;
