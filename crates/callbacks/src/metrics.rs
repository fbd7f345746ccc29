//! What Prometheus is told of callbacks.

use dunlin_metrics::{Desc, Page};

use crate::Callbacks;

static SENT: Desc = Desc::counter(
    "dunlin_callback_sent_total",
    "Request records that receivers accepted.",
    &["callback"],
);
static FAILED: Desc = Desc::counter(
    "dunlin_callback_failed_total",
    "Request records that receivers refused, or did not accept in time.",
    &["callback"],
);
static DROPPED: Desc = Desc::counter(
    "dunlin_callback_dropped_total",
    "Request records that were dropped before they could be sent, because too many waited.",
    &["callback"],
);
static QUEUED: Desc = Desc::gauge(
    "dunlin_callback_queued",
    "Request records that wait to be sent or are being sent.",
    &["callback"],
);
static LOST_WORDS: Desc = Desc::counter(
    "dunlin_callback_words_lost_total",
    "Requests whose records are sent without prompt and answer, because too many of those already \
     wait.",
    &[],
);
static WORDS_BYTES: Desc = Desc::gauge(
    "dunlin_callback_words_bytes",
    "Memory used by prompts and answers that wait to be sent.",
    &[],
);
static LITELLM_FAILURES: Desc = Desc::counter(
    "litellm_callback_logging_failures_metric_total",
    "Request records that did not reach their receiver.",
    &["callback_name"],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] =
    &[&SENT, &FAILED, &DROPPED, &QUEUED, &LOST_WORDS, &WORDS_BYTES, &LITELLM_FAILURES];

impl Callbacks {
    /// Writes what is known now on a page.
    pub fn report(&self, page: &mut Page) {
        for told in self.0.senders.told() {
            let name = [&*told.name];
            page.count(&SENT, &name, told.sent);
            page.count(&FAILED, &name, told.failed);
            page.count(&DROPPED, &name, told.dropped);
            page.level(&QUEUED, &name, told.queued);
            page.count(&LITELLM_FAILURES, &name, told.failed + told.dropped);
        }
        page.count(&LOST_WORDS, &[], self.0.details.lost_words());
        page.level(&WORDS_BYTES, &[], self.0.details.bytes());
    }
}
