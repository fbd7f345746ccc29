//! Placeholder.

use dunlin_consensus::Consensus;
use dunlin_rpc::{Incoming, Rpc};
use dunlin_state::Caller;
use dunlin_types::{Clock, Epoch, NodeId, Tokens};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Demand;
use crate::refusal::{LimitStatus, Refusal};

pub(crate) struct Deps {
    pub(crate) me: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) clock: Clock,
    pub(crate) consensus: Consensus,
    pub(crate) rpc: Rpc,
    pub(crate) inbox: mpsc::Receiver<Incoming>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}
#[derive(Clone)]
pub(crate) struct Limits;
pub(crate) struct Reservation;
impl Limits {
    pub(crate) fn start(_deps: Deps) -> Self {
        Self
    }
    pub(crate) async fn reserve(
        &self,
        _caller: &Caller,
        _demand: Demand,
    ) -> Result<Reservation, Refusal> {
        Ok(Reservation)
    }
}
impl Reservation {
    pub(crate) fn status(&self) -> &[LimitStatus] {
        &[]
    }
    pub(crate) fn settle(self, _actual: Tokens) {}
}
