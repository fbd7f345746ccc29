//! What clients have this gateway store: bodies that no provider keeps for them, and notes of what
//! a provider does keep, on the node that made them and on one peer, in append-only segment files,
//! until they expire.
//!
//! Does not know what a body means or who owns it. A body's id, which its client has, names the
//! nodes that hold it, so no other node has to know. A body is found as long as one of its two
//! holders can be asked. It is stored with one write(2) and synced within [`SYNC_EVERY`]. A holder
//! that comes back with an empty disk holds nothing. A holder that was away while something was
//! deleted hears of the deletion before it answers again.
//!
//! Memory holds an index of where bodies lie, never bodies. Read `shelf.rs`, then `peers.rs`.

mod deletions;
mod error;
mod metrics;
mod peers;
mod record;
mod shelf;
mod works;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_gossip::{Gossip, Peer};
use dunlin_metrics::vital;
use dunlin_rpc::{Incoming, Rpc};
use dunlin_types::{Clock, NodeId, RequestId, UnixMillis};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use deletions::Deletions;
pub use error::{Error, NotStored, Unreachable};
pub use metrics::METRICS;
use shelf::{Bounds, Shelf};
use works::Works;
pub use works::{Doing, MAX_WORKS, Work};

/// A longer body is not stored.
pub const MAX_BODY_BYTES: usize = 16 << 20;
/// The most notes of one label that are listed: the newest.
pub const MAX_NOTES: usize = 1000;
/// How long a written body may wait to be synced.
pub const SYNC_EVERY: Duration = Duration::from_millis(100);
/// How often it is looked for what has had its time.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// What a node stores at most; beyond it the oldest segment goes before its time.
const BODIES: Bounds = Bounds { segment_bytes: 64 << 20, bytes: 2 << 30, bodies: 500_000 };
/// The same of notes.
const NOTES: Bounds = Bounds { segment_bytes: 4 << 20, bytes: 256 << 20, bodies: 200_000 };

/// What can be stored, each in files of its own: they live for different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What a client wants to read again. It is found by its id and its holders.
    Body,
    /// What this gateway wants to remember, a text of a few hundred bytes. It is found by its label.
    Note,
}

/// What notes are found by: a hash of what they have in common. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label(pub u128);

/// What is known of a stored thing without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique in the cluster.
    pub id: RequestId,
    /// What it is found by, if it is a note.
    pub label: Option<Label>,
    /// When it was made.
    pub made: UnixMillis,
    /// Until when it is kept.
    pub until: UnixMillis,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it is found by.
    pub entry: Entry,
    /// What it says.
    pub text: String,
}

/// What a store needs of its node.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// The folder of the segment files; made if it is not there.
    pub dir: PathBuf,
    /// Where background tasks run.
    pub tasks: TaskTracker,
    /// Ends them; cancelled when the disk fails, which ends the node.
    pub stop: CancellationToken,
}

/// What a store is built on.
pub struct Parts {
    /// The node's clock.
    pub clock: Clock,
    /// Who else is there.
    pub gossip: Gossip,
    /// The way to them.
    pub rpc: Rpc,
    /// What they ask of this node.
    pub inbox: mpsc::Receiver<Incoming>,
}

/// The two nodes that hold a body. Twice the same where there was no other node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holders(pub [NodeId; 2]);

/// What a holder says of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is here.
    Body(Bytes),
    /// Its client had it deleted.
    Deleted,
    /// All who held it can be asked, and have it no more.
    Missing,
}

/// What one holder says, and whether it may not have heard that it was deleted.
struct Has {
    found: Found,
    in_doubt: bool,
}

/// The store of a node. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    me: NodeId,
    clock: Clock,
    gossip: Gossip,
    rpc: Rpc,
    shelves: Arc<Shelves>,
}

/// What this node holds, knows to be deleted, and works on.
struct Shelves {
    bodies: Shelf,
    notes: Shelf,
    deletions: Deletions,
    works: Arc<Works>,
}

impl Shelves {
    fn of(&self, kind: Kind) -> &Shelf {
        match kind {
            Kind::Body => &self.bodies,
            Kind::Note => &self.notes,
        }
    }
}

