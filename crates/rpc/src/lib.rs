//! Calls between the nodes of a cluster: one HTTP/2 server and connections to peers, over mutual
//! TLS 1.3 derived from the cluster secret.
//!
//! Knows no crate above it: bodies are bytes, and incoming calls wait for their owner in one
//! bounded queue per service. It also does not know which nodes are members; it proves that a peer
//! has the cluster secret, which node it is, and that both ends mean the same cluster.
//!
//! Invariants: no call reaches an owner unless the caller's certificate, its claimed id, the
//! intended node and the cluster all agree (`rules.rs`); nothing leaves this process in the clear;
//! an address is resolved again for every connection; Raft and the request log have their own
//! connections, so that large bodies delay neither heartbeats nor what requests wait for. Read
//! `rules.rs` first, then `tls.rs`.

mod choice;
mod clients;
mod connection;
mod dial;
mod error;
mod link;
mod rules;
mod server;
mod strangers;
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use dunlin_proto::v1::node_client::NodeClient;
use dunlin_proto::v1::refusal::Cause;
use dunlin_proto::v1::{self, answer};
use dunlin_types::{ClusterId, NodeId, Secrets};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use clients::PassedOn;
use dial::{Dialer, Wire};
pub use error::{CallError, Error};
use link::Link;
/// A request's or an answer's bytes, as they come.
pub use tonic::body::Body;

/// The largest body of one call or answer.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// A body and the envelope around it.
const MAX_MESSAGE_BYTES: usize = MAX_BODY_BYTES + 4096;
/// The HTTP/2 window of each connection and stream. Fixed: adaptive windows make h2 drop whole
/// connections that carry many small frames.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// How often an idle or waiting connection is probed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a probe may go unanswered before the connection counts as broken.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What node-to-node calls need to start.
pub struct Config {
    /// This node.
    pub me: NodeId,
    /// The TCP address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The cluster secret, from which the certificates are derived, and the one before it.
    pub secrets: Secrets,
    /// Where background tasks run.
    pub tasks: TaskTracker,
    /// Ends them: calls out end at once, calls in may take two more seconds. Cancelled by this
    /// crate if it can no longer serve.
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
    /// Calls to nodes that have money of a budget which the caller lacks.
    Money,
    /// Rows of the request log, and copies of it, on a connection of their own.
    Records,
    /// Calls to nodes that hold bodies which clients have stored.
    Store,
    /// Forming and joining: the only service open between nodes without a common cluster.
    Join,
}

/// The calls that came in, one bounded queue per service. Callers are told "busy" while it is full.
pub struct Inbox {
    /// For [`Service::Raft`].
    pub raft: mpsc::Receiver<Incoming>,
    /// For [`Service::Propose`].
    pub propose: mpsc::Receiver<Incoming>,
    /// For [`Service::Limits`].
    pub limits: mpsc::Receiver<Incoming>,
    /// For [`Service::Money`].
    pub money: mpsc::Receiver<Incoming>,
    /// For [`Service::Records`].
    pub records: mpsc::Receiver<Incoming>,
    /// For [`Service::Store`].
    pub store: mpsc::Receiver<Incoming>,
    /// For [`Service::Join`].
    pub join: mpsc::Receiver<Incoming>,
    /// Requests of clients that other nodes pass on; see [`Rpc::pass_on`].
    pub clients: mpsc::Receiver<PassedOn>,
}

/// One call that came in. Dropped without an answer, it is refused.
#[derive(Debug)]
pub struct Incoming {
    /// The caller, as its certificate says.
    pub from: NodeId,
    /// What it sent: at most [`MAX_BODY_BYTES`].
    pub body: Bytes,
    reply: oneshot::Sender<Result<Bytes, Refused>>,
}

