//! What Prometheus is told of clients: their connections, the answers they got, and refusals that are
//! not on record.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_metrics::{Desc, Level, Page};
use http::StatusCode;

use crate::server::Open;

static CONNECTIONS: Desc =
    Desc::gauge("dunlin_connections", "Open client connections to this node.", &[]);
static MOST: Desc = Desc::gauge(
    "dunlin_connections_max",
    "The most client connections that may be open; further ones wait in the kernel's backlog.",
    &[],
);
static RESPONSES: Desc = Desc::counter(
    "dunlin_http_responses_total",
    "Responses to HTTP requests of this node's own clients, on all paths, by the first digit of \
     their status.",
    &["class"],
);
static STREAMS: Desc = Desc::gauge("dunlin_streams", "Responses that are being streamed.", &[]);
static TALKS: Desc = Desc::gauge(
    "dunlin_conversations",
    "Open WebSocket conversations, and open requests that other nodes have passed on to this one.",
    &[],
);
static UNRECORDED: Desc = Desc::counter(
    "dunlin_requests_unrecorded_total",
    "Refused requests that left no record, because their key is unknown or there were too many at \
     once.",
    &["call_type", "status"],
);

static UNREAD: Desc = Desc::counter(
    "dunlin_batches_unread_total",
    "Times that this node could not read the answers that a finished job of Bedrock or Vertex AI has \
     left in its bucket, so that it is not charged.",
    &[],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] =
    &[&CONNECTIONS, &MOST, &RESPONSES, &STREAMS, &TALKS, &UNRECORDED, &UNREAD];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is counted while requests are served.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: Level,
    /// As many as there may be.
    most: AtomicU64,
    responses: [AtomicU64; CLASSES.len()],
    pub(crate) streams: Level,
    /// By kind of call and status, both from closed sets.
    unrecorded: Mutex<BTreeMap<(&'static str, u16), u64>>,
    unread: AtomicU64,
}

impl Counts {
    /// Clients may have so many connections open.
    pub(crate) fn admits(&self, connections: usize) {
        self.most.store(u64::try_from(connections).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A client is about to be answered.
    pub(crate) fn responds(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.responses[class].fetch_add(1, Ordering::Relaxed);
    }

    /// The answers of a batch could not be read.
    pub(crate) fn unread(&self) {
        self.unread.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was refused and is not on record.
    pub(crate) fn unrecorded(&self, call_type: &'static str, status: u16) {
        let mut unrecorded = self.unrecorded.lock().expect("no panic while it is held");
        *unrecorded.entry((call_type, status)).or_default() += 1;
    }
}

impl Open {
    /// Refused requests that left no record so far, by kind of call and status.
    #[must_use]
    pub fn unrecorded(&self) -> Vec<((&'static str, u16), u64)> {
        let unrecorded = self.counts.unrecorded.lock().expect("no panic while it is held");
        unrecorded.iter().map(|(of, times)| (*of, *times)).collect()
    }

    /// Writes what is known now on a page.
    pub fn report(&self, page: &mut Page) {
        let counts = &self.counts;
        page.level(&CONNECTIONS, &[], counts.connections.now());
        page.level(&MOST, &[], counts.most.load(Ordering::Relaxed));
        for (class, times) in CLASSES.iter().zip(&counts.responses) {
            page.count(&RESPONSES, &[class], times.load(Ordering::Relaxed));
        }
        page.level(&STREAMS, &[], counts.streams.now());
        page.level(&TALKS, &[], self.tasks.len());
        page.count(&UNREAD, &[], counts.unread.load(Ordering::Relaxed));
        for ((call_type, status), times) in self.unrecorded() {
            page.count(&UNRECORDED, &[call_type, &status.to_string()], times);
        }
    }
}
