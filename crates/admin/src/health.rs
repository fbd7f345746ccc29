//! Whether models answer, and whether this node should be sent requests.

pub(crate) mod checks;
pub(crate) mod readiness;
