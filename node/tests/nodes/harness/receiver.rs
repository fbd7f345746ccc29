//! A receiver of request records: keeps what is posted, and answers as the test says.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What was posted.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// The request line and the headers, in small letters but for the path.
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// In the place of a status: it hangs up.
pub(crate) const HANGS_UP: u16 = 0;

/// A running receiver; it ends when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    stand: Arc<Stand>,
    _server: JoinSet<()>,
}

struct Stand {
    posted: Mutex<Vec<Posted>>,
    status: AtomicU16,
    /// Posts that were answered with another status than 200.
    refused: AtomicUsize,
}

impl Receiver {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_at(0).await
    }

    /// One that was there before is there again.
    pub(crate) async fn start_at(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (posted, status, refused) =
            (Mutex::default(), AtomicU16::new(200), AtomicUsize::new(0));
        let stand = Arc::new(Stand { posted, status, refused });
        let (mut server, serving) = (JoinSet::new(), Arc::clone(&stand));
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let stand = Arc::clone(&serving);
                connections.spawn(async move { stand.answer(socket).await });
            }
        });
        Ok(Self { address, stand, _server: server })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers with this status from here on; only what is answered with 200 is kept.
    pub(crate) fn says(&self, status: u16) {
        self.stand.status.store(status, Ordering::Relaxed);
    }

    /// Posts that it did not accept.
    pub(crate) fn refused(&self) -> usize {
        self.stand.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.stand.posted.lock().expect("no holder panics").clone()
    }

    /// All records that were posted as lists.
    pub(crate) fn records(&self) -> Vec<Value> {
        let lists = self.posted().into_iter();
        lists.flat_map(|posted| posted.body.as_array().cloned().unwrap_or_default()).collect()
    }

    /// Waits until there are so many of what `take` takes out.
    pub(crate) async fn wait(
        &self,
        count: usize,
        within: Duration,
        take: impl Fn(&Self) -> Vec<Value>,
    ) -> anyhow::Result<Vec<Value>> {
        let there = async {
            loop {
                let found = take(self);
                if found.len() >= count {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(within, there).await;
        found.with_context(|| format!("{} of {count} are there", take(self).len()))
    }
}

impl Stand {
    async fn answer(&self, mut socket: TcpStream) {
        let Some(request) = read(&mut socket).await else { return };
        let status = self.status.load(Ordering::Relaxed);
        if status == 200 {
            self.posted.lock().expect("no holder panics").push(request);
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        if status == HANGS_UP {
            return;
        }
        let said = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
             connection: close\r\n\r\n{{}}"
        );
        drop(socket.write_all(said.as_bytes()).await);
    }
}

async fn read(socket: &mut TcpStream) -> Option<Posted> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            let body = &bytes[end + 4..];
            if body.len() >= length {
                let mut plain = body.to_vec();
                if head.contains("content-encoding: gzip") {
                    plain.clear();
                    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).ok()?;
                }
                let body = serde_json::from_slice(&plain).ok()?;
                return Some(Posted { head, body });
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
