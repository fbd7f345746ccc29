//! Requests of clients that one node passes on to another, whole. They travel as what they are,
//! HTTP, over the connections between nodes, so that bodies stream both ways, nothing leaves in the
//! clear, and whoever passes one on has proved that it is a node.
//!
//! An authority of its own tells such a request from a call; headers are its envelope. What a client
//! itself writes into headers of these names is dropped before.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use dunlin_types::{ClusterId, NodeId};
use http::header::{CONNECTION, EXPECT, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};
use tonic::body::Body;

use crate::connection::Caller;
use crate::error::CallError;
use crate::rules;

const AUTHORITY: &str = "clients.dunlin";
/// The node meant.
const TO: HeaderName = HeaderName::from_static("dunlin-to");
/// The cluster it is of.
const CLUSTER: HeaderName = HeaderName::from_static("dunlin-cluster");
/// Where the client is.
const CLIENT: HeaderName = HeaderName::from_static("dunlin-client");
/// On an answer: the request went nowhere, and why.
const REFUSED: HeaderName = HeaderName::from_static("dunlin-refused");
/// What belongs to one connection and not to the request.
const OF_CONNECTION: [HeaderName; 6] = [
    CONNECTION,
    EXPECT,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// A client's request that another node has passed on. Dropped without an answer, it is refused.
#[derive(Debug)]
pub struct PassedOn {
    /// The node the client spoke to.
    pub from: NodeId,
    /// Where the client is, if that node knows.
    pub client: Option<IpAddr>,
    /// What the client sent.
    pub request: Request<Body>,
    reply: oneshot::Sender<Response<Body>>,
}

impl PassedOn {
    /// Answers it with what `answering` gives, unless the client leaves first.
    pub async fn answer<F>(self, answering: impl FnOnce(Request<Body>) -> F)
    where
        F: Future<Output = Response<Body>>,
    {
        let Self { request, mut reply, .. } = self;
        let answer = tokio::select! {
            answer = answering(request) => answer,
            () = reply.closed() => return,
        };
        // A client that has just left is no concern of this node.
        drop(reply.send(answer));
    }
}

/// Makes a client's request one between nodes.
pub(crate) fn seal(
    request: &mut Request<Body>,
    (to, cluster): (NodeId, ClusterId),
    client: Option<IpAddr>,
) {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme("https").authority(AUTHORITY).path_and_query(path);
    let uri = uri.build().expect("the path was one before");
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    drop_own(headers);
    headers.insert(TO, value(&to.to_string()));
    headers.insert(CLUSTER, value(&cluster.to_string()));
    if let Some(client) = client {
        headers.insert(CLIENT, value(&client.to_string()));
    }
}

/// What the other node says, as an answer of this one; [`CallError::Refused`] if it took nothing.
pub(crate) fn open(mut answer: Response<Incoming>) -> Result<Response<Incoming>, CallError> {
    if let Some(reason) = answer.headers().get(REFUSED) {
        let reason = String::from_utf8_lossy(reason.as_bytes()).into_owned();
        return Err(CallError::Refused { reason });
    }
    *answer.version_mut() = Version::default();
    Ok(answer)
}

fn drop_own(headers: &mut HeaderMap) {
    for name in OF_CONNECTION.iter().chain([&TO, &CLUSTER, &CLIENT]) {
        headers.remove(name);
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids and addresses are plain text")
}

/// Where requests that were passed on to this node arrive.
pub(crate) struct Desk {
    pub(crate) me: NodeId,
    pub(crate) cluster: Arc<ArcSwapOption<ClusterId>>,
    pub(crate) queue: mpsc::Sender<PassedOn>,
}

/// Whether this is a client's request, and no call.
pub(crate) fn is_passed_on(uri: &Uri) -> bool {
    uri.host() == Some(AUTHORITY)
}

impl Desk {
    /// Hands it to its owner, and gives the owner's answer.
    pub(crate) async fn take(&self, request: Request<Body>) -> Response<Body> {
        let answer = match self.hand_over(request) {
            Ok(answer) => answer,
            Err(reason) => return refused(&reason),
        };
        match answer.await {
            Ok(answer) => answer,
            Err(_dropped) => refused(&format!("node {} is stopping", self.me)),
        }
    }

    /// The reason, if it is not for this node or there is no room.
    fn hand_over(
        &self,
        mut request: Request<Body>,
    ) -> Result<oneshot::Receiver<Response<Body>>, String> {
        let Caller(from) = *request.extensions().get().expect("every connection has its caller");
        let text = |name: &HeaderName| request.headers().get(name)?.to_str().ok();
        let to = text(&TO).and_then(|id| id.parse().ok());
        let theirs = text(&CLUSTER).and_then(|id| id.parse().ok());
        let client = text(&CLIENT).and_then(|address| address.parse().ok());
        let ours = self.cluster.load().as_deref().copied();
        rules::admit_client(self.me, ours, (from, to, theirs)).map_err(|refusal| refusal.reason)?;
        drop_own(request.headers_mut());
        *request.uri_mut() = local(request.uri());
        let (reply, answer) = oneshot::channel();
        let passed_on = PassedOn { from, client, request, reply };
        let full = |_| format!("node {} takes no more requests of other nodes", self.me);
        self.queue.try_send(passed_on).map_err(full)?;
        Ok(answer)
    }
}

/// The path alone, as a client would have sent it here.
fn local(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned();
    path.map(Uri::from).unwrap_or_default()
}

fn refused(reason: &str) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    answer.headers_mut().insert(REFUSED, value(reason));
    answer
}
