//! What Prometheus is told of the copies of the request log.

use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_metrics::{Desc, Page};

use crate::Records;

static UNCOPIED: Desc = Desc::gauge(
    "dunlin_request_log_uncopied_bytes",
    "How much of this node's request log no other node holds, as of the last look.",
    &[],
);
static SINGLE: Desc = Desc::gauge(
    "dunlin_request_log_single_copy_bytes",
    "How much of the request logs of nodes that are away this node holds, and no other node is known \
     to hold, as of the last look.",
    &[],
);
static COPIES: Desc = Desc::gauge(
    "dunlin_request_log_copies_bytes",
    "What this node holds of other nodes' request logs.",
    &[],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] = &[&UNCOPIED, &SINGLE, &COPIES];

/// How much there is, in bytes.
#[derive(Default)]
pub(crate) struct Bytes(AtomicU64);

impl Bytes {
    pub(crate) fn is(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

impl Records {
    /// Writes what is known now on a page.
    pub fn report(&self, page: &mut Page) {
        page.level(&UNCOPIED, &[], self.0.uncopied.0.load(Ordering::Relaxed));
        page.level(&SINGLE, &[], self.0.single.0.load(Ordering::Relaxed));
        page.level(&COPIES, &[], self.0.copies.bytes());
    }
}