impl Store {
    /// Reads what is there, and starts to answer other nodes, on the current runtime.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn start(config: Config, parts: Parts) -> Result<Self, Error> {
        let Config { me, dir, tasks, stop } = config;
        let Parts { clock, gossip, rpc, inbox } = parts;
        let now = clock.unix();
        let bodies = Shelf::open(dir.join("bodies"), BODIES, now)?;
        let notes = Shelf::open(dir.join("notes"), NOTES, now)?;
        let (deletions, works) = (Deletions::default(), Arc::default());
        let shelves = Arc::new(Shelves { bodies, notes, deletions, works });
        let ends = || {
            let stop = stop.clone();
            move || stop.cancel()
        };
        let tidying = keep_tidy(Arc::clone(&shelves), clock.clone(), stop.clone());
        tasks.spawn(vital(tidying, ends()));
        let shared = Arc::new(Shared { me, clock, gossip, rpc, shelves });
        tasks.spawn(vital(deletions::tell(Arc::clone(&shared), stop.clone()), ends()));
        let answering = peers::answer(Arc::clone(&shared), inbox, tasks.clone());
        let ends = ends();
        tasks.spawn(vital(async move { stop.run_until_cancelled(answering).await }, ends));
        Ok(Self(shared))
    }

    /// Who is to hold the body of that id: this node, and a live peer if there is one.
    #[must_use]
    pub fn holders(&self, id: RequestId) -> Holders {
        let view = self.0.gossip.view();
        let ready = |peer: &&Peer| peer.node.as_ref().is_some_and(|node| node.ready);
        let alive = || view.peers.iter().filter(|(_, peer)| peer.alive);
        let mut peers: Vec<NodeId> =
            alive().filter(|(_, peer)| ready(peer)).map(|(node, _)| *node).collect();
        if peers.is_empty() {
            // Nodes that have just met hear a moment later that they are ready.
            peers = alive().map(|(node, _)| *node).collect();
        }
        let at = id.0.checked_rem(peers.len() as u128).and_then(|at| usize::try_from(at).ok());
        let second = at.and_then(|at| peers.get(at)).copied().unwrap_or(self.0.me);
        Holders([self.0.me, second])
    }

    /// Has both hold something. One that can be reached is enough.
    ///
    /// # Errors
    /// [`NotStored`]: nobody holds it.
    pub async fn put(
        &self,
        holders: Holders,
        kind: Kind,
        entry: Entry,
        body: Bytes,
    ) -> Result<(), NotStored> {
        if body.len() > MAX_BODY_BYTES {
            return Err(NotStored::TooLong { bytes: body.len() });
        }
        let put = |node: NodeId| peers::put(&self.0, node, (kind, entry), body.clone());
        let Holders([first, second]) = holders;
        if first == second {
            return put(first).await.map_err(|reason| NotStored::Failed { reason });
        }
        match tokio::join!(put(first), put(second)) {
            (Ok(()), Ok(())) => Ok(()),
            (Ok(()), Err(reason)) | (Err(reason), Ok(())) => {
                warn!(nodes = ?[first, second], reason, "a stored body is on one node only");
                Ok(())
            }
            (Err(one), Err(other)) => Err(NotStored::Failed { reason: format!("{one}; {other}") }),
        }
    }

    /// What has that id, from the first holder that knows of it. One that may not have heard of all
    /// deletions is believed only if the other cannot say better.
    ///
    /// # Errors
    /// [`Unreachable`]: nobody who could be asked has it, and not all could be asked.
    pub async fn get(
        &self,
        holders: Holders,
        kind: Kind,
        id: RequestId,
    ) -> Result<Found, Unreachable> {
        let (mut away, mut doubtful) = (Vec::new(), None);
        for node in self.in_reach_first(holders) {
            match peers::get(&self.0, node, kind, id).await {
                Ok(Has { found: Found::Missing, .. }) => {}
                Ok(Has { found: found @ Found::Body(_), in_doubt: true }) => {
                    doubtful = doubtful.or(Some(found));
                }
                Ok(Has { found, .. }) => return Ok(found),
                Err(reason) => away.push((node, reason)),
            }
        }
        match doubtful {
            Some(found) => Ok(found),
            None if away.is_empty() => Ok(Found::Missing),
            None => Err(Unreachable { away }),
        }
    }

    /// What one node has of that id.
    ///
    /// # Errors
    /// It cannot be asked; the reason is for people.
    pub async fn get_at(&self, node: NodeId, kind: Kind, id: RequestId) -> Result<Found, String> {
        peers::get(&self.0, node, kind, id).await.map(|has| has.found)
    }

    /// Has both forget something; they know until that moment that it was deleted. One that does not
    /// hear it now is told when it can be.
    ///
    /// # Errors
    /// [`NotStored`]: nobody could be told.
    pub async fn delete(
        &self,
        holders: Holders,
        kind: Kind,
        id: RequestId,
        until: UnixMillis,
    ) -> Result<(), NotStored> {
        let delete = async |node: NodeId| {
            let told = peers::delete(&self.0, node, (kind, id), until).await;
            told.inspect_err(|reason| {
                deletions::tell_unheard(node, kind, reason);
                self.0.shelves.deletions.unheard(node, kind, (id, until));
            })
        };
        let Holders([first, second]) = holders;
        if first == second {
            return delete(first).await.map_err(|reason| NotStored::Failed { reason });
        }
        match tokio::join!(delete(first), delete(second)) {
            (Err(one), Err(other)) => Err(NotStored::Failed { reason: format!("{one}; {other}") }),
            (Ok(()), _) | (_, Ok(())) => Ok(()),
        }
    }

    /// The notes with that label, of all nodes that can be asked, the newest first and each once:
    /// [`MAX_NOTES`] at most.
    pub async fn notes(&self, label: Label) -> Vec<Note> {
        let view = self.0.gossip.view();
        let alive = view.peers.iter().filter(|(_, peer)| peer.alive).map(|(node, _)| *node);
        let asked =
            alive.chain([self.0.me]).map(|node| peers::list(&self.0, node, label, MAX_NOTES));
        let mut all: BTreeMap<(UnixMillis, RequestId), Note> = BTreeMap::new();
        for told in futures::future::join_all(asked).await {
            match told {
                Ok(notes) => {
                    let keyed =
                        notes.into_iter().map(|note| ((note.entry.made, note.entry.id), note));
                    all.extend(keyed);
                }
                Err(reason) => warn!(
                    reason,
                    "a list may be incomplete: a node did not answer for the entries it holds"
                ),
            }
        }
        all.into_values().rev().take(MAX_NOTES).collect()
    }

    /// The notes with that label that this node holds, the newest first, `most` at most.
    #[must_use]
    pub fn own_notes(&self, label: Label, most: usize) -> Vec<Entry> {
        self.0.shelves.notes.labelled(label, self.0.clock.unix(), most)
    }

    /// What a note that this node holds says.
    pub async fn own_note(&self, id: RequestId) -> Option<Bytes> {
        match self.get_at(self.0.me, Kind::Note, id).await {
            Ok(Found::Body(body)) => Some(body),
            Ok(Found::Deleted | Found::Missing) | Err(_) => None,
        }
    }

    /// Whether a node is there, as far as this one hears.
    #[must_use]
    pub fn is_there(&self, node: NodeId) -> bool {
        node == self.0.me || self.0.gossip.view().peers.get(&node).is_some_and(|peer| peer.alive)
    }

    /// Itself, then who lives, then who seems not to.
    fn in_reach_first(&self, Holders([first, second]): Holders) -> Vec<NodeId> {
        let view = self.0.gossip.view();
        let away = |node: &NodeId| view.peers.get(node).is_none_or(|peer| !peer.alive);
        let mut nodes = vec![first, second];
        nodes.dedup();
        nodes.sort_by_key(|node| (*node != self.0.me, away(node)));
        nodes
    }
}

/// Syncs what was written and drops what has had its time, until the node stops.
async fn keep_tidy(shelves: Arc<Shelves>, clock: Clock, stop: CancellationToken) {
    let mut syncs = tokio::time::interval(SYNC_EVERY);
    let mut tidied = clock.mono();
    loop {
        let last = stop.run_until_cancelled(syncs.tick()).await.is_none();
        let due = clock.mono().since(tidied) >= TIDY_EVERY;
        if due {
            tidied = clock.mono();
        }
        let (shelves, now) = (Arc::clone(&shelves), clock.unix());
        let done = tokio::task::spawn_blocking(move || {
            [&shelves.bodies, &shelves.notes].into_iter().try_for_each(|shelf| {
                if due {
                    shelf.expire(now);
                }
                shelf.sync()
            })
        });
        match done.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "stored bodies cannot be synced: this node exits");
                stop.cancel();
            }
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // Only a node that ends cancels its tasks.
            Err(_) => return,
        }
        if last {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
