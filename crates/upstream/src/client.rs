//! The HTTP client of the hot path: hyper-util's pooled one. HTTP/1.1, because token-sized h2
//! frames count as abuse in some servers; no redirects and no proxies, because both could carry a
//! provider's key elsewhere.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub(crate) type Client =
    hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A backend that swallows packets costs an attempt no more than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle connections are closed before common servers (75 s) close them under us.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Idle connections kept for one host.
const MAX_IDLE_PER_HOST: usize = 512;

pub(crate) fn new() -> Client {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(IDLE_TIMEOUT));
    tcp.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .expect("ring supports the default TLS versions")
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .build(https)
}
