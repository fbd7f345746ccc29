//! What is stored, as answers show it.

pub(crate) mod audited;
pub(crate) mod content;
pub(crate) mod entities;
pub(crate) mod log_row;
pub(crate) mod row;
