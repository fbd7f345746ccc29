//! The listener: accepts clients, speaks HTTP/1.1 and h2c with them, and ends without cutting
//! what is under way. A client that leaves is noticed at once: its request's future is dropped.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use dunlin_llm::client::Peer;
use dunlin_types::Clock;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::server::front::Front;
use crate::server::leftover::Leftover;
use crate::server::metrics::Counts;
use crate::server::room::Room;
use crate::stale;

pub(crate) mod front;
pub(crate) mod leftover;
pub(crate) mod metrics;
mod room;
mod spelling;
pub(crate) mod websocket;

/// Clients beyond this many wait in the kernel's backlog until one leaves; fewer where the system
/// grants fewer open files.
pub const MAX_CONNECTIONS: usize = 20_000;
/// A connection whose client has not sent a whole request head so long after its last answer is
/// closed. Load balancers keep idle ones for 60 s, and answer 502 if a request meets one that was
/// closed just then.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(75);
/// A client that has not sent its first request by then is cut off: hyper waits without a bound for
/// the bytes that tell HTTP/1.1 from h2c.
pub const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that takes nothing of what there is for it for so long, or that has vanished, is cut off.
pub const UNREAD_TIMEOUT: Duration = Duration::from_secs(120);
/// After so much silence a client is asked whether it is there, and so often until it says so.
const ASK_AFTER: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_secs(15);
/// A longer request head is answered 431.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// So is one with more fields.
const MAX_HEAD_FIELDS: usize = 256;
/// Requests that one h2c client may have open at once.
const MAX_STREAMS: u32 = 250;
/// Small windows make hyper's h2 count token-sized frames as abuse.
const H2_WINDOW_BYTES: u32 = 16 << 20;
/// How long a leaving node waits, its listener closed, for requests on connections that were open:
/// each is served and told to be the connection's last. One closed at once could cut a request that
/// is on its way, and its client could not tell whether it was served.
pub const LAST_REQUESTS: Duration = Duration::from_secs(1);
/// How long to wait when the system refuses to accept, for want of file descriptors perhaps.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// What clients have open beside requests: conversations over WebSockets. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Open {
    /// Each conversation.
    pub(crate) tasks: TaskTracker,
    /// Cancelled, no new ones begin, and those that are open end when nobody is in the middle of an
    /// answer.
    pub leaving: CancellationToken,
    /// Cancelled, all end at once.
    pub(crate) cut: CancellationToken,
    pub(crate) counts: Arc<Counts>,
}

/// How much a listener takes on.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections of clients that may be open at once: [`MAX_CONNECTIONS`] at most.
    pub connections: usize,
    /// How long a connection may be idle between two requests: [`KEEP_ALIVE_TIMEOUT`], if nobody says
    /// otherwise.
    pub keep_alive: Duration,
    /// How long open requests may run on after the listener is closed.
    pub drain: Duration,
}

/// A client, where it comes from, and its place among the connections.
type Arrival = (TcpStream, Peer, OwnedSemaphorePermit);

/// Serves `app` until `open.leaving`; then closes the listener at once, waits [`LAST_REQUESTS`] for the
/// connections that are open, lets open requests end within the drain bound, and returns. Dropping
/// the future cuts what is still open.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    front: Front,
    open: Open,
    bounds: Bounds,
    clock: Clock,
) {
    serve_within(listener, app, front, (open, bounds, clock), Patience::default()).await;
}

/// What makes a client too slow.
#[derive(Clone, Copy)]
struct Patience {
    first_request: Duration,
    unread: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first_request: FIRST_REQUEST_TIMEOUT, unread: UNREAD_TIMEOUT }
    }
}

async fn serve_within(
    listener: TcpListener,
    app: Router,
    front: Front,
    (open, bounds, clock): (Open, Bounds, Clock),
    Patience { first_request, unread }: Patience,
) {
    let builder = builder(bounds.keep_alive);
    let most = bounds.connections.min(MAX_CONNECTIONS);
    let room = Room::new(most, clock);
    let graceful = GracefulShutdown::new();
    // Dropped, it cuts them. What has ended is taken out when another one comes.
    let mut connections = JoinSet::new();
    let Open { tasks: conversations, leaving: stop, cut, counts } = open;
    let _cut_when_dropped = cut.drop_guard();
    counts.admits(most);
    let app = app.method_not_allowed_fallback(front::wrong_method);
    let (leaving, counts_of_all) = (stop.clone(), Arc::clone(&counts));
    let desk = Arc::new(Desk { app, front, leaving, counts });

    let mut welcome = |(stream, peer, place): Arrival| {
        while connections.try_join_next().is_some() {}
        let (desk, begun) = (Arc::clone(&desk), Arc::new(Notify::new()));
        let waiting = Arc::clone(&begun);
        let leftover = Leftover::default();
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            begun.notify_one();
            request.extensions_mut().insert(peer);
            let (desk, leftover) = (Arc::clone(&desk), leftover.clone());
            async move { Ok::<_, Infallible>(desk.answer(request, leftover).await) }
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = graceful.watch(connection.into_owned());
        let counted = counts_of_all.connections.raise();
        connections.spawn(async move {
            let _place = place;
            let _counted = counted;
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                begun = tokio::time::timeout(first_request, waiting.notified()) => match begun {
                    Ok(()) => connection.await,
                    Err(_silent) => return debug!("a client that sent no request was cut off"),
                },
            };
            if let Err(error) = ended {
                debug!(%error, "a client's connection ended early");
            }
        });
    };
    while let Some(arrival) = stop.run_until_cancelled(accept(&listener, &room, unread)).await {
        welcome(arrival);
    }
    last_arrivals(listener, &room, unread).into_iter().for_each(welcome);
    let all_left = async { while connections.join_next().await.is_some() {} };
    let _in_time = tokio::time::timeout(LAST_REQUESTS, all_left).await;
    conversations.close();
    let all_ended = async { tokio::join!(graceful.shutdown(), conversations.wait()) };
    if tokio::time::timeout(bounds.drain, all_ended).await.is_err() {
        while connections.try_join_next().is_some() {}
        let (connections, conversations) = (connections.len(), conversations.len());
        warn!(
            connections,
            conversations, "cut requests that were still open after the drain timeout"
        );
    }
}

