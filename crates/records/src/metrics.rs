//! What Prometheus is told of the copies of the request log.

use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_metrics::{Desc, Page};

use crate::Records;

static UNCOPIED: Desc = Desc::gauge(
    "dunlin_request_log_uncopied_bytes",
    "Bytes of this node's request log that no other node holds, at the last check.",
    &[],
);
static SINGLE: Desc = Desc::gauge(
    "dunlin_request_log_single_copy_bytes",
    "Bytes of request logs of absent nodes that this node holds and no other node is known to \
     hold, at the last check.",
    &[],
);
static COPIES: Desc = Desc::gauge(
    "dunlin_request_log_copies_bytes",
    "Bytes of other nodes' request logs that this node holds.",
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
