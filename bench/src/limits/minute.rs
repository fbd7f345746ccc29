//! The minute in which most was let through.

use std::time::Duration;

pub(super) const WINDOW: Duration = Duration::from_secs(60);

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Minute {
    pub(super) from: Duration,
    pub(super) count: u64,
}

impl Minute {
    /// Of moments in their order. The worst minute begins with one of them.
    pub(super) fn worst(times: &[Duration]) -> Self {
        let mut worst = Self::default();
        for (first, from) in times.iter().enumerate() {
            let behind = &times[first..];
            let count = behind.partition_point(|at| Self::holds(*from, *at)) as u64;
            if count > worst.count {
                worst = Self { from: *from, count };
            }
        }
        worst
    }

    /// Whether the minute from one moment on holds another one.
    pub(super) fn holds(from: Duration, at: Duration) -> bool {
        (from..from + WINDOW).contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_minute_ends_before_its_sixtieth_second() {
        let at = |millis: &[u64]| -> Vec<Duration> {
            millis.iter().map(|ms| Duration::from_millis(*ms)).collect()
        };
        assert_eq!(Minute::worst(&[]).count, 0);
        let spread = at(&[0, 59_999, 60_000, 60_001, 119_999]);
        let expected = Minute { from: Duration::from_millis(59_999), count: 3 };
        assert_eq!(Minute::worst(&spread[..4]), expected);
        assert_eq!(Minute::worst(&spread).count, 3);
    }
}
