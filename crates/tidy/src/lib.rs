//! The rules of the tree that no compiler checks, as tests: `cargo test -p dunlin-tidy`.
//!
//! Knows the files of this repository as text and nothing of what they do. The one rule that is
//! data lives where people read it: which crate may use which is the table in `crates/README.md`.
//! Each check collects all it finds; each finding says where, what, and how to mend it. Read
//! `tree.rs` first.

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod lints;
#[cfg(test)]
mod names;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tree;
