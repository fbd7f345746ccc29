//! A snapshot on its way in, piece by piece, one at a time.

use bytes::Bytes;
use dunlin_types::NodeId;
use tokio::sync::Mutex;

use crate::machine::Snapshot;
use crate::raft::Raft;
use crate::snapshot;
use crate::wire::{self, ChunkHead, ChunkTaken};

/// The largest snapshot taken; a state beyond it needs another way to travel.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Collects the pieces. A sender that starts over, or another sender, replaces what was there.
#[derive(Default)]
pub(crate) struct IncomingSnapshot {
    partial: Mutex<Option<Partial>>,
}

struct Partial {
    from: NodeId,
    head: ChunkHead,
    bytes: Vec<u8>,
}

impl IncomingSnapshot {
    /// Takes one piece; installs the snapshot with the last one.
    pub(crate) async fn take(
        &self,
        raft: &Raft,
        from: NodeId,
        head: ChunkHead,
        data: &[u8],
    ) -> Result<Bytes, String> {
        let vote = head.vote;
        let Some(file) = self.collect(from, head, data).await? else {
            return Ok(wire::encode(&ChunkTaken::More));
        };
        let meta = snapshot::meta(&file).map_err(|why| why.to_string())?;
        let installed = raft.install_full_snapshot(vote, Snapshot { meta, snapshot: file }).await;
        let answer = installed.map_err(|e| e.to_string())?;
        Ok(wire::encode(&ChunkTaken::Installed(answer.vote)))
    }

    /// The whole file once it is there.
    async fn collect(
        &self,
        from: NodeId,
        head: ChunkHead,
        data: &[u8],
    ) -> Result<Option<Bytes>, String> {
        if head.total > MAX_BYTES {
            return Err(format!("a snapshot of {} bytes is too large", head.total));
        }
        let mut partial = self.partial.lock().await;
        if head.offset == 0 {
            *partial = Some(Partial { from, head: head.clone(), bytes: Vec::new() });
        }
        let begun = partial.as_mut().filter(|begun| {
            begun.from == from
                && begun.head == ChunkHead { offset: 0, ..head.clone() }
                && begun.bytes.len() as u64 == head.offset
        });
        let begun = begun.ok_or("this piece does not follow the last one")?;
        begun.bytes.extend_from_slice(data);
        if (begun.bytes.len() as u64) < head.total {
            return Ok(None);
        }
        Ok(partial.take().map(|whole| whole.bytes.into()))
    }
}
