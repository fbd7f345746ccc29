//! How busy a backend is, by this node's own count and by what peers said a while ago.

use std::time::Duration;

/// How much of a count that is `age` old still holds, from 1 to 0, where requests take
/// `mean_service` on average: of eight-second chats all are still there after 100 ms, of 40 ms
/// embeddings none.
#[must_use]
pub fn decay(age: Duration, mean_service: Duration) -> f64 {
    if mean_service.is_zero() {
        return if age.is_zero() { 1.0 } else { 0.0 };
    }
    (-age.as_secs_f64() / mean_service.as_secs_f64()).exp()
}

/// A running mean that follows change: each observation weighs a tenth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean(Option<f64>);

impl Mean {
    const WEIGHT: f64 = 0.1;

    /// Takes one observation in.
    pub fn observe(&mut self, observed: Duration) {
        let observed = observed.as_secs_f64();
        self.0 = Some(self.0.map_or(observed, |mean| mean + (observed - mean) * Self::WEIGHT));
    }

    /// The mean; `None` before the first observation.
    #[must_use]
    pub fn get(self) -> Option<Duration> {
        self.0.map(Duration::from_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_requests_make_old_counts_good() {
        let at =
            |age_ms, mean_ms| decay(Duration::from_millis(age_ms), Duration::from_millis(mean_ms));
        assert!(at(100, 8_000) > 0.98);
        assert!(at(100, 40) < 0.1);
        assert!(at(0, 0) > 0.99 && at(1, 0) < 0.01);
    }

    #[test]
    fn a_mean_starts_at_its_first_observation_and_follows() {
        let mut mean = Mean::default();
        assert_eq!(mean.get(), None);
        mean.observe(Duration::from_secs(1));
        assert_eq!(mean.get(), Some(Duration::from_secs(1)));
        (0..100).for_each(|_| mean.observe(Duration::from_secs(3)));
        assert!(mean.get() > Some(Duration::from_millis(2_900)));
    }
}
