//! What was used and spent: the request log and the daily totals, as far as a caller may see them.

pub(crate) mod activity;
pub(crate) mod log_query;
pub(crate) mod usage;
