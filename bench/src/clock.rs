//! The only reader of the clock here: a benchmark measures time and nothing else depends on it.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "this is what a benchmark measures with")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
