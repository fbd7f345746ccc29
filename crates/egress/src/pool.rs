//! Connections that are kept for the next request. Each is driven by whoever uses it, in the same
//! task: no message goes from one task to another, and none is woken, for a request's sake. One that
//! is idle is driven by nobody; it is looked at before it is used again, and every now and then.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::Connection as _;

use crate::Sent;
use crate::connect::Stream;

/// Idle connections kept for one host.
const MAX_IDLE_PER_HOST: usize = 512;
/// An answer with more fields in its head is none. Gateways in front of providers add theirs.
pub const MAX_FIELDS: usize = 256;
/// A connection that was idle at so many sweeps is closed.
const SWEEPS: u32 = 3;

/// Where connections lead. One that is spelled in two ways is two.
#[derive(Clone)]
pub(crate) struct Host {
    is_https: bool,
    authority: Authority,
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Host {}

impl PartialOrd for Host {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Host {
    fn cmp(&self, other: &Self) -> Ordering {
        let this = (self.is_https, self.authority.as_str());
        this.cmp(&(other.is_https, other.authority.as_str()))
    }
}

impl Host {
    /// `None`: the address names no host, or is of no scheme of ours.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let is_https = *uri.scheme()? == Scheme::HTTPS;
        let is_ours = is_https || *uri.scheme()? == Scheme::HTTP;
        is_ours.then_some(Self { is_https, authority: uri.authority()?.clone() })
    }

    /// What a request says in its `Host`: a scheme's own port is left out.
    fn name(&self) -> HeaderValue {
        let usual = if self.is_https { 443 } else { 80 };
        let name = match self.authority.port_u16().filter(|port| *port != usual) {
            Some(port) => format!("{}:{port}", self.authority.host()),
            None => self.authority.host().to_owned(),
        };
        HeaderValue::try_from(name).expect("a host is plain text")
    }
}

/// The driving side of a connection. Polled, it reads and writes; it ends with the connection.
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// An open connection.
pub(crate) struct Line {
    requests: SendRequest<Sent>,
    /// `None`: it is over.
    driver: Option<Driver>,
    host: HeaderValue,
    /// It ends at a proxy, which wants whole URLs.
    forwards: bool,
}

/// A request that got no answer.
pub(crate) struct Unanswered {
    pub(crate) error: hyper::Error,
    /// The request, if nothing of it was sent.
    pub(crate) unsent: Option<Request<Sent>>,
}

impl Line {
    /// Begins to speak HTTP on `stream`.
    pub(crate) async fn begin(
        host: &Host,
        stream: MaybeHttpsStream<Stream>,
    ) -> hyper::Result<Self> {
        let forwards = stream.connected().is_proxied();
        let mut http = http1::Builder::new();
        let (requests, connection) = http.max_headers(MAX_FIELDS).handshake(stream).await?;
        let driver = Some(Box::pin(connection.with_upgrades()) as Driver);
        Ok(Self { requests, driver, host: host.name(), forwards })
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Sent>,
    ) -> Result<Response<Incoming>, Unanswered> {
        request.headers_mut().entry(header::HOST).or_insert_with(|| self.host.clone());
        let whole = (!self.forwards).then(|| below_host(request.uri_mut()));
        // What tokio lets a task do at a time binds the driver: the answer is only taken from it.
        let answering = tokio::task::unconstrained(self.requests.try_send_request(request));
        let mut answering = pin!(answering);
        let driver = &mut self.driver;
        let answered = poll_fn(|cx| {
            drive(driver, cx);
            // Nobody but the driver makes the answer, and a connection that is over has made one.
            answering.as_mut().poll(&mut unwoken())
        });
        let answered = answered.await;
        answered.map_err(|mut failed| {
            let mut unsent = failed.take_message();
            if let (Some(unsent), Some(whole)) = (&mut unsent, whole) {
                *unsent.uri_mut() = whole;
            }
            Unanswered { error: failed.into_error(), unsent }
        })
    }

    /// Drives a connection until it is over, as one is that was upgraded.
    pub(crate) async fn run_out(&mut self) {
        poll_fn(|cx| {
            drive(&mut self.driver, cx);
            if self.driver.is_some() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Whether it could take a request now, as far as can be told without waiting.
    fn is_ready(&mut self) -> bool {
        drive(&mut self.driver, &mut unwoken());
        self.driver.is_some() && self.requests.is_ready()
    }
}

/// Lets a connection read and write what it can.
fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    // The reason goes to the request that waits for an answer.
    if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
        *driver = None;
    }
}

/// For what is polled after its driver was: nothing happens to it while that is not driven.
fn unwoken() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Leaves of an address what a server is told; gives what it was.
fn below_host(uri: &mut Uri) -> Uri {
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    std::mem::replace(uri, Uri::from(path))
}

/// What is kept of one way to connect. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Pool(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    /// By host: the connection that was used last comes last, each with the sweep it has seen.
    idle: BTreeMap<Host, Vec<(u32, Line)>>,
    sweeps: u32,
}

impl Pool {
    /// A connection that was used before.
    pub(crate) fn take(&self, host: &Host) -> Option<Line> {
        loop {
            let (_, mut line) = self.kept().idle.get_mut(host)?.pop()?;
            if line.is_ready() {
                return Some(line);
            }
        }
    }

    fn put(&self, host: Host, line: Line) {
        let mut kept = self.kept();
        let sweeps = kept.sweeps;
        let lines = kept.idle.entry(host).or_default();
        if lines.len() < MAX_IDLE_PER_HOST {
            lines.push((sweeps, line));
        }
    }

    /// Closes what has been idle for [`SWEEPS`], and what its server has closed.
    pub(crate) fn sweep(&self) {
        let mut kept = self.kept();
        kept.sweeps = kept.sweeps.wrapping_add(1);
        let now = kept.sweeps;
        let is_young = |seen: u32| now.wrapping_sub(seen) < SWEEPS;
        kept.idle.retain(|_, lines| {
            lines.retain_mut(|(seen, line)| is_young(*seen) && line.is_ready());
            !lines.is_empty()
        });
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no code panics while it holds the idle connections")
    }
}

/// The body of an answer. It drives its connection as it is read; read to its end, it leaves the
/// connection for the next request, else dropping it closes the connection.
pub struct Body {
    incoming: Incoming,
    on: Option<(Line, Host, Pool)>,
}

impl Body {
    pub(crate) fn new(incoming: Incoming, line: Line, host: Host, pool: Pool) -> Self {
        let mut body = Self { incoming, on: Some((line, host, pool)) };
        if body.incoming.is_end_stream() {
            body.leave();
        }
        body
    }

    /// Nothing more comes of this answer.
    fn leave(&mut self) {
        if let Some((mut line, host, pool)) = self.on.take()
            && line.is_ready()
        {
            pool.put(host, line);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some((line, _, _)) = &mut self.on else {
            return Pin::new(&mut self.incoming).poll_frame(cx);
        };
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(&mut unwoken()) {
            return Poll::Ready(frame);
        }
        drive(&mut line.driver, cx);
        Pin::new(&mut self.incoming).poll_frame(&mut unwoken())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = self.poll(cx);
        if let Poll::Ready(frame) = &polled
            && (frame.is_none() || self.incoming.is_end_stream())
        {
            self.leave();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
