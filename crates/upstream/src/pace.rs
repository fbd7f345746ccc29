//! How fast a backend answers this node, for routing by latency.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_types::MonoMillis;

/// The part of a new measurement in the mean.
const NEW_SHARE: u64 = 8;
/// An older mean says nothing: whoever was slow is tried again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
/// What an answer that did not come in time counts as: LiteLLM's thousand seconds.
pub(crate) const TOO_LATE: Duration = Duration::from_secs(1000);

/// A running mean of times.
#[derive(Default)]
pub(crate) struct Pace {
    /// Zero: none was measured.
    mean_us: AtomicU64,
    at_ms: AtomicU64,
}

impl Pace {
    /// Takes in how long one answer took. Two at once may lose one of the two: it is a mean.
    pub(crate) fn measured(&self, took: Duration, now: MonoMillis) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let mean = match self.mean(now) {
            Some(_) => {
                let mean = self.mean_us.load(Ordering::Relaxed);
                mean.saturating_mul(NEW_SHARE - 1).saturating_add(took) / NEW_SHARE
            }
            None => took,
        };
        self.mean_us.store(mean.max(1), Ordering::Relaxed);
        self.at_ms.store(now.0, Ordering::Relaxed);
    }

    pub(crate) fn mean(&self, now: MonoMillis) -> Option<Duration> {
        let mean = self.mean_us.load(Ordering::Relaxed);
        let at = MonoMillis(self.at_ms.load(Ordering::Relaxed));
        (mean > 0 && now.since(at) < FORGOTTEN_AFTER).then(|| Duration::from_micros(mean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_what_is_measured_and_is_forgotten() {
        let (pace, now) = (Pace::default(), MonoMillis(1_000));
        assert_eq!(pace.mean(now), None);
        pace.measured(Duration::from_millis(100), now);
        assert_eq!(pace.mean(now), Some(Duration::from_millis(100)), "the first one is the mean");
        pace.measured(Duration::from_millis(900), now);
        assert_eq!(pace.mean(now), Some(Duration::from_millis(200)));
        assert_eq!(pace.mean(now.plus(FORGOTTEN_AFTER)), None);
    }
}
