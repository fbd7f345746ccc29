//! What is dropped without a word, counted. Datagrams may get lost anyway, and a stranger must not
//! be able to fill a log.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much was dropped since the start, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Received: too short, or of a layout this release does not know.
    pub malformed: u64,
    /// Received: sealed with another secret or for another cluster, or tampered with.
    pub foreign: u64,
    /// Received: seen before, or too late to tell. While the cluster secret changes, every message is
    /// sent twice.
    pub replayed: u64,
    /// Received: from this node itself, or from a copy of its data directory.
    pub own: u64,
    /// Received: rightly sealed, but not in a protocol this release knows.
    pub unreadable: u64,
    /// Facts of peers that this release cannot read.
    pub unknown_facts: u64,
    /// To be sent: larger than a datagram can be.
    pub too_large: u64,
    /// To be sent: the system did not take it.
    pub unsent: u64,
}

/// The counters behind [`Dropped`].
#[derive(Default)]
pub(crate) struct Drops {
    pub(crate) malformed: AtomicU64,
    pub(crate) foreign: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) own: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) unknown_facts: AtomicU64,
    pub(crate) too_large: AtomicU64,
    pub(crate) unsent: AtomicU64,
}

impl Drops {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Dropped {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Dropped {
            malformed: read(&self.malformed),
            foreign: read(&self.foreign),
            replayed: read(&self.replayed),
            own: read(&self.own),
            unreadable: read(&self.unreadable),
            unknown_facts: read(&self.unknown_facts),
            too_large: read(&self.too_large),
            unsent: read(&self.unsent),
        }
    }
}