impl Incoming {
    /// Answers the call. An answer to a caller that has left goes nowhere.
    pub fn answer(self, answer: Result<Bytes, Refused>) {
        // A caller that left is not this owner's concern.
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
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    cluster: Arc<ArcSwapOption<ClusterId>>,
    former: Arc<ArcSwap<Vec<ClusterId>>>,
    dialer: Arc<Dialer>,
    /// As many as there are members and candidates for membership; removed ones are forgotten.
    peers: Mutex<BTreeMap<NodeId, Peer>>,
}

/// The connections to one peer.
struct Peer {
    raft: Arc<Link>,
    records: Arc<Link>,
    others: Arc<Link>,
    /// For requests of clients, whose bodies may be long.
    clients: Arc<Link>,
}

impl Rpc {
    /// Listens, and starts to answer on the current runtime. All connections live on it, also
    /// those that calls from another runtime cause.
    ///
    /// # Errors
    /// The address cannot be listened on, or no certificate can be made.
    pub fn start(config: Config) -> Result<(Self, Inbox), Error> {
        let Config { me, listen, secrets, tasks, stop } = config;
        let cannot_listen = |source| Error::Listen { address: listen, source };
        let credentials = tls::credentials(&secrets, me)?;
        let listener = bind(listen).map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let cluster = Arc::new(ArcSwapOption::empty());
        let former = Arc::new(ArcSwap::default());
        let inbox = server::Server {
            me,
            cluster: cluster.clone(),
            former: former.clone(),
            tls: credentials.server.into(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        }
        .start(listener);
        let tls = credentials.client.into();
        let dialer = Arc::new(Dialer { me, tls, runtime: Handle::current(), tasks, stop });
        let shared = Shared { address, cluster, former, dialer, peers: Mutex::default() };
        Ok((Self { shared: Arc::new(shared) }, inbox))
    }

    /// The TCP address listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Makes every later call one of this cluster, in both directions.
    pub fn enter_cluster(&self, cluster: ClusterId) {
        self.shared.cluster.store(Some(Arc::new(cluster)));
    }

    /// Tells callers from one of these clusters that the entered one continues in its place.
    pub fn supersede(&self, former: Vec<ClusterId>) {
        self.shared.former.store(Arc::new(former));
    }

    /// The cluster entered, if any.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.shared.cluster.load().as_deref().copied()
    }

    /// Where a peer is: host and port. A different address replaces the one known, and the
    /// connections made to it.
    pub fn learn(&self, peer: NodeId, address: &str) {
        let mut peers = self.shared.peers.lock().expect("no panic while it is held");
        if peers.get(&peer).is_some_and(|known| &*known.raft.address == address) {
            return;
        }
        let link = || Link::new(peer, address.into(), self.shared.dialer.clone());
        let (raft, records, others, clients) = (link(), link(), link(), link());
        peers.insert(peer, Peer { raft, records, others, clients });
    }

    /// A peer is gone for good: nobody calls it any more.
    pub fn forget(&self, peer: NodeId) {
        self.shared.peers.lock().expect("no panic while it is held").remove(&peer);
    }

    /// Calls a service of a peer and waits for its answer, at most `timeout`.
    ///
    /// # Errors
    /// See [`CallError`] for which causes leave open whether the peer acted.
    pub async fn call(
        &self,
        to: NodeId,
        service: Service,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        if to == self.shared.dialer.me {
            return Err(CallError::Itself);
        }
        let link = self.link(to, service)?;
        let _place = link.places.try_acquire().map_err(|_full| CallError::Busy)?;
        let exchange = async {
            let wire = link.wire().await?;
            self.exchange(wire, &link.address, Some(to), service, body).await
        };
        within(timeout, exchange).await
    }

