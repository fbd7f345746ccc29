//! Which segments may go: what is settled, and too old or too much.

use std::time::Duration;

use dunlin_types::UnixMillis;

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Older segments go. `None`: no segment is too old.
    pub age: Option<Duration>,
    /// While all are larger than this, in bytes, the oldest one goes.
    pub bytes: u64,
}

/// What is kept unless the configuration says otherwise: 30 days, 10 GiB.
impl Default for Bounds {
    fn default() -> Self {
        Self { age: Some(Duration::from_secs(30 * 24 * 60 * 60)), bytes: 10 << 30 }
    }
}

/// A segment, as far as it matters for whether it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) bytes: u64,
    /// When the last of its requests ended.
    pub(crate) ended: UnixMillis,
    /// All of it is settled, and it is not being written.
    pub(crate) spare: bool,
}

impl Bounds {
    /// Which of `segments`, oldest first, are kept.
    pub(crate) fn keep(&self, segments: &[Kept], now: UnixMillis) -> Vec<bool> {
        let age = self.age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let mut all: u64 = segments.iter().map(|segment| segment.bytes).sum();
        let keep = |segment: &Kept| {
            let old = age.is_some_and(|age| now.0.saturating_sub(segment.ended.0) > age);
            let goes = segment.spare && (old || all > self.bytes);
            if goes {
                all -= segment.bytes;
            }
            !goes
        };
        segments.iter().map(keep).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment() -> impl Strategy<Value = Kept> {
        (0..50_u64, 0..1000_u64, any::<bool>()).prop_map(|(bytes, ended, spare)| Kept {
            bytes,
            ended: UnixMillis(ended),
            spare,
        })
    }

    proptest! {
        #[test]
        fn what_goes_is_settled_and_must_go_and_the_rest_is_within_the_bounds(
            segments in prop::collection::vec(segment(), 0..40),
            age in prop::option::of(0..1000_u64),
            bytes in 0..500_u64,
        ) {
            let bounds = Bounds { age: age.map(Duration::from_millis), bytes };
            let now = UnixMillis(1000);
            let keep = bounds.keep(&segments, now);
            let old = |one: &Kept| age.is_some_and(|age| now.0 - one.ended.0 > age);
            let mut all: u64 = segments.iter().map(|one| one.bytes).sum();
            for (one, kept) in segments.iter().zip(&keep) {
                prop_assert!(one.spare || *kept, "what is not settled stays");
                prop_assert_eq!(!*kept, one.spare && (old(one) || all > bytes));
                all -= if *kept { 0 } else { one.bytes };
            }
            let spare = segments.iter().zip(&keep).any(|(one, kept)| *kept && one.spare);
            prop_assert!(all <= bytes || !spare, "too much stays only if it is not settled");
        }
    }
}