/// Where the requests of all clients are answered.
struct Desk {
    app: Router,
    front: Front,
    leaving: CancellationToken,
    counts: Arc<Counts>,
}

impl Desk {
    /// `leftover` takes what is not read of the request's body.
    async fn answer(
        &self,
        request: http::Request<Incoming>,
        leftover: Leftover,
    ) -> http::Response<Body> {
        let keeps_alive = request.version() <= Version::HTTP_11;
        // Who waits to be asked for the body has not sent it.
        let is_awaited = request.headers().contains_key(EXPECT);
        let body = |body| match keeps_alive {
            true => Body::new(leftover.watch(body)),
            false => Body::new(body),
        };
        let mut response = front::answer(&self.front, &self.app, request.map(body)).await;
        let goes_on = leftover.is_drained(is_awaited).await;
        self.counts.responds(response.status());
        // The client's next request goes elsewhere. (h2c has GOAWAY, which cuts nothing.)
        let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let leaves = self.leaving.is_cancelled() || self.front.drains();
        if keeps_alive && !is_upgrade && (leaves || !goes_on) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Serves `app` to clients of other nodes, which pass their requests on, until `open.leaving`.
pub async fn serve_passed_on(
    mut requests: mpsc::Receiver<dunlin_rpc::PassedOn>,
    app: Router,
    front: Front,
    open: Open,
) {
    let app = app.method_not_allowed_fallback(front::wrong_method);
    let front = Arc::new(front);
    let next = async |requests: &mut mpsc::Receiver<_>| {
        open.leaving.run_until_cancelled(requests.recv()).await.flatten()
    };
    while let Some(passed_on) = next(&mut requests).await {
        let (app, front, client) = (app.clone(), Arc::clone(&front), passed_on.client);
        let answering = async move |request: http::Request<dunlin_rpc::Body>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(stale::PassedOn);
            if let Some(client) = client {
                request.extensions_mut().insert(Peer(client));
            }
            front::answer(&front, &app, request).await.map(dunlin_rpc::Body::new)
        };
        open.tasks.spawn(passed_on.answer(answering));
    }
}

/// Closes a listener. Clients that were connected and not accepted yet, which that would reset, are
/// taken in as far as there is room.
fn last_arrivals(listener: TcpListener, room: &Room, unread: Duration) -> Vec<Arrival> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let next = || {
        let place = room.free_place()?;
        let (stream, peer) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        prepare(&stream, unread).ok()?;
        Some((TcpStream::from_std(stream).ok()?, Peer(peer.ip().to_canonical()), place))
    };
    std::iter::from_fn(next).collect()
}

/// Has small frames leave at once, and the kernel notice a client that does not read or is gone.
fn prepare(stream: &impl AsFd, unread: Duration) -> io::Result<()> {
    sockopt::set_tcp_nodelay(stream, true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, ASK_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, ASK_EVERY)?;
    let unread = u32::try_from(unread.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(stream, unread)?)
}

async fn accept(listener: &TcpListener, room: &Room, unread: Duration) -> Arrival {
    let place = room.place().await;
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = prepare(&stream, unread) {
                    debug!(%error, "a client left before it was served");
                    continue;
                }
                return (stream, Peer(peer.ip().to_canonical()), place);
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    warn!(%error, "cannot accept client connections: new ones wait until this is over");
                }
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

fn builder(keep_alive: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper counts from the end of the last answer.
        .header_read_timeout(keep_alive)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEAD_FIELDS)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(H2_WINDOW_BYTES)
        .initial_connection_window_size(H2_WINDOW_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Some(Duration::from_secs(20)));
    builder
}

#[cfg(test)]
mod tests;
