//! Admits requests within their key's limits, and settles what they cost.

mod refusal;

use std::time::Duration;

use dunlin_consensus::Consensus;
use dunlin_journal::{Journal, OlderEpoch, SpendRecord};
use dunlin_rpc::{Incoming, Rpc};
use dunlin_state::Caller;
use dunlin_types::{Clock, Epoch, KeyDigest, NanoUsd, NodeId, RequestId, Tokens};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use dunlin_limiter::Limited;
pub use refusal::{Error, LimitStatus, RateLimited, Refusal};

/// What admission needs of its node.
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// This life of it.
    pub epoch: Epoch,
    /// Where background tasks run.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

/// What admission is built on.
pub struct Parts {
    /// Time.
    pub clock: Clock,
    /// The replicated state.
    pub consensus: Consensus,
    /// This node's journal.
    pub journal: Journal,
    /// Former lives whose records may not be settled yet, as `Journal::open` told.
    pub older: Vec<OlderEpoch>,
    /// Calls to other nodes.
    pub rpc: Rpc,
    /// The calls of other nodes, for `Service::Limits`.
    pub limits: mpsc::Receiver<Incoming>,
}

/// What a request will take, as far as known.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// The request. Unique in the cluster.
    pub request: RequestId,
    /// Its prompt and the most it may be answered, estimated.
    pub tokens: Tokens,
}

/// Admits requests and settles them. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    parts: std::sync::Arc<Parts>,
}

impl Admission {
    /// Starts on the current runtime.
    #[must_use]
    pub fn start(_config: Config, parts: Parts) -> Self {
        Self { parts: std::sync::Arc::new(parts) }
    }

    /// The bearer of a key.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`], [`Refusal::Blocked`], [`Refusal::Expired`], [`Refusal::CannotKnow`]
    /// and [`Refusal::Overloaded`].
    pub async fn caller(&self, _key: KeyDigest) -> Result<Caller, Refusal> {
        std::future::ready(Err(Refusal::UnknownKey)).await
    }

    /// Takes what a request demands of its key's limits; `None` is the master key, without limits.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`], [`Refusal::CannotKnow`] and [`Refusal::Overloaded`].
    pub async fn admit(&self, _caller: Option<&Caller>, demand: Demand) -> Result<Permit, Refusal> {
        std::future::ready(Ok(Permit { request: demand.request, admission: self.clone() })).await
    }

    /// What a key has spent: what is settled, and what of this node is not settled yet.
    #[must_use]
    pub fn key_spend(&self, key: &KeyDigest) -> NanoUsd {
        self.parts.consensus.state().spend(key)
    }

    /// Waits until all spend of this node is settled, at most `most`. Returns whether it is.
    pub async fn settle_all(&self, _most: Duration) -> bool {
        std::future::ready(true).await
    }
}

/// An admitted request. Dropped unsettled, it is voided.
pub struct Permit {
    request: RequestId,
    admission: Admission,
}

impl Permit {
    /// The limits of the key after this request took of them.
    #[must_use]
    pub fn limits(&self) -> &[LimitStatus] {
        &[]
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// Cached tokens of the prompt do not count against a limit of tokens.
    pub fn exclude_cached(&mut self, _cached: Tokens) {}

    /// Writes the record, frees what was taken and not used. Returns what the key has spent.
    ///
    /// # Errors
    /// The record could not be written; what was taken is freed all the same.
    pub fn settle(self, record: &SpendRecord) -> Result<Option<NanoUsd>, Error> {
        self.admission.parts.journal.append(record)?;
        Ok(record.key.map(|key| self.admission.key_spend(&key)))
    }
}
