//! The only reader of the clock here: what happens to real processes is written down with its time.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "a tool that times what it does to real processes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
