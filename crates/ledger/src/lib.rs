//! Money decided in pure code: what a model's tokens cost.
//!
//! Does not know who pays, where spend is stored or how nodes agree on it: `state` keeps settled
//! spend, `admission` settles it. Invariant: a cost is rounded once, after all its parts are
//! summed. Read `price.rs`.

mod price;

pub use price::Price;
