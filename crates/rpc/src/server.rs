//! The receiving end: accepts connections, proves who calls, hands calls to the owners' queues.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use dunlin_proto::v1::answer;
use dunlin_proto::v1::node_server::{Node, NodeServer};
use dunlin_proto::v1::refusal::Cause;
use dunlin_proto::v1::{self, Refusal};
use dunlin_types::{ClusterId, NodeId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tracing::{debug, error, warn};

use crate::clients;
use crate::connection::{Caller, Connection};
use crate::rules;
use crate::strangers::Strangers;
use crate::tls::{self, Stranger};
use crate::{
    Inbox, Incoming, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, MAX_BODY_BYTES, MAX_MESSAGE_BYTES,
    PassedOn, Service, WINDOW_BYTES,
};

/// Raft calls waiting for their owner: it has one append in flight per peer, and votes.
const RAFT_QUEUE: usize = 64;
/// Commands waiting for their owner.
const PROPOSE_QUEUE: usize = 1024;
/// Limit calls waiting for their owner: the busiest service, with the smallest bodies.
const LIMITS_QUEUE: usize = 4096;
/// Questions for money waiting for their owner: a node asks at most once in 50 ms.
const MONEY_QUEUE: usize = 256;
/// Questions about the request log and pieces of its copies waiting for their owner: a node has a few
/// under way.
const RECORDS_QUEUE: usize = 128;
/// Stored bodies on their way, waiting for their owner.
const STORE_QUEUE: usize = 64;
/// Joining nodes waiting for their owner.
const JOIN_QUEUE: usize = 64;
/// Requests of clients, passed on by other nodes, waiting for their owner, who takes them at once.
const CLIENTS_QUEUE: usize = 256;
/// Connections that have not yet proved membership. One more is closed at once.
const MAX_HANDSHAKES: usize = 256;
/// A member needs milliseconds; a stranger may hold a place this long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Proved connections waiting to be served.
const ACCEPTED_QUEUE: usize = 64;
/// Calls in progress on one connection. Owners' queues answer "busy" long before.
const MAX_CALLS_PER_CONNECTION: u32 = 8192;
/// Wait after a failed accept, which mostly means too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long calls in progress may take to end once the node stops.
const DRAIN: Duration = Duration::from_secs(2);

/// What the receiving end needs to run.
pub(crate) struct Server {
    pub(crate) me: NodeId,
    pub(crate) cluster: Arc<ArcSwapOption<ClusterId>>,
    /// Clusters in whose place this one goes on.
    pub(crate) former: Arc<ArcSwap<Vec<ClusterId>>>,
    pub(crate) tls: TlsAcceptor,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Server {
    /// Starts to accept on the current runtime.
    pub(crate) fn start(self, listener: TcpListener) -> Inbox {
        let (accepted, connections) = mpsc::channel(ACCEPTED_QUEUE);
        let (queue, clients) = mpsc::channel(CLIENTS_QUEUE);
        let (queues, inbox) = queues(clients);
        let clients = clients::Desk { me: self.me, cluster: Arc::clone(&self.cluster), queue };
        let calls = Desk { me: self.me, cluster: self.cluster, former: self.former, queues };
        let desks = Desks::new(calls, clients);
        self.tasks.spawn(serve(desks, connections, self.stop.clone()));
        let door = Arc::new(Door { tls: self.tls, accepted, strangers: Strangers::default() });
        let tasks = self.tasks.clone();
        self.tasks.spawn(async move {
            let stop = self.stop;
            tokio::select! {
                () = stop.cancelled() => {}
                () = accept(listener, door, &tasks, &stop) => {}
            }
        });
        inbox
    }
}

/// Accepts connections for as long as it is polled.
async fn accept(
    listener: TcpListener,
    door: Arc<Door>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        let (socket, address) = tokio::select! {
            _ = second.tick() => {
                door.strangers.report();
                continue;
            }
            connection = listener.accept() => match connection {
                Ok(connection) => {
                    told = false;
                    connection
                }
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        warn!(%error, "other nodes cannot connect: they try again");
                    }
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            door.strangers.note(address, "too many connections wait to prove their membership");
            continue;
        };
        let (door, stop) = (door.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = door.receive(socket, address, place) => {}
            }
        });
    }
}

/// Where connections prove membership.
struct Door {
    tls: TlsAcceptor,
    accepted: mpsc::Sender<Connection>,
    strangers: Strangers,
}

/// Either side may be wrong.
const WRONG_SECRET: &str = "the two do not have the same cluster secret (DUNLIN_CLUSTER_SECRET or \
                            `cluster.secret`); if every node is refused so, it is this node's own \
                            that is wrong";

impl Door {
    async fn receive(&self, socket: TcpStream, address: SocketAddr, place: OwnedSemaphorePermit) {
        if let Err(error) = socket.set_nodelay(true) {
            debug!(peer.address = %address, error = %error, "a connection ended at once");
            return;
        }
        let stream = match timeout(HANDSHAKE_TIMEOUT, self.tls.accept(socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                match tls::stranger(&error) {
                    Stranger::WrongSecret => {
                        self.strangers.note(address, WRONG_SECRET);
                    }
                    Stranger::NotANode => {
                        self.strangers.note(address, "it does not speak TLS 1.3");
                    }
                    // Port probes of load balancers and schedulers end up here.
                    Stranger::Gone => debug!(peer.address = %address, "left before a handshake"),
                }
                return;
            }
            Err(_elapsed) => {
                self.strangers.note(address, "it did not prove its membership in time");
                return;
            }
        };
        drop(place);
        let Some(caller) = tls::node_of(stream.get_ref().1.peer_certificates()) else {
            self.strangers.note(address, "its certificate names no node");
            return;
        };
        debug!(node.id = %caller, peer.address = %address, "a node connected");
        if self.accepted.send(Connection { stream, caller: Caller(caller) }).await.is_err() {
            debug!(node.id = %caller, "stopping: a connection is not served");
        }
    }
}

