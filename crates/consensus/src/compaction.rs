//! The log's compaction: snapshots by bytes, and the certificate's floor; and what is left of a
//! snapshot that never came whole.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::error::Error;
use crate::node::{Node, Running};

/// How often it is looked how much the log has grown.
const TICK: Duration = Duration::from_secs(1);
/// A snapshot is made when this much log has grown since the last one, or as much as the last one
/// is long: rewriting the state costs no more than writing the log did.
const LOG_BYTES: u64 = 64 * 1024 * 1024;
/// Log kept before the snapshot, for peers that were away for minutes.
const KEEP_BYTES: u64 = LOG_BYTES;
/// How often the certificate learns what the log holds.
const FLOOR_EVERY: Duration = Duration::from_secs(10);

/// Makes snapshots as the log grows, forgets the log they replace, and keeps the certificate's
/// floor close to the log.
pub(crate) async fn run(node: &Node, running: &Running) -> Result<(), Error> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked_after = None;
    let mut floor_written = node.clock.mono();
    loop {
        ticks.tick().await;
        running.incoming.forget_silent(node.clock.mono()).await;
        let last = running.snapshots.last();
        let grown = running.log.bytes_after(last.map_or(0, |id| id.index));
        if grown > LOG_BYTES.max(running.snapshots.bytes()) && asked_after != Some(last) {
            asked_after = Some(last);
            // A core that is gone ends the node elsewhere.
            drop(running.raft.trigger().snapshot().await);
        }
        let spare = last.zip(running.log.index_before_last(KEEP_BYTES));
        let spare = spare.map(|(last, spare)| spare.min(last.index));
        if let Some(spare) = spare.filter(|spare| *spare >= running.log.first()) {
            drop(running.raft.trigger().purge_log(spare).await);
        }
        if node.clock.mono().since(floor_written) >= FLOOR_EVERY {
            floor_written = node.clock.mono();
            write_floor(node, running)?;
        }
    }
}

pub(crate) fn write_floor(node: &Node, running: &Running) -> Result<(), Error> {
    let (floor, heard) = (running.log.floor(), node.known_until());
    node.identity().amend(|certificate| {
        certificate.floor = floor;
        certificate.heard = Some(heard);
    })
}
