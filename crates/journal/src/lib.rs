//! What this node did: a spend record for each request it served, in append-only segment files.
//!
//! A record is written, with one write(2), before the last byte of its answer leaves, so a killed
//! process loses none. It is synced within [`SYNC_EVERY`], so a power cut loses at most that much.
//! Records are numbered from 1 within one life of the node (its epoch); older lives are read back
//! and settled after a restart. Does not know what settling is: its owner says what may be
//! forgotten.
//!
//! Settled records are kept for a while (`retention.rs`), to be searched (`search.rs`). They are
//! deleted segment by segment, without being read. [`Copies`] are the same files of other nodes.
//!
//! Memory does not grow with records: for each segment, some 20 bytes per 256 records are in
//! memory, and the index of words is in a file beside it. Read `record.rs` and `frame.rs` for the
//! file format, then `journal.rs`.

mod copies;
mod error;
mod filter;
mod frame;
mod index;
mod journal;
mod metrics;
mod query;
mod recent;
mod record;
mod retention;
mod search;
mod segment;

use std::path::PathBuf;
use std::time::Duration;

use dunlin_types::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use copies::{Copies, Held, NotTaken, Run};
pub use error::Error;
pub use journal::{Journal, OlderEpoch, Reader};
pub use metrics::METRICS;
pub use query::{Filters, Order, Payer, Position, Query, Seen};
pub use record::{
    Attempt, CUT_MARK, Course, Fault, Kinds, MAX_ATTEMPTS, MAX_FAULT_BYTES, MAX_SAID_BYTES, Origin,
    Outcome, Parts, Said, SpendRecord, Whose, bounded,
};
pub use retention::Bounds;
pub use search::{Found, MAX_FOUND_BYTES, Row, search};
pub use segment::Shelf;

/// How long a written record may wait to be synced.
pub const SYNC_EVERY: Duration = Duration::from_millis(100);
/// A segment is closed when it has this many bytes.
const SEGMENT_BYTES: u64 = 16 << 20;
/// A segment is closed when its first request began this many milliseconds ago: a day, so that even
/// a node that serves little lets old records go.
const ROLL_AFTER: u64 = 24 * 60 * 60 * 1000;
/// How often it is looked whether something may go.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// What a journal needs from its node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the segment files; made if it is not there.
    pub dir: PathBuf,
    /// How much is kept of what is settled.
    pub bounds: Bounds,
    /// The node's clock.
    pub clock: Clock,
    /// Where the syncing task runs.
    pub tasks: TaskTracker,
    /// Ends the syncing task; cancelled by it when the disk fails, which ends the node.
    pub stop: CancellationToken,
}
