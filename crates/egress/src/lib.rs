//! HTTP from the node to the outside: providers and identity services.
//!
//! Does not know what is sent or to whom. HTTP/1.1, because token-sized h2 frames count as abuse in
//! some servers; no redirects, because they could carry a key elsewhere. Invariants: a proxy is
//! used only if a variable names one, and never for loopback and link-local addresses; there is one
//! pool of connections for each way to make TLS and each set of networks; a server nobody vouches for is
//! trusted only where the configuration says so; whoever may not go everywhere is held back when the
//! address is known and before it is connected to. Read [`Client::request`] first, then `proxies.rs`.

mod connect;
mod error;
mod guard;
mod proxies;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use dunlin_types::{Networks, Tls};
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use connect::Connector;
pub use error::{Error, Failure};
pub use guard::OutOfReach;
pub use proxies::Proxies;

/// Idle connections are closed before common servers (75 s) close them under us.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Idle connections kept for one host.
const MAX_IDLE_PER_HOST: usize = 512;
/// A slow resolver must not hold up whoever asks whether an address would do.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// Ways to connect that are kept. One more, and all are made anew as they are needed.
const MAX_CLIENTS: usize = 64;

/// The way out of the node. Cheap to clone.
#[derive(Clone)]
pub struct Egress(Arc<Shared>);

struct Shared {
    proxies: Arc<Proxies>,
    clients: ArcSwap<BTreeMap<(Tls, Networks), Client>>,
}

/// Connections that are made in one way. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pool: hyper_util::client::legacy::Client<HttpsConnector<Connector>, Full<Bytes>>,
    proxies: Arc<Proxies>,
}

impl Egress {
    /// A way out by these proxies.
    #[must_use]
    pub fn new(proxies: Proxies) -> Self {
        Self(Arc::new(Shared { proxies: Arc::new(proxies), clients: ArcSwap::default() }))
    }

    /// Connections made as `tls` says, to addresses within `networks`. Reads the files that `tls` names
    /// the first time.
    ///
    /// # Errors
    /// A file that `tls` names cannot be read or used.
    pub fn client(&self, tls: &Tls, networks: &Networks) -> Result<Client, Error> {
        let way = (tls.clone(), networks.clone());
        if let Some(client) = self.0.clients.load().get(&way) {
            return Ok(client.clone());
        }
        let made = Client::new(tls, networks, &self.0.proxies)?;
        self.0.clients.rcu(|clients| {
            let mut clients = BTreeMap::clone(clients);
            if clients.len() >= MAX_CLIENTS {
                clients.clear();
            }
            clients.entry(way.clone()).or_insert_with(|| made.clone());
            clients
        });
        Ok(self.0.clients.load().get(&way).cloned().unwrap_or(made))
    }

    /// Whether calls to `to` could go anywhere within `networks`, as far as can be told now.
    ///
    /// # Errors
    /// All addresses that it has now are out of networks.
    pub async fn look(&self, to: &Uri, networks: &Networks) -> Result<(), OutOfReach> {
        // What a proxy connects to is the proxy's matter, unless the address is written out.
        let looking = guard::look(to, networks);
        tokio::time::timeout(LOOK_TIMEOUT, looking).await.unwrap_or(Ok(()))
    }
}

impl Client {
    fn new(tls: &Tls, networks: &Networks, proxies: &Arc<Proxies>) -> Result<Self, Error> {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(tls)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector::new(Arc::clone(proxies), networks.clone()));
        let pool = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .build(https);
        Ok(Self { pool, proxies: Arc::clone(proxies) })
    }

    /// Sends a request and waits for the head of its answer. Dropped, it is cancelled.
    ///
    /// # Errors
    /// No answer: nothing could be connected, or the connection broke.
    pub async fn request(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        // A tunnel shows the proxy its credentials when it is dug; without one they go along.
        if let Some(authorization) = self.proxies.plain_authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        self.pool.request(request).await.map_err(Failure)
    }
}
