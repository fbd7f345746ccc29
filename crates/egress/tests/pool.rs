//! Which connections are used again, seen by a server.

use std::time::Duration;

use bytes::Bytes;
use dunlin_egress::{Client, Egress, MAX_FIELDS, Proxies};
use dunlin_types::{Networks, Tls};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Whoever waits longer waits for nothing.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

struct Server(TcpListener);

impl Server {
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("as set up");
        let url = format!("http://{}/a?b=c", listener.local_addr().expect("as set up"));
        (Self(listener), url)
    }

    /// The next connection.
    async fn accept(&self) -> TcpStream {
        let accepted = tokio::time::timeout(PATIENCE, self.0.accept()).await;
        accepted.expect("a connection").expect("as set up").0
    }
}

/// Reads a request's head and sends `answer`.
async fn serve(socket: &mut TcpStream, answer: &[u8]) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(
            tokio::time::timeout(PATIENCE, socket.read_u8())
                .await
                .expect("a request")
                .expect("open"),
        );
    }
    let head = String::from_utf8(seen).expect("as sent");
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    let host = format!("\r\nhost: {}\r\n", socket.local_addr().expect("as set up"));
    assert!(head.contains(&host), "{head}");
    socket.write_all(answer).await.expect("as set up");
}

/// The client has closed it.
async fn is_closed(socket: &mut TcpStream) -> bool {
    // What it sent before does not count.
    tokio::time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await.is_ok()
}

async fn ask(client: &Client, url: &str) -> Response<dunlin_egress::Body> {
    let request = Request::get(url).body(Full::<Bytes>::default()).expect("as set up");
    let asked = tokio::time::timeout(PATIENCE, client.request(request)).await;
    asked.expect("in time").expect("an answer")
}

async fn read(answer: Response<dunlin_egress::Body>) -> Bytes {
    answer.into_body().collect().await.expect("whole").to_bytes()
}

fn egress() -> (Egress, Client) {
    let egress = Egress::new(Proxies::default());
    let client = egress.client(&Tls::default(), &Networks::Anywhere).expect("as set up");
    (egress, client)
}

#[tokio::test]
async fn a_connection_whose_answer_was_read_is_used_again_and_an_idle_one_is_swept() {
    let (server, url) = Server::start().await;
    let (egress, client) = egress();
    let (first, mut socket) = tokio::join!(ask(&client, &url), async {
        let mut socket = server.accept().await;
        serve(&mut socket, ANSWER).await;
        socket
    });
    assert_eq!(read(first).await, "hi");
    let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
    let (second, ()) = tokio::join!(ask(&client, &url), serve(&mut socket, chunks));
    let (second, ()) = tokio::join!(read(second), async {
        socket.write_all(b"1\r\nb\r\n0\r\n\r\n").await.expect("as set up");
    });
    assert_eq!(second, "ab");
    let (third, ()) = tokio::join!(ask(&client, &url), serve(&mut socket, ANSWER));
    assert_eq!(read(third).await, "hi");
    for _ in 0..2 {
        egress.sweep();
    }
    let (fourth, ()) = tokio::join!(ask(&client, &url), serve(&mut socket, ANSWER));
    assert_eq!(read(fourth).await, "hi", "not idle for long");
    for _ in 0..3 {
        egress.sweep();
    }
    assert!(is_closed(&mut socket).await);
}

#[tokio::test]
async fn a_connection_that_was_left_in_the_middle_is_closed() {
    let (server, url) = Server::start().await;
    let (_egress, client) = egress();
    for answer in [&ANSWER[..ANSWER.len() - 1], ANSWER] {
        let (answered, mut socket) = tokio::join!(ask(&client, &url), async {
            let mut socket = server.accept().await;
            serve(&mut socket, answer).await;
            socket
        });
        // Whole or not: what was not read is not known to be whole.
        drop(answered);
        assert!(is_closed(&mut socket).await);
    }
    let mut asking = Box::pin(ask(&client, &url));
    let mut socket = tokio::select! {
        _ = &mut asking => unreachable!("nobody answers"),
        socket = server.accept() => socket,
    };
    drop(asking);
    assert!(is_closed(&mut socket).await, "nobody waits any more");
}

#[tokio::test]
async fn a_request_goes_out_anew_where_its_server_had_closed_the_connection() {
    let (server, url) = Server::start().await;
    let (_egress, client) = egress();
    for _ in 0..20 {
        let (answered, ()) = tokio::join!(ask(&client, &url), async {
            let mut socket = server.accept().await;
            serve(&mut socket, ANSWER).await;
        });
        assert_eq!(read(answered).await, "hi");
    }
}

#[tokio::test]
async fn an_answer_may_have_many_fields_and_one_with_too_many_is_told_apart() {
    let (server, url) = Server::start().await;
    let (_egress, client) = egress();
    let answer = |fields: usize| {
        let more: String = (1..fields).map(|at| format!("x-{at}: y\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{more}content-length: 2\r\n\r\nhi")
    };
    let serving = async |fields: usize| {
        let mut socket = server.accept().await;
        serve(&mut socket, answer(fields).as_bytes()).await;
        socket
    };
    let (answered, kept) = tokio::join!(ask(&client, &url), serving(MAX_FIELDS));
    assert_eq!(answered.headers().len(), MAX_FIELDS);
    drop((answered, kept));
    let request = Request::get(&url).body(Full::<Bytes>::default()).expect("as set up");
    let (refused, _kept) = tokio::join!(client.request(request), serving(MAX_FIELDS + 1));
    assert!(refused.is_err_and(|failure| failure.is_long_head()));
}
