//! What the mock has seen.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderMap;
use bytes::Bytes;
use tokio::sync::Notify;

/// The most of a request body that is kept.
const MAX_RECORDED: usize = 64 * 1024;

/// Counts since the start. Requests for models and health are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests whose body has been read.
    pub requests: u64,
    /// Being answered.
    pub in_flight: u64,
    /// Whose client went away, or whose connection a fault broke, before the answer was whole.
    pub cancelled: u64,
}

/// The last request.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The first 64 KiB of its body.
    pub body: Bytes,
}

#[derive(Default)]
pub(crate) struct Record {
    requests: AtomicU64,
    finished: AtomicU64,
    cancelled: AtomicU64,
    last: Mutex<Option<Recorded>>,
    changed: Notify,
}

impl Record {
    /// Counts a request until the guard is dropped.
    pub(crate) fn begin(self: &std::sync::Arc<Self>, request: Recorded) -> InFlight {
        let body = if request.body.len() > MAX_RECORDED {
            Bytes::copy_from_slice(&request.body[..MAX_RECORDED])
        } else {
            request.body
        };
        *self.last.lock().expect("no one panics with it") = Some(Recorded { body, ..request });
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
        InFlight { record: self.clone(), finished: false }
    }

    pub(crate) fn stats(&self) -> Stats {
        // Ends first: an end that is seen has a beginning that is seen.
        let finished = self.finished.load(Ordering::Acquire);
        let cancelled = self.cancelled.load(Ordering::Acquire);
        let requests = self.requests.load(Ordering::Acquire);
        Stats { requests, in_flight: requests - finished - cancelled, cancelled }
    }

    pub(crate) fn last(&self) -> Option<Recorded> {
        self.last.lock().expect("no one panics with it").clone()
    }

    pub(crate) async fn until(&self, condition: impl Fn(&Stats) -> bool) -> Stats {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let stats = self.stats();
            if condition(&stats) {
                return stats;
            }
            changed.await;
        }
    }
}

/// One request being answered. Dropped unfinished, it was cancelled.
pub(crate) struct InFlight {
    record: std::sync::Arc<Record>,
    finished: bool,
}

impl InFlight {
    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let ends = if self.finished { &self.record.finished } else { &self.record.cancelled };
        ends.fetch_add(1, Ordering::Release);
        self.record.changed.notify_waiters();
    }
}
