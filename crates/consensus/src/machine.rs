//! The state machine: applies committed entries to the pure `State` and publishes the result.
//!
//! The proposer of a command on this node learns its outcome here, where it is applied, so an
//! answer is never older than the published state. A leader's responders are kept until then too.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use bytes::Bytes;
use dunlin_state::{Entry, Rejected, Reply, State};
use dunlin_types::{Epoch, NodeId};
use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tokio::sync::{oneshot, watch};

use crate::error::Error;
use crate::raft::{LogId, Membership, Stamped, Types};
use crate::snapshot::{self, Snapshots};

pub(crate) type Outcome = Result<Reply, Rejected>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;
pub(crate) type Snapshot = openraft::type_config::alias::SnapshotOf<Types, Bytes>;

/// What the state machine shows to the rest of the node.
pub(crate) struct Published {
    state: ArcSwap<State>,
    applied: watch::Sender<u64>,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Outcome>>>,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self {
            state: ArcSwap::from_pointee(State::new()),
            applied: watch::Sender::new(0),
            waiting: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The index of the last applied entry; 0 before any.
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Registers interest in this node's own command; dropping the receiver ends it.
    pub(crate) fn outcome_of(&self, sequence: u64) -> oneshot::Receiver<Outcome> {
        let (tell, outcome) = oneshot::channel();
        let mut waiting = self.waiting.lock().expect("no holder panics");
        waiting.retain(|_, tell| !tell.is_closed());
        waiting.insert(sequence, tell);
        outcome
    }

    fn publish(&self, core: &Core, outcomes: Vec<(u64, Outcome)>) {
        self.state.store(Arc::new(core.state.clone()));
        if !outcomes.is_empty() {
            let mut waiting = self.waiting.lock().expect("no holder panics");
            for (sequence, outcome) in outcomes {
                if let Some(tell) = waiting.remove(&sequence) {
                    // The one who asked may have given up.
                    drop(tell.send(outcome));
                }
            }
        }
        self.applied.send_replace(core.last.map_or(0, |id| id.index));
    }
}

/// All that a snapshot holds.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) state: State,
    pub(crate) last: Option<LogId>,
    pub(crate) membership: Membership,
}

impl Core {
    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.last, last_membership: self.membership.clone() }
    }

    pub(crate) fn apply(
        &mut self,
        log_id: LogId,
        payload: EntryPayload<Stamped, u64, openraft::BasicNode>,
    ) -> Option<(Arc<Entry>, Outcome)> {
        let outcome = match payload {
            EntryPayload::Blank => {
                self.state.skip(log_id.index);
                None
            }
            EntryPayload::Normal(Stamped { at, entry }) => {
                let outcome = self.state.apply(log_id.index, at, &entry);
                Some((entry, outcome))
            }
            EntryPayload::Membership(membership) => {
                self.state.skip(log_id.index);
                self.membership = Membership::new(Some(log_id), membership);
                None
            }
        };
        self.last = Some(log_id);
        outcome
    }
}

/// The state machine as openraft drives it.
pub(crate) struct Machine {
    core: Core,
    me: (NodeId, Epoch),
    published: Arc<Published>,
    snapshots: Arc<Snapshots>,
}

impl Machine {
    /// Starts from the last snapshot, if there is one.
    pub(crate) fn open(
        me: (NodeId, Epoch),
        snapshots: Arc<Snapshots>,
        published: Arc<Published>,
    ) -> Result<Self, Error> {
        let core = match snapshots.read()? {
            Some(file) => snapshots.parse(&file).map_err(|why| snapshots.unread(why))?,
            None => Core { state: State::new(), last: None, membership: Membership::default() },
        };
        published.publish(&core, Vec::new());
        Ok(Self { core, me, published, snapshots })
    }

    /// The index after the last one the snapshot holds.
    pub(crate) fn next_index(&self) -> u64 {
        self.core.last.map_or(0, |id| id.index + 1)
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), io::Error> {
        Ok((self.core.last, self.core.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut outcomes = Vec::new();
        let mut responders = Vec::new();
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            responders.extend(responder);
            if let Some((command, outcome)) = self.core.apply(entry.log_id, entry.payload) {
                let id = command.id;
                if (id.node, id.epoch) == self.me {
                    outcomes.push((id.seq, outcome));
                }
            }
        }
        self.published.publish(&self.core, outcomes);
        for responder in responders {
            responder.send(());
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { core: self.core.clone(), snapshots: Arc::clone(&self.snapshots) }
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta,
        file: Bytes,
    ) -> Result<(), io::Error> {
        let snapshots = Arc::clone(&self.snapshots);
        let core = blocking(move || {
            let core = snapshots
                .parse(&file)
                .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
            snapshots.keep(core.last, &file)?;
            Ok(core)
        })
        .await?;
        self.core = core;
        self.published.publish(&self.core, Vec::new());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let snapshots = Arc::clone(&self.snapshots);
        blocking(move || {
            let Some(file) = snapshots.read().map_err(io::Error::other)? else { return Ok(None) };
            let meta = snapshot::meta(&file)
                .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
            Ok(Some(Snapshot { meta, snapshot: file }))
        })
        .await
    }
}

/// Writes a snapshot of one moment while the machine goes on.
pub(crate) struct Builder {
    core: Core,
    snapshots: Arc<Snapshots>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let (core, snapshots) = (self.core.clone(), Arc::clone(&self.snapshots));
        blocking(move || {
            let file = snapshots.write(&core)?;
            Ok(Snapshot { meta: core.meta(), snapshot: file })
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
