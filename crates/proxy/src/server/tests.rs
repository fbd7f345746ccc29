//! Clients of the listener: slow ones, silent ones, those that leave, and an end in good order.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use dunlin_types::{MonoMillis, UnixMillis};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

const LONG: Duration = Duration::from_secs(5);
const BOUNDS: Bounds =
    Bounds { connections: MAX_CONNECTIONS, keep_alive: LONG, drain: Duration::ZERO };
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: n1\r\n\r\n";

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// A server that ends when the set is dropped.
async fn start(patience: Patience) -> (SocketAddr, JoinSet<()>) {
    start_until(Open::default(), hello(), patience).await
}

async fn start_until(open: Open, app: Router, patience: Patience) -> (SocketAddr, JoinSet<()>) {
    start_within((open, BOUNDS), app, patience).await
}

async fn start_within(
    (open, bounds): (Open, Bounds),
    app: Router,
    patience: Patience,
) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let mut server = JoinSet::new();
    let clock = Clock::new(UnixMillis::default, MonoMillis::default);
    let how = (open, bounds, clock);
    server.spawn(serve_within(listener, app, Front::default(), how, patience));
    (address, server)
}

async fn connect(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.expect("a connection");
    client.write_all(bytes.as_bytes()).await.expect("written");
    client
}

async fn read_hello(client: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert!(client.read_buf(&mut answer).await.expect("readable") > 0, "closed");
    }
}

