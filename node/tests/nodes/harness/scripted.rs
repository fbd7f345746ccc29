//! An upstream that answers each request with bytes chosen by the test, and keeps the bytes that
//! came in. For what must be the same byte for byte; the mock is for all else.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running script; it ends when dropped.
pub(crate) struct Scripted {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl Scripted {
    /// Answers every request with this body and content type, in pieces as given.
    pub(crate) async fn start(
        content_type: &'static str,
        pieces: Vec<String>,
    ) -> anyhow::Result<Self> {
        Self::start_with(200, content_type, pieces).await
    }

    /// The same with another status.
    pub(crate) async fn start_with(
        status: u16,
        content_type: &'static str,
        pieces: Vec<String>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut server = JoinSet::new();
        let record = seen.clone();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let said = (status, content_type, pieces.clone());
                connections.spawn(answer(socket, said, record.clone()));
            }
        });
        Ok(Self { address, seen, _server: server })
    }

    pub(crate) fn api_base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The last request, head and body, as it came.
    pub(crate) fn last(&self) -> String {
        self.seen.lock().expect("no holder panics").last().cloned().unwrap_or_default()
    }

    /// The body of the last request.
    pub(crate) fn last_body(&self) -> String {
        self.last().split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }
}

/// One connection, one request. Any error here shows as a failed request in the test.
async fn answer(
    mut socket: TcpStream,
    (status, content_type, pieces): (u16, &str, Vec<String>),
    seen: Arc<Mutex<Vec<String>>>,
) {
    let Some(request) = read_request(&mut socket).await else { return };
    seen.lock().expect("no holder panics").push(request);
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n"
    );
    let chunks = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()));
    for bytes in [head].into_iter().chain(chunks).chain(["0\r\n\r\n".to_owned()]) {
        if socket.write_all(bytes.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
