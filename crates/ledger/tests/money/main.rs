//! Pots and purses together, as a cluster would use them.

mod budgets;
mod world;
