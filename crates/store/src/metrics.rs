//! What Prometheus is told of what clients have stored.

use dunlin_metrics::{Desc, Page};

use crate::{Kind, Store};

static COUNT: Desc = Desc::gauge(
    "dunlin_store_entries",
    "Stored responses (`body`) and notes of files and batches (`note`) on this node, including \
     copies from other nodes.",
    &["kind"],
);
static BYTES: Desc =
    Desc::gauge("dunlin_store_bytes", "Their size on this node's disk.", &["kind"]);

/// The metrics of this crate.
pub static METRICS: &[&Desc] = &[&COUNT, &BYTES];

impl Store {
    /// Writes what is known now on a page.
    pub fn report(&self, page: &mut Page) {
        for (name, kind) in [("body", Kind::Body), ("note", Kind::Note)] {
            let (entries, bytes) = self.0.shelves.of(kind).size();
            page.level(&COUNT, &[name], entries);
            page.level(&BYTES, &[name], bytes);
        }
    }
}
