//! How many requests this node has open: `global_max_parallel_requests` is a bound for each node, as
//! in LiteLLM for each of its instances. Nobody else is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::refusal::Refusal;

/// The requests that are open.
#[derive(Clone, Default)]
pub(crate) struct Slots(Arc<AtomicU64>);

/// One of them, until it is dropped.
pub(crate) struct Slot(Slots);

impl Slots {
    /// How many are taken.
    pub(crate) fn taken(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes a place among `most`.
    pub(crate) fn take(&self, most: u64) -> Result<Slot, Refusal> {
        // Raised only where there is room: the count of a refused one would refuse others.
        let more = |taken| (taken < most).then(|| taken + 1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(|_| Slot(self.clone())).map_err(|_| Refusal::NodeFull { limit: most })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_slot_is_free_again_when_its_request_is_over() {
        let slots = Slots::default();
        let first = slots.take(2).expect("room");
        let second = slots.take(2).expect("room");
        for _ in 0..3 {
            assert_eq!(slots.take(2).err(), Some(Refusal::NodeFull { limit: 2 }));
        }
        drop((first, second));
        assert!(slots.take(1).is_ok(), "refusals take nothing");
        assert_eq!(slots.take(0).err(), Some(Refusal::NodeFull { limit: 0 }));
    }

    /// Among refusals that come all the time, one who has a place gives it back and takes it again.
    #[test]
    fn refusals_take_no_place_from_anybody() {
        let slots = Slots::default();
        let _others = slots.take(2).expect("room");
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        assert!(slots.take(1).is_err(), "one is taken");
                    }
                });
            }
            let refused = (0..100_000).filter(|_| slots.take(2).is_err()).count();
            over.store(true, Ordering::Relaxed);
            assert_eq!(refused, 0, "there was a place each time");
        });
    }
}
