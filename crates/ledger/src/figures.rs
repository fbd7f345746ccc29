//! What a node's books hold, counted.

/// Counts of a node's [`Purses`](crate::Purses), for metrics and tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Pots with books.
    pub pots: usize,
    /// Requests that hold something.
    pub holding: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Costs that are recorded and not yet settled, one for each request and pot.
    pub unsettled: usize,
}
