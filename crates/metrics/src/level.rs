//! How many of something there are: raised when one begins, lowered when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count of what is there now. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Level(Arc<AtomicU64>);

/// One of what is counted, for as long as it lives.
#[derive(Debug)]
#[must_use = "what is dropped is not counted"]
pub struct Raised(Level);

impl Level {
    /// One more, until the result is dropped.
    pub fn raise(&self) -> Raised {
        self.0.fetch_add(1, Ordering::Relaxed);
        Raised(self.clone())
    }

    /// How many there are.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_raised_falls_with_what_raised_it() {
        let level = Level::default();
        let raised = (level.raise(), level.clone().raise());
        assert_eq!(level.now(), 2);
        drop(raised.0);
        assert_eq!(level.now(), 1);
    }
}
