//! HTTP from the node to the outside: providers and identity services.
//!
//! Does not know what is sent or to whom. HTTP/1.1, because some servers treat token-sized h2
//! frames as abuse; no redirects, because they could carry a key elsewhere. Invariants: a proxy is
//! used only if a variable names one, and never for loopback and link-local addresses; there is one
//! pool of connections for each TLS configuration and each set of networks; a server without a
//! trusted certificate is accepted only where the configuration says so; restrictions on networks
//! are checked once the address is known and before connecting to it. Read [`Client::request`]
//! first, then `proxies.rs`.

mod connect;
mod error;
mod guard;
mod pool;
mod proxies;
mod reason;
mod tls;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use dunlin_types::{Networks, Tls};
use http::header::{PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use tower_service::Service;

use connect::Connector;
use error::Cause;
pub use error::{Error, Failure};
pub use guard::OutOfReach;
pub use pool::{Body, MAX_FIELDS};

/// Why a body that is sent as it comes breaks off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// A body that is sent as it comes.
pub type Upload = UnsyncBoxBody<Bytes, BodyError>;
/// What a request is sent with.
pub(crate) type Sent = Either<Full<Bytes>, Upload>;
use pool::{Host, Line, Pool, Unanswered};
pub use proxies::Proxies;

/// What a request says of who sends it, unless it says so itself.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("dunlin/", env!("CARGO_PKG_VERSION")));

/// How often [`Egress::sweep`] is to be called. What was idle at three sweeps is closed: before common
/// servers (75 s) close it under us.
pub const SWEEP_EVERY: Duration = Duration::from_secs(20);
/// A slow resolver must not hold up a caller that asks whether an address is allowed.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// Connectors that are kept. Beyond this bound, all are made again as they are needed.
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
    pool: Pool,
    connector: Arc<HttpsConnector<Connector>>,
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

    /// Closes connections that have been idle for long. Nobody else does.
    pub fn sweep(&self) {
        self.0.clients.load().values().for_each(|client| client.pool.sweep());
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
        let (connector, proxies) = (Arc::new(https), Arc::clone(proxies));
        Ok(Self { pool: Pool::default(), connector, proxies })
    }

    /// Sends a request and waits for the head of its answer. Dropped, it is cancelled.
    ///
    /// # Errors
    /// No answer: nothing could be connected, or the connection broke.
    pub fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Body>, Failure>> + Send {
        self.send(request.map(Sent::Left))
    }

    /// The same, of a request whose body is sent as it comes. An answer may come before its end.
    ///
    /// # Errors
    /// As [`Client::request`], or the body broke off.
    pub fn upload(
        &self,
        request: Request<Upload>,
    ) -> impl Future<Output = Result<Response<Body>, Failure>> + Send {
        self.send(request.map(Sent::Right))
    }

    async fn send(&self, mut request: Request<Sent>) -> Result<Response<Body>, Failure> {
        // Some servers' guards let nobody in who does not say what it is.
        request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
        // A tunnel shows the proxy its credentials when it is dug; without one they go along.
        if let Some(authorization) = self.proxies.plain_authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let host = Host::of(request.uri()).ok_or(Failure(Cause::Nowhere))?;
        loop {
            let kept = self.pool.take(&host);
            let was_kept = kept.is_some();
            let mut line = match kept {
                Some(line) => line,
                // Large and seldom: apart, so that it is not moved about with every request.
                None => Box::pin(self.connect(&host, request.uri())).await?,
            };
            match line.send(request).await {
                Ok(answer) => {
                    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                        line.run_out().await;
                    }
                    let pool = self.pool.clone();
                    return Ok(answer.map(|body| Body::new(body, line, host, pool)));
                }
                // Its server closed it while it was idle.
                Err(Unanswered { unsent: Some(unsent), .. }) if was_kept => request = unsent,
                Err(Unanswered { error, .. }) => return Err(Failure(Cause::Sent(error))),
            }
        }
    }

    async fn connect(&self, host: &Host, to: &Uri) -> Result<Line, Failure> {
        let mut connector = HttpsConnector::clone(&self.connector);
        let connecting = async {
            poll_fn(|cx| connector.poll_ready(cx)).await?;
            Ok(Line::begin(host, connector.call(to.clone()).await?).await?)
        };
        connecting.await.map_err(|error| Failure(Cause::Connect(error)))
    }
}
