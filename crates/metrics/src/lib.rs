//! What a node tells Prometheus: the words that each crate's `metrics.rs` is written in, and the
//! page that is read. Beside them, what has a task that panics end its node: no such end is left to
//! a figure.
//!
//! Does not know what any metric is about, nor who may read it. Nothing is pushed here while a
//! request is served: each crate keeps its own plain counts and is asked for them when the page is
//! read. Invariants: a page covers this node alone and asks no other; no metric has more label sets
//! than [`MAX_LABEL_SETS`], and the excess is reported; at most [`MAX_PAGES`] pages are in memory
//! at once. The types of the `prometheus` crate end here. Read `page.rs`.

mod desc;
mod kept;
mod level;
mod page;
mod process;
mod series;
mod vital;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

pub use desc::{Desc, Kind};
pub use kept::{Kept, is_litellms};
pub use level::{Level, Raised};
pub use page::Page;
pub use series::{Histogram, MAX_HISTOGRAMS, MAX_LABEL_SETS, OTHER, Place, Series};
pub use vital::{OnPanic, Vital, vital};

/// The media type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Pages in memory at once, those included that are on their way to their readers.
pub const MAX_PAGES: usize = 4;
/// How long a reader waits for its turn, before it is told that others read.
pub const TURN: Duration = Duration::from_secs(2);

/// This metric's own bound was hit.
static LEFT_OUT: Desc = Desc::counter(
    "dunlin_metrics_beyond_bound_total",
    "Values left out of a metric, or counted under `other`, because the metric had reached its \
     bound on label sets.",
    &["metric"],
);

/// The metrics of this crate.
pub static METRICS: &[&Desc] = &[&LEFT_OUT];

/// Writes what it knows on a page.
type Source = Box<dyn Fn(&mut Page) + Send + Sync>;

/// The metrics of a node. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Shared>);

struct Shared {
    sources: Mutex<Vec<Source>>,
    /// What was left out of pages so far, by metric.
    left_out: Mutex<BTreeMap<&'static str, u64>>,
    turns: Arc<Semaphore>,
}

/// Too many read the metrics at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_PAGES} readers take this node's metrics already, and slowly")]
pub struct Busy;

impl Default for Metrics {
    fn default() -> Self {
        let turns = Arc::new(Semaphore::new(MAX_PAGES));
        let shared = Shared { sources: Mutex::default(), left_out: Mutex::default(), turns };
        Self(Arc::new(shared))
    }
}

impl Metrics {
    /// Asks `source` for every page from here on. It must not wait: it is called on a thread that may
    /// block for as long as a short lock is held.
    pub fn add(&self, source: impl Fn(&mut Page) + Send + Sync + 'static) {
        self.0.sources.lock().expect("no source panics").push(Box::new(source));
    }

    /// A page as of now, in Prometheus' text format. It takes one of the places until it is dropped, so
    /// a reader that is slow keeps others waiting, and the memory bounded.
    ///
    /// # Errors
    /// [`Busy`] after [`TURN`].
    pub async fn page(&self) -> Result<Bytes, Busy> {
        self.page_within(TURN).await
    }

    async fn page_within(&self, patience: Duration) -> Result<Bytes, Busy> {
        let turn = Arc::clone(&self.0.turns).acquire_owned();
        let turn = tokio::time::timeout(patience, turn).await.map_err(|_| Busy)?;
        let turn = turn.expect("the semaphore is never closed");
        let metrics = self.clone();
        let written = tokio::task::spawn_blocking(move || metrics.write()).await;
        let text = written.expect("no source panics");
        Ok(Bytes::from_owner(Text { text, _turn: turn }))
    }

    fn write(&self) -> String {
        let mut page = Page::default();
        for source in &*self.0.sources.lock().expect("no source panics") {
            source(&mut page);
        }
        for (metric, new, beyond) in page.beyond_bounds() {
            page.count(&LEFT_OUT, &[metric], self.left_out(metric, new) + beyond);
        }
        page.write()
    }

    /// What was left out of a metric on all pages, with this one. The first time the log says so.
    fn left_out(&self, metric: &'static str, new: u64) -> u64 {
        let mut left_out = self.0.left_out.lock().expect("no panic while it is held");
        let known = left_out.entry(metric).or_insert_with(|| {
            warn!(
                metric,
                "the metric {metric} has more label sets than {MAX_LABEL_SETS}: further ones are \
                 counted under `{OTHER}`, or left out"
            );
            0
        });
        *known += new;
        *known
    }
}

/// A page's text and its place.
struct Text {
    text: String,
    _turn: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests;
