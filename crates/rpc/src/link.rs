//! A peer as seen from here: its address and one connection, opened when first needed and again
//! whenever it is found closed.

use std::sync::Arc;
use std::time::Duration;

use dunlin_types::NodeId;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use crate::dial::{Dialer, Wire};
use crate::error::CallError;

/// After a failed attempt, calls fail with its cause for this long before the next attempt: a dead
/// or foreign peer is not hammered.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Calls under way over one link. One more is answered "busy" without being sent.
const MAX_CALLS: usize = 4096;

/// One connection to one peer.
pub(crate) struct Link {
    peer: NodeId,
    pub(crate) address: Arc<str>,
    /// A place for each call under way, connecting included.
    pub(crate) places: Semaphore,
    dialer: Arc<Dialer>,
    phase: watch::Sender<Phase>,
}

enum Phase {
    Unused,
    Connecting,
    Open(Wire),
    Failed { cause: CallError, resting: bool },
}

impl Link {
    pub(crate) fn new(peer: NodeId, address: Arc<str>, dialer: Arc<Dialer>) -> Arc<Self> {
        let (places, phase) = (Semaphore::new(MAX_CALLS), watch::Sender::new(Phase::Unused));
        Arc::new(Self { peer, address, places, dialer, phase })
    }

    /// The open connection, or the outcome of opening one.
    ///
    /// The attempt is a task of its own: a caller with less patience than a handshake takes must
    /// not abort it for everyone, or an impatient service would never connect.
    pub(crate) async fn wire(self: &Arc<Self>) -> Result<Wire, CallError> {
        let mut settled = self.phase.subscribe();
        let mine = self.phase.send_if_modified(|phase| {
            let needed = match phase {
                Phase::Unused => true,
                Phase::Open(wire) => wire.is_closed(),
                Phase::Connecting => false,
                Phase::Failed { resting, .. } => !*resting,
            };
            if needed {
                *phase = Phase::Connecting;
            }
            needed
        });
        if mine {
            self.dialer.tasks.spawn_on(self.clone().open(), &self.dialer.runtime);
        }
        let phase = settled
            .wait_for(|phase| matches!(phase, Phase::Open(_) | Phase::Failed { .. }))
            .await
            .expect("the link, which is borrowed, holds the sender");
        match &*phase {
            Phase::Open(wire) => Ok(wire.clone()),
            Phase::Failed { cause, .. } => Err(cause.clone()),
            Phase::Unused | Phase::Connecting => unreachable!("waited for one of the other two"),
        }
    }

    async fn open(self: Arc<Self>) {
        let stop = &self.dialer.stop;
        let opened = tokio::select! {
            () = stop.cancelled() => Err(CallError::Stopping),
            opened = self.dialer.dial(&self.address, Some(self.peer)) => opened,
        };
        let cause = match opened {
            Ok((wire, _peer)) => {
                self.phase.send_replace(Phase::Open(wire));
                return;
            }
            Err(cause) => cause,
        };
        tracing::debug!(node.id = %self.peer, error = %cause, "cannot connect to a node");
        self.phase.send_replace(Phase::Failed { cause: cause.clone(), resting: true });
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(RECONNECT_PAUSE) => {}
        }
        self.phase.send_replace(Phase::Failed { cause, resting: false });
    }
}