    /// Calls a service of whichever node answers at an address, on a connection of its own. Every
    /// service but [`Service::Join`] refuses such calls.
    ///
    /// # Errors
    /// As [`Rpc::call`].
    pub async fn call_address(
        &self,
        address: &str,
        service: Service,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(NodeId, Bytes), CallError> {
        let exchange = async {
            let (wire, peer) = self.shared.dialer.dial(address, None).await?;
            Ok((peer, self.exchange(wire, address, None, service, body).await?))
        };
        within(timeout, exchange).await
    }

    /// Passes a client's request on to another node, whole, and waits for the head of its answer;
    /// both bodies stream. Without a bound: the client's leaving ends it, and a node that falls
    /// silent ends it within seconds.
    ///
    /// # Errors
    /// As [`Rpc::call`]; after [`CallError::Lost`] the other node may have acted on it.
    pub async fn pass_on<B>(
        &self,
        to: NodeId,
        client: Option<IpAddr>,
        request: http::Request<B>,
    ) -> Result<http::Response<hyper::body::Incoming>, CallError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let ours = self.cluster();
        let cluster =
            ours.ok_or(CallError::WrongCluster { ours, theirs: ours, superseded: false })?;
        let link = {
            let peers = self.shared.peers.lock().expect("no panic while it is held");
            let peer = peers.get(&to).ok_or(CallError::UnknownPeer { node: to })?;
            peer.clients.clone()
        };
        let _place = link.places.try_acquire().map_err(|_full| CallError::Busy)?;
        let mut request = request.map(tonic::body::Body::new);
        clients::seal(&mut request, (to, cluster), client);
        let mut wire = link.wire().await?;
        let answer = tower::Service::call(&mut wire, request).await;
        let lost = |error: hyper::Error| CallError::Lost {
            address: link.address.to_string(),
            reason: error.to_string(),
        };
        clients::open(answer.map_err(lost)?)
    }

    /// Whether a client's request could be passed on to a node now: there is room and a connection,
    /// or one can be made.
    pub async fn can_pass_on(&self, to: NodeId) -> bool {
        let link = {
            let peers = self.shared.peers.lock().expect("no panic while it is held");
            peers.get(&to).map(|peer| peer.clients.clone())
        };
        match link {
            Some(link) => link.places.available_permits() > 0 && link.wire().await.is_ok(),
            None => false,
        }
    }

    fn link(&self, to: NodeId, service: Service) -> Result<Arc<Link>, CallError> {
        let peers = self.shared.peers.lock().expect("no panic while it is held");
        let peer = peers.get(&to).ok_or(CallError::UnknownPeer { node: to })?;
        Ok(match service {
            Service::Raft => peer.raft.clone(),
            Service::Records => peer.records.clone(),
            Service::Propose
            | Service::Limits
            | Service::Money
            | Service::Store
            | Service::Join => peer.others.clone(),
        })
    }

    /// Sends one call over an open connection.
    async fn exchange(
        &self,
        wire: Wire,
        address: &str,
        to: Option<NodeId>,
        service: Service,
        body: Bytes,
    ) -> Result<Bytes, CallError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(CallError::TooLarge { bytes: body.len() });
        }
        let ours = self.cluster();
        let call = v1::Request {
            from: self.shared.dialer.me.0,
            to: to.map(|node| node.0),
            cluster: ours.map(rules::cluster_bytes),
            service: rules::wire_service(service).into(),
            body,
        };
        let answer = NodeClient::with_origin(wire, http::Uri::from_static("https://node.dunlin"))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
            .call(call)
            .await;
        let lost = |reason| CallError::Lost { address: address.to_owned(), reason };
        match answer.map(|answer| answer.into_inner().result) {
            Ok(Some(answer::Result::Body(body))) => Ok(body),
            Ok(Some(answer::Result::Refusal(refusal))) => Err(refused(ours, refusal)),
            Ok(None) => Err(lost("an empty answer came back".to_owned())),
            Err(status) => Err(lost(status.message().to_owned())),
        }
    }
}

fn refused(ours: Option<ClusterId>, refusal: v1::Refusal) -> CallError {
    match refusal.cause() {
        Cause::Unspecified | Cause::Refused | Cause::WrongTarget => {
            CallError::Refused { reason: refusal.reason }
        }
        Cause::Busy => CallError::Busy,
        Cause::Itself => CallError::Itself,
        Cause::WrongCluster => {
            let theirs = rules::cluster_of(refusal.cluster.as_ref());
            CallError::WrongCluster { ours, theirs, superseded: refusal.superseded }
        }
    }
}

async fn within<T>(
    after: Duration,
    exchange: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    // Large, and part of much that seldom calls another node: boxed, it is not copied with that.
    timeout(after, Box::pin(exchange)).await.unwrap_or(Err(CallError::TimedOut { after }))
}

fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
