//! Leaving service without a stop: a node that drains leaves its clients to other nodes, finishes what
//! it has begun, and hands over what it holds of budgets and counts of limits. It stays a member.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin_types::{NanoUsd, NodeId};

use crate::Admission;

/// How often a leaving node looks whether all is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a node that drains has not handed over.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// How much of budgets is granted to it still: that is free when the node has started again, or is
    /// removed and reclaimed.
    pub granted: NanoUsd,
    /// Whether it counts limits: there is no other node, or not all of them know yet.
    pub owns_limits: bool,
}

/// Whether the node drains.
#[derive(Default)]
pub(crate) struct Drain(AtomicBool);

impl Admission {
    /// From here on other nodes are to serve this one's clients. Says whether that is new.
    pub fn drain(&self) -> bool {
        self.0.money.leave(true);
        !self.0.drain.0.swap(true, Ordering::Relaxed)
    }

    /// This node serves its clients again. Says whether that is new.
    pub fn resume(&self) -> bool {
        self.0.money.leave(false);
        self.0.drain.0.swap(false, Ordering::Relaxed)
    }

    /// Whether other nodes are to serve this one's clients.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.drain.0.load(Ordering::Relaxed)
    }

    /// Requests that were admitted and are not settled yet, open streams included.
    #[must_use]
    pub fn open_requests(&self) -> u64 {
        self.0.slots.taken()
    }

    /// Waits until no admitted request is open, or this node serves again, but no longer than `within`.
    pub async fn until_idle(&self, within: Duration) {
        let idle = async {
            while self.open_requests() > 0 && self.is_draining() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // What is still open is counted by the caller.
        drop(tokio::time::timeout(within, idle).await);
    }

    /// Of a node that drains: waits until what it has recorded is settled, what it was granted of
    /// budgets and has not spent is given back, and others count the limits that it counted, if
    /// there are others; but no longer than `within`. Says what is left.
    pub async fn hand_over(&self, within: Duration) -> Left {
        let state = || self.0.consensus.state();
        let granted = || state().granted_to(self.0.me);
        let takes_over = |node: NodeId| node != self.0.me && self.0.consensus.takes_clients(node);
        let owns =
            || !self.0.limits.has_handed_over() && state().nodes().into_keys().any(takes_over);
        let handing = async {
            self.settle_all(within).await;
            while (granted() > NanoUsd::ZERO || owns()) && self.is_draining() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        drop(tokio::time::timeout(within, handing).await);
        Left { granted: granted(), owns_limits: !self.0.limits.has_handed_over() }
    }
}
