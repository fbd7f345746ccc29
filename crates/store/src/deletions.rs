//! What was deleted while one of its holders was away: that one hears of it when it is back.
//!
//! A node tells each peer that comes into its sight, or starts again within it, all that it knows to
//! be deleted. As long as not
//! all peers in sight have told it theirs, what a node has is in doubt, and the other holder is asked
//! too. A deletion that a holder in sight did not hear is told again until it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_gossip::{Peer, View};
use dunlin_types::{Epoch, NodeId, RequestId, UnixMillis};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{Kind, Shared, peers};

/// How often it is looked who has come into sight.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// As many deletions as are told at a time.
const MAX_TOLD: usize = 4096;
/// Deletions that are told again, at most. Beyond it a holder hears when it next comes into sight.
const MAX_UNHEARD: usize = 10_000;

/// Something deleted, and until when that is known.
pub(crate) type Deleted = (RequestId, UnixMillis);

/// Who has told this node what it knows to be deleted, and what is still to be told.
#[derive(Default)]
pub(crate) struct Deletions {
    /// Since they came into sight.
    told_by: Mutex<BTreeSet<NodeId>>,
    unheard: Mutex<Vec<(NodeId, Kind, Deleted)>>,
}

impl Deletions {
    /// Whether a peer may know of deletions that this node has not heard of: one in sight, or any
    /// while none is.
    pub(crate) fn are_in_doubt(&self, view: &View) -> bool {
        let told_by = self.told_by.lock().expect("no code panics while it holds it");
        let unheard = |(node, peer): (&NodeId, &Peer)| peer.alive && !told_by.contains(node);
        told_by.is_empty() || view.peers.iter().any(unheard)
    }

    /// A peer has told all it knows.
    pub(crate) fn all_told_by(&self, node: NodeId) {
        self.told_by.lock().expect("no code panics while it holds it").insert(node);
    }

    /// A holder did not hear of a deletion.
    pub(crate) fn unheard(&self, node: NodeId, kind: Kind, deleted: Deleted) {
        let mut unheard = self.unheard.lock().expect("no code panics while it holds it");
        if unheard.len() < MAX_UNHEARD {
            unheard.push((node, kind, deleted));
        }
    }

    /// Who comes into sight again tells all, and is told all.
    fn forget_all_but(&self, in_sight: &BTreeSet<NodeId>) {
        let mut told_by = self.told_by.lock().expect("no code panics while it holds it");
        told_by.retain(|node| in_sight.contains(node));
        drop(told_by);
        let mut unheard = self.unheard.lock().expect("no code panics while it holds it");
        unheard.retain(|(node, ..)| in_sight.contains(node));
    }

    /// What each is to be told again.
    fn take_unheard(&self) -> BTreeMap<(NodeId, Kind), Vec<Deleted>> {
        let mut unheard = self.unheard.lock().expect("no code panics while it holds it");
        let mut by_holder: BTreeMap<_, Vec<Deleted>> = BTreeMap::new();
        for (node, kind, deleted) in unheard.drain(..) {
            by_holder.entry((node, kind)).or_default().push(deleted);
        }
        by_holder
    }
}

/// Tells who comes into sight what is deleted, until the node stops.
pub(crate) async fn tell(by: Arc<Shared>, stop: CancellationToken) {
    // By its life: one that starts again faster than it is missed has to be told again.
    let mut knowing: BTreeSet<(NodeId, Epoch)> = BTreeSet::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while stop.run_until_cancelled(looks.tick()).await.is_some() {
        let view = by.gossip.view();
        let alive = view.peers.iter().filter(|(_, peer)| peer.alive);
        let lives: BTreeSet<_> = alive.map(|(node, peer)| (*node, peer.epoch)).collect();
        let in_sight = lives.iter().map(|(node, _)| *node).collect();
        by.shelves.deletions.forget_all_but(&in_sight);
        knowing.retain(|life| lives.contains(life));
        for life in lives.difference(&knowing.clone()) {
            match tell_all(&by, life.0).await {
                Ok(()) => {
                    knowing.insert(*life);
                }
                Err(reason) => debug!(reason, "a node is told later what was deleted"),
            }
        }
        for ((node, kind), unheard) in by.shelves.deletions.take_unheard() {
            for some in unheard.chunks(MAX_TOLD) {
                if let Err(reason) = peers::tell(&by, node, kind, some, false).await {
                    debug!(reason, "a node is told once more what was deleted");
                    let again =
                        |deleted: &Deleted| by.shelves.deletions.unheard(node, kind, *deleted);
                    some.iter().for_each(again);
                }
            }
        }
    }
}

async fn tell_all(by: &Shared, node: NodeId) -> Result<(), String> {
    let now = by.clock.unix();
    for kind in [Kind::Note, Kind::Body] {
        let all = by.shelves.of(kind).deleted(now);
        for some in all.chunks(MAX_TOLD) {
            peers::tell(by, node, kind, some, false).await?;
        }
    }
    peers::tell(by, node, Kind::Body, &[], true).await
}

/// Says that a deletion is known to one holder only, for now. What a client deleted should be gone;
/// a note that is still there is at most looked at once more.
pub(crate) fn tell_unheard(node: NodeId, kind: Kind, reason: &str) {
    const TOLD: &str = "only one of two nodes knows of a deletion, until the other hears of it";
    match kind {
        Kind::Body => warn!(node.id = %node, reason, "{TOLD}"),
        Kind::Note => debug!(node.id = %node, reason, "{TOLD}"),
    }
}
