//! A snapshot on its way in, piece by piece, one at a time.

use std::time::Duration;

use bytes::Bytes;
use dunlin_types::{MonoMillis, NodeId};
use tokio::sync::Mutex;

use crate::machine::Snapshot;
use crate::raft::Raft;
use crate::snapshot;
use crate::wire::{self, ChunkHead, ChunkTaken};

/// The largest snapshot taken; a state beyond it needs another way to travel.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// A sender that is silent for so long has died, or has begun anew with another node: what it had sent
/// is forgotten. Longer than it waits for the answer to a piece.
const SILENT: Duration = Duration::from_secs(60);

/// Collects the pieces. A sender that starts over, or another sender, replaces what was there.
#[derive(Default)]
pub(crate) struct IncomingSnapshot {
    partial: Mutex<Option<Partial>>,
}

struct Partial {
    from: NodeId,
    head: ChunkHead,
    bytes: Vec<u8>,
    /// When the last piece came.
    at: MonoMillis,
}

impl IncomingSnapshot {
    /// Takes one piece; installs the snapshot with the last one.
    pub(crate) async fn take(
        &self,
        raft: &Raft,
        (from, now): (NodeId, MonoMillis),
        head: ChunkHead,
        data: &[u8],
    ) -> Result<Bytes, String> {
        let vote = head.vote;
        let Some(file) = self.collect((from, now), head, data).await? else {
            return Ok(wire::encode(&ChunkTaken::More));
        };
        let meta = snapshot::meta(&file).map_err(|why| why.to_string())?;
        let installed = raft.install_full_snapshot(vote, Snapshot { meta, snapshot: file }).await;
        let answer = installed.map_err(|e| e.to_string())?;
        Ok(wire::encode(&ChunkTaken::Installed(answer.vote)))
    }

    /// Forgets what a sender had sent that is silent.
    pub(crate) async fn forget_silent(&self, now: MonoMillis) {
        let mut partial = self.partial.lock().await;
        partial.take_if(|begun| now.since(begun.at) >= SILENT);
    }

    /// The whole file once it is there.
    async fn collect(
        &self,
        (from, now): (NodeId, MonoMillis),
        head: ChunkHead,
        data: &[u8],
    ) -> Result<Option<Bytes>, String> {
        if head.total > MAX_BYTES {
            return Err(format!("a snapshot of {} bytes is too large", head.total));
        }
        let mut partial = self.partial.lock().await;
        if head.offset == 0 {
            *partial = Some(Partial { from, head: head.clone(), bytes: Vec::new(), at: now });
        }
        let begun = partial.as_mut().filter(|begun| {
            begun.from == from
                && begun.head == ChunkHead { offset: 0, ..head.clone() }
                && begun.bytes.len() as u64 == head.offset
        });
        let begun = begun.ok_or("this piece does not follow the last one")?;
        begun.bytes.extend_from_slice(data);
        begun.at = now;
        if (begun.bytes.len() as u64) < head.total {
            return Ok(None);
        }
        Ok(partial.take().map(|whole| whole.bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_snapshot_whose_sender_is_silent_is_kept_for_a_minute() {
        let incoming = IncomingSnapshot::default();
        let vote = openraft::Vote::new(1, 7);
        let piece = async |offset, at| {
            let head = ChunkHead { vote, last: None, offset, total: 3 };
            incoming.collect((NodeId(7), MonoMillis(at)), head, b"x").await
        };
        for (at, offset) in [(0, 0), (59_999, 1)] {
            incoming.forget_silent(MonoMillis(at)).await;
            assert_eq!(piece(offset, at).await, Ok(None), "at {at}");
        }
        incoming.forget_silent(MonoMillis(119_998)).await;
        assert!(incoming.partial.lock().await.is_some(), "it is slow");
        incoming.forget_silent(MonoMillis(119_999)).await;
        assert!(incoming.partial.lock().await.is_none());
        assert!(piece(2, 120_000).await.is_err(), "it begins anew");
        assert_eq!(piece(0, 120_001).await, Ok(None));
    }
}
