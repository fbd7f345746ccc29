//! What fails again and again is said once in a while.

use std::time::Duration;

use crate::MonoMillis;

/// When something was last said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seldom(Option<MonoMillis>);

impl Seldom {
    /// Whether it is to be said now: the first time, and then once in `every`.
    pub fn is_due(&mut self, now: MonoMillis, every: Duration) -> bool {
        let is_due = self.0.is_none_or(|said| now.since(said) >= every);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_once_in_a_while() {
        let (mut seldom, every) = (Seldom::default(), Duration::from_secs(10));
        let mut due = |millis| seldom.is_due(MonoMillis(millis), every);
        assert!(due(0));
        assert!(!due(5_000) && !due(9_999));
        assert!(due(10_000));
        assert!(!due(19_999) && due(20_000));
    }
}
