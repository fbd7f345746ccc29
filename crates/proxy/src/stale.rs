//! What becomes of a client's request on a node that may lack what was decided: it is passed on to
//! one that does not, or refused, or served by what is known here. Never is a key refused because
//! this node cannot know it. A node that drains passes on what another one takes, too.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use dunlin_admission::Admission;
use dunlin_llm::client::Peer;
use dunlin_llm::openai::ErrorBody;
use dunlin_rpc::Rpc;
use dunlin_types::NodeId;
use rand::seq::IndexedRandom;
use tokio::time::sleep;

use crate::response::error::Refused;
use crate::response::headers;
use crate::response::lines::Lines;
use crate::response::told::retry_after;

/// On an answer: the node that gave it in this one's place.
const PASSED_ON_TO: HeaderName = HeaderName::from_static("x-dunlin-passed-on-to");
/// While this node finds back after it stood still, it looks so often whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// When a client that was refused may come again: leaders are found in about a second.
const COME_BACK: Duration = Duration::from_secs(1);

/// What is asked of this node about itself, and is answered whatever it knows.
const ABOUT_ITSELF: [&str; 3] = ["/health/", "/cluster/status", "/metrics"];

/// What a node does that may lack something, and finds no other to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStale {
    /// Answers 503.
    #[default]
    Refuse,
    /// Serves by what it knows: keys that were blocked meanwhile work here.
    ServeKnown,
}

/// When and how a node gives requests away. Cheap to clone.
#[derive(Clone)]
pub struct Detour {
    admission: Admission,
    rpc: Rpc,
    max_staleness: Duration,
    on_stale: OnStale,
}

/// Marks a request that another node has passed on: it goes no further.
#[derive(Clone, Copy)]
pub(crate) struct PassedOn;

impl Detour {
    /// For a node that serves by itself while it is less than `max_staleness` behind.
    #[must_use]
    pub fn new(admission: Admission, rpc: Rpc, max_staleness: Duration, on_stale: OnStale) -> Self {
        Self { admission, rpc, max_staleness, on_stale }
    }

    /// The request, if it is to be served here; else its answer.
    pub(crate) async fn around(
        &self,
        mut request: Request<Body>,
    ) -> Result<Request<Body>, Response<Body>> {
        let lasts = request.headers().contains_key(header::UPGRADE);
        if lasts {
            // What is asked in a conversation later may meet a node that knows less by then.
            request.extensions_mut().insert(self.clone());
        }
        let drains = self.drains();
        if (self.knows_enough() && !drains) || is_about_itself(request.uri().path()) {
            return Ok(request);
        }
        let may_go_on = request.extensions().get::<PassedOn>().is_none() && !lasts;
        if self.knows_enough() {
            // It serves what nobody else takes.
            return match self.successor().await.filter(|_| may_go_on) {
                Some(node) => Err(self.pass_on(node, request).await),
                None => Ok(request),
            };
        }
        loop {
            if may_go_on && let Some(node) = self.other().await {
                return Err(self.pass_on(node, request).await);
            }
            if self.knows_enough() {
                return Ok(request);
            }
            if !self.admission.finds_back() {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        match self.on_stale {
            OnStale::ServeKnown => Ok(request),
            OnStale::Refuse => Err(refusal(&self.why())),
        }
    }

    /// Whether what is asked in a conversation that is open here may be served here.
    pub(crate) async fn stays(&self) -> Result<(), Refused> {
        while !self.knows_enough() {
            if !self.admission.finds_back() {
                return match self.on_stale {
                    OnStale::ServeKnown => Ok(()),
                    OnStale::Refuse => Err(Refused::CannotKnow { reason: self.why() }),
                };
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Why nothing is served here.
    fn why(&self) -> String {
        format!(
            "this node has heard no majority of the cluster for {} s and cannot know what was \
             decided since, such as which keys were blocked; no node that hears one could take the \
             request. Ask another node",
            self.admission.staleness().as_secs()
        )
    }

    fn knows_enough(&self) -> bool {
        self.admission.staleness() <= self.max_staleness
    }

    /// Whether other nodes are to serve this one's clients.
    pub(crate) fn drains(&self) -> bool {
        self.admission.is_draining()
    }

    /// One of those that know all; one that drains only if there is no other.
    async fn other(&self) -> Option<NodeId> {
        let nodes = self.admission.fresh_nodes().await;
        let takes = |node: &NodeId| self.admission.takes_clients(*node);
        let willing: Vec<_> = nodes.iter().copied().filter(takes).collect();
        let nodes = if willing.is_empty() { nodes } else { willing };
        nodes.choose(&mut rand::rng()).copied()
    }

    /// One that takes the clients of a node that drains, and can be reached.
    async fn successor(&self) -> Option<NodeId> {
        let node = self.other().await.filter(|node| self.admission.takes_clients(*node))?;
        self.rpc.can_pass_on(node).await.then_some(node)
    }

    async fn pass_on(&self, node: NodeId, request: Request<Body>) -> Response<Body> {
        let client = request.extensions().get::<Peer>().map(|peer| peer.0);
        match self.rpc.pass_on(node, client, request).await {
            Ok(answer) => {
                let mut answer = answer.map(Body::new);
                let value = HeaderValue::from_str(&node.to_string()).expect("an id is plain text");
                answer.headers_mut().insert(PASSED_ON_TO, value);
                answer
            }
            Err(cause) => {
                let why = if self.knows_enough() {
                    "this node is draining"
                } else {
                    "this node has heard no majority of the cluster for too long"
                };
                if cause.may_have_acted() {
                    unknown(&format!(
                        "{why}, and passed the request on to node {node}, whose answer was lost: \
                         {cause}. It may have taken effect: check before you repeat it"
                    ))
                } else {
                    refusal(&format!("{why}, and node {node} could not take the request: {cause}"))
                }
            }
        }
    }
}

fn is_about_itself(path: &str) -> bool {
    ABOUT_ITSELF.iter().any(|prefix| path.starts_with(prefix))
}

/// Nothing was done: the client may ask again.
fn refusal(message: &str) -> Response<Body> {
    let mut told = Lines::default();
    retry_after(&mut told, COME_BACK);
    error(told, StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", message)
}

/// Something may have been done: no client is told to ask again.
fn unknown(message: &str) -> Response<Body> {
    error(Lines::default(), StatusCode::GATEWAY_TIMEOUT, "outcome_unknown", message)
}

fn error(told: Lines, status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let (message, code) = (message.to_owned(), status.as_u16());
    let kind = Some(kind.to_owned());
    let error = ErrorBody { message, kind, param: None, code, entity: None, details: None };
    headers::error(told, error.code, error.to_json())
}
