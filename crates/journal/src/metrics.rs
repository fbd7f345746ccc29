//! What Prometheus is told of the journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_metrics::{Desc, Page};

use crate::Journal;

static RECORDS: Desc = Desc::counter(
    "dunlin_journal_records_total",
    "Requests recorded by this node since it started.",
    &[],
);
static SEGMENTS: Desc =
    Desc::gauge("dunlin_journal_segments", "Files of this node's request log.", &[]);
static BYTES: Desc = Desc::gauge("dunlin_journal_bytes", "Size of those files.", &[]);
static SYNCS: Desc = Desc::counter("dunlin_journal_syncs_total", "Syncs of the journal.", &[]);
static SYNC_SECONDS: Desc = Desc::counter(
    "dunlin_journal_sync_seconds_total",
    "Total time spent in those syncs, to the millisecond.",
    &[],
);
static SLOWEST: Desc = Desc::gauge(
    "dunlin_journal_slowest_sync_seconds",
    "The longest sync since the metrics were last read.",
    &[],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] = &[&RECORDS, &SEGMENTS, &BYTES, &SYNCS, &SYNC_SECONDS, &SLOWEST];

/// How the syncs went. In milliseconds.
#[derive(Default)]
pub(crate) struct Syncs {
    times: AtomicU64,
    took: AtomicU64,
    slowest: AtomicU64,
}

impl Syncs {
    pub(crate) fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.times.fetch_add(1, Ordering::Relaxed);
        self.took.fetch_add(time, Ordering::Relaxed);
        self.slowest.fetch_max(time, Ordering::Relaxed);
    }
}

impl Journal {
    /// Writes what is known now on a page.
    pub fn report(&self, page: &mut Page) {
        page.count(&RECORDS, &[], self.last());
        let segments = self.segments();
        page.level(&SEGMENTS, &[], segments.len());
        page.level(&BYTES, &[], segments.iter().map(|(_, _, bytes)| bytes).sum::<u64>());
        let Syncs { times, took, slowest } = self.syncs();
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
        page.count(&SYNCS, &[], times.load(Ordering::Relaxed));
        page.sum(&SYNC_SECONDS, &[], seconds(took.load(Ordering::Relaxed)));
        page.gauge(&SLOWEST, &[], seconds(slowest.swap(0, Ordering::Relaxed)));
    }
}
