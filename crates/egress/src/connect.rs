//! Connections: straight to the server, through a tunnel that a proxy digs (for TLS), or to a proxy
//! that passes requests on (without TLS).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dunlin_types::Networks;
use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::guard::GuardedResolver;
use crate::proxies::Proxies;
use crate::reason::AtProxy;

/// A peer that is gone without a word is noticed after this and a few probes.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// A backend that swallows packets costs an attempt no more than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A proxy has to connect as well before it answers.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Connector {
    /// To servers, within networks.
    tcp: HttpConnector<GuardedResolver>,
    /// To proxies, wherever they are.
    to_proxy: HttpConnector,
    guard: GuardedResolver,
    proxies: Arc<Proxies>,
}

impl Connector {
    pub(crate) fn new(proxies: Arc<Proxies>, networks: Networks) -> Self {
        let guard = GuardedResolver::new(networks);
        let tcp = set_up(HttpConnector::new_with_resolver(guard.clone()));
        Self { tcp, to_proxy: set_up(HttpConnector::new()), guard, proxies }
    }
}

fn set_up<R>(mut tcp: HttpConnector<R>) -> HttpConnector<R> {
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.enforce_http(false);
    tcp
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, AnyError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        if let Err(refused) = self.guard.check(&to) {
            return Box::pin(async move { Err(refused.into()) });
        }
        let Some(proxy) = self.proxies.of(&to) else {
            let connecting = self.tcp.call(to);
            return Box::pin(async move { Ok(Stream { tcp: connecting.await?, forwards: false }) });
        };
        if to.scheme() != Some(&Scheme::HTTPS) {
            let connecting = self.to_proxy.call(proxy.address.clone());
            return Box::pin(async move {
                let tcp = connecting.await.map_err(|error| AtProxy(error.into()))?;
                Ok(Stream { tcp, forwards: true })
            });
        }
        let mut tunnel = Tunnel::new(proxy.address.clone(), self.to_proxy.clone());
        if let Some(authorization) = &proxy.authorization {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let digging = tunnel.call(to);
        Box::pin(async move {
            let dug = tokio::time::timeout(TUNNEL_TIMEOUT, digging).await;
            let dug = dug.map_err(|_| AtProxy("the proxy did not answer in time".into()))?;
            let tcp = dug.map_err(|error| AtProxy(error.into()))?;
            Ok(Stream { tcp, forwards: false })
        })
    }
}

/// A connection that knows whether it ends at a proxy, which wants whole URLs.
pub(crate) struct Stream {
    tcp: TokioIo<TcpStream>,
    forwards: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.tcp.connected().proxy(self.forwards)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, parts)
    }
}
