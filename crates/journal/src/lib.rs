//! What this node did: a spend record for each request it served, in append-only segment files.
//!
//! A record is written, with one write(2), before the last byte of its answer leaves, so a killed
//! process loses none; it is synced within [`SYNC_EVERY`], so a power cut loses at most that much.
//! Records are numbered from 1 within one life of the node (its epoch); older lives are read back
//! and settled after a restart. Does not know what settling is: it is told what may be forgotten.
//!
//! Memory does not grow with what is unsettled: only segments are kept in mind, records stay on
//! disk. Read `record.rs` for the file format, then `journal.rs`.

mod error;
mod journal;
mod record;
mod segment;

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::Error;
pub use journal::{Journal, OlderEpoch};
pub use record::{Attempt, Course, MAX_ATTEMPTS, Origin, Outcome, SpendRecord};

/// How long a written record may wait to be synced.
pub const SYNC_EVERY: Duration = Duration::from_millis(100);
/// A segment is closed when it has this many bytes.
const SEGMENT_BYTES: u64 = 16 << 20;

/// What a journal needs from its node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the segment files; made if it is not there.
    pub dir: PathBuf,
    /// Where the syncing task runs.
    pub tasks: TaskTracker,
    /// Ends the syncing task; cancelled by it when the disk fails, which ends the node.
    pub stop: CancellationToken,
}
