//! How long to wait before the next attempt.

use std::time::Duration;

use crate::catalog::Retry;
use crate::draw::Draw;

/// The first wait when nobody says how long; it doubles with each attempt.
const FIRST: Duration = Duration::from_millis(500);
/// No computed wait is longer.
const LONGEST: Duration = Duration::from_secs(8);
/// An upstream's own word is followed up to here.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// Random time added to every wait, so that nodes do not retry in step.
const JITTER: Duration = Duration::from_millis(750);

/// The wait before attempt number `attempt` (2 is the first retry). None at all when another
/// deployment is healthy, so that a failover costs no time.
#[must_use]
pub fn retry_wait(
    retry: &Retry,
    attempt: u32,
    another_is_healthy: bool,
    asked: Option<Duration>,
    seed: u64,
) -> Duration {
    if another_is_healthy {
        return Duration::ZERO;
    }
    let asked = asked.filter(|asked| !asked.is_zero() && *asked <= LONGEST_ASKED);
    let doubled = FIRST.saturating_mul(1 << attempt.saturating_sub(2).min(8));
    let wait = asked.unwrap_or_else(|| doubled.max(retry.retry_after).min(LONGEST));
    wait + JITTER.mul_f64(Draw::new(seed).unit())
}
