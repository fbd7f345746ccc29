//! The only reader of the clock. Everything else is handed a [`Clock`] or a `now`.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use dunlin_types::{Clock, MonoMillis, UnixMillis};

/// The machine's clocks. Monotonic time counts from this call.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(crate) fn system() -> Clock {
    let origin = Instant::now();
    Clock::new(
        || UnixMillis(millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())),
        move || MonoMillis(millis(origin.elapsed())),
    )
}

fn millis(passed: std::time::Duration) -> u64 {
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}
