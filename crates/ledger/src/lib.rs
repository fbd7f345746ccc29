//! Money decided in pure code: what a model's use costs, and who may still spend how much.
//!
//! Does not know who pays, where spend is stored, how nodes agree on it, or what any model costs:
//! `state` keeps the pots, `admission` proposes what is due and settles, `prices` holds the
//! published rates. Invariants: the parts of a cost sum to its total; a total is rounded once,
//! after all its parts are summed; a model with an unknown price is never treated as free.
//!
//! For a pot: settled + unused leases + free = limit, and what a node's requests hold never exceeds
//! its lease. Spend of a strict budget therefore never exceeds its limit as long as no answer costs
//! more than was held for it; otherwise it exceeds the limit by at most those differences. Read
//! `price.rs`, then `pot.rs` and `purses.rs`.

mod allowance;
mod cost;
mod demand;
mod figures;
mod hold;
mod outputs;
mod period;
mod pot;
mod premium;
mod price;
mod proof;
mod purse;
mod purses;
mod rate;
mod recent;
mod sheet;
mod view;
mod watch;
mod yields;

pub use allowance::Allowance;
pub use cost::{Adjustment, AdjustmentError, Context, Cost, Units};
pub use demand::{Answer, Demand, Due, Held, Life, MAX_DUE, Recall, Short, Shortage};
pub use figures::Figures;
pub use hold::Ask;
pub use outputs::{MAX_LEARNED, MAX_LEARNED_MODELS, Outputs};
pub use period::{BadCalendar, BadDuration, Calendar, Every, Length, Period, expiry};
pub use pot::{Holder, Lease, Pot, Want};
pub use premium::Premiums;
pub use price::{Price, Pricing};
pub use purse::{Book, Place, Ticket};
pub use purses::{MAX_WAITING, Purses, UNRECORDED};
pub use rate::{Kind, Rate, Service};
pub use sheet::{Sheet, Tier};
pub use view::View;

#[cfg(test)]
mod tests;
