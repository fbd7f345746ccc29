//! Money decided in pure code: what a model's use costs.
//!
//! Does not know who pays, where spend is stored, how nodes agree on it, or what any model costs:
//! `state` keeps settled spend, `admission` settles it, `prices` holds the published rates.
//! Invariants: the parts of a cost sum to its total; a total is rounded once, after all its parts
//! are summed; a model whose price nobody knows is never taken for one that is free. Read
//! `price.rs`.

mod cost;
mod price;
mod rate;
mod sheet;

pub use cost::{Adjustment, AdjustmentError, Context, Cost, Units};
pub use price::{Price, Pricing};
pub use rate::{Kind, Rate, Service};
pub use sheet::{Sheet, Tier};

#[cfg(test)]
mod tests;
