//! Places for the connections of clients, and what is said while all of them are taken.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_types::{Clock, Seldom};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

/// How often the log says that no place is left.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// So many connections and no more.
pub(crate) struct Room {
    places: Arc<Semaphore>,
    most: usize,
    clock: Clock,
    told: Mutex<Seldom>,
}

impl Room {
    pub(crate) fn new(most: usize, clock: Clock) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most, clock, told: Mutex::default() }
    }

    /// Waits until there is a place.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        if let Some(place) = self.free_place() {
            return place;
        }
        self.tell_full();
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("the semaphore is never closed")
    }

    pub(crate) fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    fn tell_full(&self) {
        let mut told = self.told.lock().expect("no panic while it is held");
        if told.is_due(self.clock.mono(), TELL_EVERY) {
            warn!(
                connections = self.most,
                "as many connections of clients are open as may be: further clients, and probes, \
                 wait until one is closed; use more nodes, or raise the limit on open files if the \
                 start of this log names it"
            );
        }
    }
}
