//! Published data about models: their providers, limits, rates and abilities, as a table that is
//! compiled in. An operator may replace it by a file of the same form, or by LiteLLM's own price
//! list.
//!
//! Does not know files, deployments or requests: the node passes in a text, `config` asks for a
//! model. Holds no state: a [`Table`] is a value, built once by the edge and shared. Invariants: a
//! look-up allocates nothing; a model without a known price is unpriced, never free, unless it runs
//! on the operator's own machines. Read `table.rs` first, then the head of `table.txt`.

mod facts;
mod litellm;
mod lookup;
mod table;
mod text;

pub use facts::{Ability, Day, Facts, Mode};
pub use lookup::{Asked, is_self_hosted};
pub use table::{Table, TableError, Why};

#[cfg(test)]
mod tests;