#[tokio::test]
async fn a_client_that_sends_no_request_is_cut_off_and_one_that_did_is_not() {
    let first_request = Duration::from_millis(100);
    let (address, _server) = start(Patience { first_request, ..Patience::default() }).await;
    let mut asked = connect(address, REQUEST).await;
    read_hello(&mut asked).await;
    for opening in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut silent = connect(address, opening).await;
        let mut told = Vec::new();
        let end = timeout(LONG / 2, silent.read_to_end(&mut told)).await;
        assert!(end.is_ok(), "still open after {opening:?}");
    }
    // Those came later and their time is up: so is that of the first one.
    asked.write_all(REQUEST.as_bytes()).await.expect("written");
    read_hello(&mut asked).await;
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_the_next_request_and_closed_in_the_end() {
    let bounds = Bounds { keep_alive: Duration::from_millis(300), ..BOUNDS };
    let (address, _server) =
        start_within((Open::default(), bounds), hello(), Patience::default()).await;
    let mut client = connect(address, REQUEST).await;
    read_hello(&mut client).await;
    for _ in 0..3 {
        tokio::time::sleep(bounds.keep_alive / 3).await;
        client.write_all(REQUEST.as_bytes()).await.expect("written");
        read_hello(&mut client).await;
    }
    let mut told = Vec::new();
    let end = timeout(LONG, client.read_to_end(&mut told)).await;
    assert_eq!(end.expect("closed").expect("in order"), 0);
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for_without_end() {
    let soon = Duration::from_millis(300);
    let bounds = Bounds { keep_alive: soon, ..BOUNDS };
    let patience = Patience { first_request: soon, ..Patience::default() };
    let (address, _server) = start_within((Open::default(), bounds), hello(), patience).await;
    for before in ["", REQUEST] {
        let mut client = connect(address, before).await;
        if !before.is_empty() {
            read_hello(&mut client).await;
        }
        let (mut from, mut to) = client.split();
        let dripping = async {
            let mut head =
                "GET / HTTP/1.1\r\nhost: n1\r\nx-long: ".bytes().chain(std::iter::repeat(b'x'));
            while to.write_all(&[head.next().expect("it has no end")]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let mut told = Vec::new();
        tokio::select! {
            // A connection that is cut may be reset.
            _ended = from.read_to_end(&mut told) => {}
            () = dripping => {}
            () = tokio::time::sleep(LONG) => panic!("still open after {before:?}"),
        }
        assert!(!told.starts_with(b"HTTP/1.1 2"), "a head that is not whole is no request");
    }
}

#[tokio::test]
async fn a_request_may_have_many_fields_and_one_with_too_many_is_refused() {
    let (address, _server) = start(Patience::default()).await;
    let request = |fields: usize| {
        let more: String = (1..fields).map(|at| format!("x-{at}: y\r\n")).collect();
        format!("GET / HTTP/1.1\r\nhost: n1\r\n{more}\r\n")
    };
    let mut client = connect(address, &request(MAX_HEAD_FIELDS)).await;
    read_hello(&mut client).await;
    let mut client = connect(address, &request(MAX_HEAD_FIELDS + 1)).await;
    let mut told = String::new();
    client.read_to_string(&mut told).await.expect("an end");
    assert!(told.starts_with("HTTP/1.1 431"), "{told}");
}

/// One that refuses a request need not read it, and the next request gets its answer.
#[tokio::test]
async fn a_request_that_is_answered_unread_does_not_cost_the_next_one_its_connection() {
    let (address, _server) = start(Patience::default()).await;
    let head = |length: usize, more: &str| {
        format!("POST / HTTP/1.1\r\nhost: n1\r\ncontent-length: {length}\r\n{more}\r\n")
    };
    let answer = async |client: &mut TcpStream, until: &str| {
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).ends_with(until) {
            assert!(client.read_buf(&mut answer).await.expect("readable") > 0, "closed");
        }
        String::from_utf8(answer).expect("text")
    };
    let pause = Duration::from_millis(20);
    let mut client = connect(address, &head(300_000, "")).await;
    for _ in 0..3 {
        tokio::time::sleep(pause).await;
        client.write_all(&[b'x'; 100_000]).await.expect("it is read");
    }
    let refused = answer(&mut client, "}").await;
    assert!(refused.starts_with("HTTP/1.1 405") && !refused.contains("close"), "{refused}");
    client.write_all(REQUEST.as_bytes()).await.expect("written");
    answer(&mut client, "hello").await;

    // What is not sent unless it is asked for, and what is too much, is told to be the last.
    for head in [head(300_000, "expect: 100-continue\r\n"), head(1 << 30, "")] {
        let mut client = connect(address, &head).await;
        let refused = answer(&mut client, "}").await;
        assert!(refused.contains("connection: close"), "{refused}");
    }
}

/// Counts answers that are on their way.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let flood = move || {
        let counted = Counted::one_more(&counting);
        let pieces = futures::stream::repeat_with(move || {
            let _while_it_lasts = &counted;
            Ok::<_, Infallible>(vec![b'x'; 1 << 16])
        });
        std::future::ready(Body::from_stream(pieces))
    };
    let app = Router::new().route("/", get(flood));
    let patience = Patience { unread: Duration::from_secs(1), ..Patience::default() };
    let (address, _server) = start_until(Open::default(), app, patience).await;
    let _silent = connect(address, REQUEST).await;
    for expected in [1, 0] {
        let waiting = timeout(Duration::from_secs(60), async {
            while count.load(Ordering::SeqCst) != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waiting.await.unwrap_or_else(|_| panic!("never {expected} answers on their way"));
    }
}

#[tokio::test]
async fn h2c_is_spoken_by_prior_knowledge() {
    let (address, _server) = start(Patience::default()).await;
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("it is spoken");
    let mut client = JoinSet::new();
    client.spawn(async { drop(connection.await) });
    let ask = async || {
        let request = http::Request::get("http://n1/").body(Body::empty()).expect("a request");
        let answer = sender.clone().send_request(request).await.expect("an answer");
        let told = (answer.status(), answer.version());
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (told, body)
    };
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!(one, ((StatusCode::OK, Version::HTTP_2), bytes::Bytes::from_static(b"hello")));
    assert_eq!(one, other, "on one connection");
}

#[tokio::test]
async fn a_leaving_server_serves_what_comes_on_open_connections_and_ends_them() {
    let open = Open::default();
    let stop = open.leaving.clone();
    let app = Router::new().route("/", get(async || "hello"));
    let (address, mut server) = start_until(open, app, Patience::default()).await;
    let mut kept = connect(address, REQUEST).await;
    read_hello(&mut kept).await;
    let _idle = connect(address, "").await;

    stop.cancel();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    kept.write_all(REQUEST.as_bytes()).await.expect("written");
    let mut last = String::new();
    kept.read_to_string(&mut last).await.expect("an end");
    assert!(last.contains("connection: close\r\n") && last.ends_with("hello"), "{last}");
    let ended = timeout(LAST_REQUESTS * 3, server.join_next()).await;
    assert!(ended.is_ok(), "an idle connection keeps the server");
}
