//! The rules of the tree that no compiler checks, as tests: `cargo test -p dunlin-tidy`.
//!
//! Knows the files of this repository as text and nothing of what they do. The only rule that is
//! data is the table in `crates/README.md`, which says which crate may use which. Each check
//! collects everything it finds; each finding says where, what, and how to mend it. Read `tree.rs`
//! first.

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
