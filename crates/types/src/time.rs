//! Two kinds of time. [`UnixMillis`] names days, expiries and periods; [`MonoMillis`] measures
//! waits and refills. They do not convert: the wall clock jumps, the monotonic one does not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Wall time: milliseconds since 1970-01-01 00:00 UTC.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct UnixMillis(pub u64);

/// Monotonic time: milliseconds since some moment before this process began. Means nothing on
/// another node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MonoMillis(pub u64);

impl MonoMillis {
    /// Time passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `wait` more.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The clock handed to edge crates. Made once, by the node; tests hand in their own.
#[derive(Clone)]
pub struct Clock {
    unix: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    mono: Arc<dyn Fn() -> MonoMillis + Send + Sync>,
}

impl Clock {
    /// A clock from its two readings.
    pub fn new(
        unix: impl Fn() -> UnixMillis + Send + Sync + 'static,
        mono: impl Fn() -> MonoMillis + Send + Sync + 'static,
    ) -> Self {
        Self { unix: Arc::new(unix), mono: Arc::new(mono) }
    }

    /// Wall time now.
    #[must_use]
    pub fn unix(&self) -> UnixMillis {
        (self.unix)()
    }

    /// Monotonic time now.
    #[must_use]
    pub fn mono(&self) -> MonoMillis {
        (self.mono)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
