//! Leaving service without a stop: a node that drains leaves its clients to other nodes, finishes what
//! it has begun, and gives back what it holds of budgets. Limits go on being counted here: this node
//! stays a member, and the owner of its limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin_types::NanoUsd;

use crate::Admission;

/// How often a leaving node looks whether all is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
        // What is open still is counted by whoever asked.
        drop(tokio::time::timeout(within, idle).await);
    }

    /// Of a node that drains: waits until what it has recorded is settled, and what it was granted of
    /// budgets and has not spent is given back, but no longer than `within`. Says how much of budgets is
    /// granted to it still: that is free when the node has started again, or is removed and reclaimed.
    pub async fn hand_over(&self, within: Duration) -> NanoUsd {
        let granted = || self.0.consensus.state().granted_to(self.0.me);
        let handing = async {
            self.settle_all(within).await;
            while granted() > NanoUsd::ZERO {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        drop(tokio::time::timeout(within, handing).await);
        granted()
    }
}
