//! Limits decided in pure code: who counts, how much is taken, when it comes back.
mod ring;
pub use ring::{Ring, ScopeId};
