//! Opening a connection: a name resolved afresh, TCP, TLS, the check of who answered, HTTP/2.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dunlin_types::NodeId;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tracing::debug;

use crate::error::CallError;
use crate::tls::{self, Stranger};
use crate::{KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, WINDOW_BYTES};

/// Bound on resolving a name, and on each address's TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Addresses tried of those a name resolves to.
const MAX_ADDRESSES: usize = 8;

/// Opens connections as this node.
pub(crate) struct Dialer {
    pub(crate) me: NodeId,
    pub(crate) tls: TlsConnector,
    pub(crate) runtime: Handle,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Dialer {
    /// Connects to the first address of a name behind which the expected node, or any, answers.
    pub(crate) async fn dial(
        &self,
        address: &str,
        expected: Option<NodeId>,
    ) -> Result<(Wire, NodeId), CallError> {
        let mut failure = unreachable(address, "the name has no address");
        for socket in resolve(address).await? {
            let attempt = self.connect(address, socket, expected);
            let error = match timeout(CONNECT_TIMEOUT, attempt).await {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => error,
                Err(_elapsed) => {
                    unreachable(address, format!("{socket} did not answer in {CONNECT_TIMEOUT:?}"))
                }
            };
            // Of several failures, one that names a mistake tells more than one of the network.
            if matches!(failure, CallError::Unreachable { .. }) {
                failure = error;
            }
        }
        Err(failure)
    }

    async fn connect(
        &self,
        address: &str,
        socket: SocketAddr,
        expected: Option<NodeId>,
    ) -> Result<(Wire, NodeId), CallError> {
        let failed = |error: std::io::Error| unreachable(address, format!("{socket}: {error}"));
        let tcp = TcpStream::connect(socket).await.map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        let stream =
            self.tls.connect(tls::shared_name(), tcp).await.map_err(
                |error| match tls::stranger(&error) {
                    Stranger::WrongSecret => CallError::WrongSecret { address: address.to_owned() },
                    Stranger::NotANode => unreachable(
                        address,
                        format!("{socket} does not speak TLS 1.3; is it a node's cluster port?"),
                    ),
                    Stranger::Gone => failed(error),
                },
            )?;
        let Some(found) = tls::node_of(stream.get_ref().1.peer_certificates()) else {
            return Err(unreachable(address, format!("the certificate of {socket} names no node")));
        };
        if found == self.me {
            return Err(CallError::Itself);
        }
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(CallError::WrongTarget { address: address.to_owned(), expected, found });
        }
        let executor = TrackedExecutor { runtime: self.runtime.clone(), tasks: self.tasks.clone() };
        let (sender, connection) = http2::Builder::new(executor)
            .timer(TokioTimer::new())
            .adaptive_window(false)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(address, format!("{socket}: {error}")))?;
        self.drive(connection, found);
        Ok((Wire(sender), found))
    }

    /// Runs a connection until it ends or the node stops.
    fn drive<C>(&self, connection: C, peer: NodeId)
    where
        C: Future<Output = hyper::Result<()>> + Send + 'static,
    {
        let stop = self.stop.clone();
        let run = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = connection => match ended {
                    Ok(()) => debug!(node.id = %peer, "a connection to a node was closed"),
                    Err(error) => {
                        debug!(node.id = %peer, error = %error, "a connection to a node broke");
                    }
                },
            }
        };
        self.tasks.spawn_on(run, &self.runtime);
    }
}

async fn resolve(address: &str) -> Result<Vec<SocketAddr>, CallError> {
    match timeout(CONNECT_TIMEOUT, lookup_host(address)).await {
        Ok(Ok(sockets)) => Ok(sockets.take(MAX_ADDRESSES).collect()),
        Ok(Err(error)) => Err(unreachable(address, format!("cannot resolve it: {error}"))),
        Err(_elapsed) => Err(unreachable(address, "resolving it takes too long")),
    }
}

fn unreachable(address: &str, reason: impl Into<String>) -> CallError {
    CallError::Unreachable { address: address.to_owned(), reason: reason.into() }
}

/// An open connection, as the generated client wants it.
#[derive(Clone)]
pub(crate) struct Wire(SendRequest<Body>);

impl Wire {
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl tower::Service<http::Request<Body>> for Wire {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Spawns hyper's inner tasks where all of this crate's tasks are counted.
#[derive(Clone)]
struct TrackedExecutor {
    runtime: Handle,
    tasks: TaskTracker,
}

impl<F> hyper::rt::Executor<F> for TrackedExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.tasks.spawn_on(task, &self.runtime);
    }
}
