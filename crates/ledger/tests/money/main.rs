//! Pots and purses together, as a cluster would use them.

mod budgets;
mod cluster;
mod model;
mod promises;
mod proofs;
mod rush;
mod turns;
mod walks;
mod world;
