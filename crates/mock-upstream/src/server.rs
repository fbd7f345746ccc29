//! The server behind the handle: accepts, serves, and dies and rises again when told to.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::dialects::router;
use crate::exchange::Mock;
use crate::fault::Fault;
use crate::record::{Account, Recorded, Stats};
use crate::settings::Settings;

/// How long to wait for what the machine is short of.
const RETRY: Duration = Duration::from_millis(5);

/// A running mock upstream. Clones control the same one; it stops when the last is dropped.
#[derive(Clone)]
pub struct MockUpstream {
    address: SocketAddr,
    mock: Arc<Mock>,
    control: mpsc::Sender<Command>,
    _stop: Arc<DropGuard>,
}

enum Command {
    /// Break all connections and refuse new ones.
    Die(oneshot::Sender<()>),
    /// Listen on the same port again.
    Rise(oneshot::Sender<()>),
}

impl MockUpstream {
    /// Listens and serves until the handle is dropped.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((settings.host, settings.port)).await?;
        let address = listener.local_addr()?;
        let mock = Arc::new(Mock::new(settings, address.port()));
        let (control, commands) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let server = Server {
            address,
            listener: Some(listener),
            app: router(mock.clone()),
            connections: JoinSet::new(),
        };
        TaskTracker::new().spawn(server.run(commands, stop.clone()));
        Ok(Self { address, mock, control, _stop: Arc::new(stop.drop_guard()) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to configure as `api_base`.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Makes `fault` hold for all requests from here on. When this returns, it does.
    pub async fn set_fault(&self, fault: Fault) {
        self.switch(fault, None).await;
    }

    /// Makes `fault` hold for the next `requests` requests only. [`Fault::Refuse`] cannot be
    /// counted in requests, as it takes none.
    pub async fn set_fault_for(&self, fault: Fault, requests: u64) {
        assert!(fault != Fault::Refuse, "a dead server counts no requests");
        self.switch(fault, Some(requests)).await;
    }

    /// Makes the next requests meet these faults, one each; those after them meet none.
    /// [`Fault::Refuse`] cannot be one of them.
    pub async fn set_faults(&self, faults: Vec<Fault>) {
        assert!(!faults.contains(&Fault::Refuse), "a dead server counts no requests");
        self.switch(Fault::None, None).await;
        self.mock.plan.queue(faults);
    }

    async fn switch(&self, fault: Fault, requests: Option<u64>) {
        let (done, wait) = oneshot::channel();
        let command = if fault == Fault::Refuse { Command::Die(done) } else { Command::Rise(done) };
        self.mock.plan.set(fault, requests);
        self.control.send(command).await.expect("the server lives as long as its handles");
        wait.await.expect("the server answers every command");
    }

    /// Puts an object into a bucket: `uri` is such as `s3://bucket/key` or `gs://bucket/key`.
    pub fn put_object(&self, uri: &str, content: impl Into<Bytes>) {
        self.mock.shelf.put_object(uri, content.into());
    }

    /// The objects whose addresses begin so, in the order of their addresses.
    #[must_use]
    pub fn objects(&self, uri: &str) -> Vec<Bytes> {
        self.mock.shelf.below(uri).into_iter().map(|object| object.content).collect()
    }

    /// What it has counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.mock.record.stats()
    }

    /// Waits until the counts are as wanted. Bound the wait with a timeout.
    pub async fn until(&self, condition: impl Fn(&Stats) -> bool) -> Stats {
        self.mock.record.until(condition).await
    }

    /// The last requests, the oldest first: no more than 64.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.mock.record.requests()
    }

    /// What became of the first requests, in the order in which they came: as many as it keeps
    /// account of.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        self.mock.record.accounts()
    }

    /// The last request, if there was one.
    #[must_use]
    pub fn last_request(&self) -> Option<Recorded> {
        self.mock.record.last()
    }
}

struct Server {
    address: SocketAddr,
    listener: Option<TcpListener>,
    app: Router,
    connections: JoinSet<()>,
}

impl Server {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(command) = commands.recv() => self.obey(command).await,
                connection = accept(self.listener.as_ref()) => self.serve(connection),
                Some(_) = self.connections.join_next(), if !self.connections.is_empty() => {}
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        let done = match command {
            Command::Die(done) => {
                self.listener = None;
                self.connections.shutdown().await;
                done
            }
            Command::Rise(done) => {
                // Another process may have the port for a moment.
                while self.listener.is_none() {
                    match TcpListener::bind(self.address).await {
                        Ok(listener) => self.listener = Some(listener),
                        Err(_) => tokio::time::sleep(RETRY).await,
                    }
                }
                done
            }
        };
        // The caller may be gone.
        let _ = done.send(());
    }

    fn serve(&mut self, socket: TcpStream) {
        let service = TowerToHyperService::new(self.app.clone());
        self.connections.spawn(async move {
            // Without it answers are late, not wrong.
            let _ = socket.set_nodelay(true);
            let broken = Arc::new(AtomicBool::new(false));
            let socket = Socket { socket, broken: broken.clone() };
            let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            let mut connection = pin!(connection.with_upgrades());
            // A fault, or a client that is gone.
            broken.store(connection.as_mut().await.is_err(), Ordering::Relaxed);
        });
    }
}

/// A connection that ends in a reset if it was broken, so that no one takes it for an end.
struct Socket {
    socket: TcpStream,
    broken: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.broken.load(Ordering::Relaxed) {
            // One that is closed already cannot be reset.
            let _ = self.socket.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((connection, _)) => return connection,
            // Out of file descriptors, most likely: let some connection end.
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}