/// Serves proved connections until the node stops.
async fn serve(service: Desks, connections: mpsc::Receiver<Connection>, stop: CancellationToken) {
    let incoming = ReceiverStream::new(connections).map(Ok::<_, Infallible>);
    let serving = tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_adaptive_window(Some(false))
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .max_concurrent_streams(MAX_CALLS_PER_CONNECTION)
        .serve_with_incoming_shutdown(service, incoming, stop.clone().cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        sleep(DRAIN).await;
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            error!(error = %error, "can no longer serve calls from other nodes");
            stop.cancel();
        },
        () = overdue => debug!("calls of other nodes were still open at the end"),
    }
}

/// What a connection leads to: calls, and requests of clients that are passed on.
#[derive(Clone)]
struct Desks {
    calls: NodeServer<Desk>,
    clients: Arc<clients::Desk>,
}

impl Desks {
    fn new(calls: Desk, clients: clients::Desk) -> Self {
        let calls = NodeServer::new(calls)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self { calls, clients: Arc::new(clients) }
    }
}

impl tower::Service<http::Request<Body>> for Desks {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        tower::Service::<http::Request<Body>>::poll_ready(&mut self.calls, context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if !clients::is_passed_on(request.uri()) {
            return self.calls.call(request);
        }
        let clients = Arc::clone(&self.clients);
        Box::pin(async move { Ok(clients.take(request).await) })
    }
}

struct Queues {
    raft: mpsc::Sender<Incoming>,
    propose: mpsc::Sender<Incoming>,
    limits: mpsc::Sender<Incoming>,
    money: mpsc::Sender<Incoming>,
    records: mpsc::Sender<Incoming>,
    store: mpsc::Sender<Incoming>,
    join: mpsc::Sender<Incoming>,
}

fn queues(clients: mpsc::Receiver<PassedOn>) -> (Queues, Inbox) {
    let (raft_in, raft) = mpsc::channel(RAFT_QUEUE);
    let (propose_in, propose) = mpsc::channel(PROPOSE_QUEUE);
    let (limits_in, limits) = mpsc::channel(LIMITS_QUEUE);
    let (money_in, money) = mpsc::channel(MONEY_QUEUE);
    let (records_in, records) = mpsc::channel(RECORDS_QUEUE);
    let (store_in, store) = mpsc::channel(STORE_QUEUE);
    let (join_in, join) = mpsc::channel(JOIN_QUEUE);
    let queues = Queues {
        raft: raft_in,
        propose: propose_in,
        limits: limits_in,
        money: money_in,
        records: records_in,
        store: store_in,
        join: join_in,
    };
    (queues, Inbox { raft, propose, limits, money, records, store, join, clients })
}

/// Applies the rules and passes calls on.
struct Desk {
    me: NodeId,
    cluster: Arc<ArcSwapOption<ClusterId>>,
    former: Arc<ArcSwap<Vec<ClusterId>>>,
    queues: Queues,
}

#[tonic::async_trait]
impl Node for Desk {
    async fn call(
        &self,
        call: tonic::Request<v1::Request>,
    ) -> Result<tonic::Response<v1::Answer>, tonic::Status> {
        let Caller(caller) = *call.extensions().get().expect("every connection carries its caller");
        let result = match self.pass_on(caller, call.into_inner()).await {
            Ok(body) => answer::Result::Body(body),
            Err(refusal) => answer::Result::Refusal(refusal),
        };
        Ok(tonic::Response::new(v1::Answer { result: Some(result) }))
    }
}

impl Desk {
    async fn pass_on(&self, caller: NodeId, call: v1::Request) -> Result<bytes::Bytes, Refusal> {
        let ours = self.cluster.load().as_deref().copied();
        let former = self.former.load_full();
        let service =
            rules::admit(self.me, (ours, &former), caller, &call).inspect_err(|refusal| {
                debug!(node.id = %caller, reason = refusal.reason, "refused a call");
            })?;
        let (reply, answer) = oneshot::channel();
        let queue = match service {
            Service::Raft => &self.queues.raft,
            Service::Propose => &self.queues.propose,
            Service::Limits => &self.queues.limits,
            Service::Money => &self.queues.money,
            Service::Records => &self.queues.records,
            Service::Store => &self.queues.store,
            Service::Join => &self.queues.join,
        };
        queue.try_send(Incoming { from: caller, body: call.body, reply }).map_err(|full| {
            let cause = match full {
                mpsc::error::TrySendError::Full(_) => Cause::Busy,
                mpsc::error::TrySendError::Closed(_) => Cause::Refused,
            };
            rules::refusal(cause, format!("node {} takes no more {service:?} calls", self.me))
        })?;
        match answer.await {
            Ok(Ok(body)) if body.len() <= MAX_BODY_BYTES => Ok(body),
            Ok(Ok(body)) => {
                let reason = format!("the answer of {} bytes is too large", body.len());
                Err(rules::refusal(Cause::Refused, reason))
            }
            Ok(Err(refused)) => Err(rules::refusal(Cause::Refused, refused.reason)),
            Err(_dropped) => {
                let reason = format!("node {} dropped the call", self.me);
                Err(rules::refusal(Cause::Refused, reason))
            }
        }
    }
}
