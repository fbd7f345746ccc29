//! What a client is told when it gets no answer: one map from reasons to LiteLLM's statuses, types
//! and texts. A refusal is an outcome, not an error: it is not logged here.

mod nobody;
mod place;
mod unanswered;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use dunlin_admission::{OverBudget, RateLimited, Refusal};
use dunlin_llm::credentials::CredentialError;
use dunlin_llm::openai::ErrorBody;
use dunlin_llm::{BadRequest, Dialect, Endpoint, UnclearModel};
use dunlin_providers::ProviderError;
use dunlin_types::{KeyDigest, NanoUsd, UnixMillis};
use dunlin_upstream::Failure;
use serde_json::json;

use crate::Proxy;
use crate::attempts::GroupFailed;
use crate::request::call::Call;
use crate::request::caller::Caller;
use crate::response::lines::Lines;
use crate::response::{budget, headers, limits, told, words};
pub(crate) use place::Place;
use unanswered::too_long_for;

/// As much of an id as a message repeats.
pub(crate) const MAX_SHOWN_ID: usize = 80;

/// Why a request is not even tried.
pub(crate) enum Refused {
    /// This node has no config yet.
    NotReady,
    Credential(CredentialError),
    BadRequest(BadRequest),
    TooLarge {
        /// The bound in bytes.
        most: usize,
    },
    /// Compressed in a way that is not read.
    Encoded,
    /// Not what its `Content-Encoding` says.
    BadEncoding,
    /// Not what its `Transfer-Encoding` says.
    BadFraming,
    ClientGone,
    TooSlow,
    NotAllowed {
        model: String,
        /// Who does not list it: in the error's type, and as a message names it.
        by: (&'static str, String),
    },
    /// The key has a list of paths, and this one, the second, is not on it.
    RouteNotAllowed(Vec<String>, String),
    /// The key's requests must have it in their body.
    MissingParam(String),
    UnknownModel {
        model: String,
        route: &'static str,
        patterns: bool,
    },
    /// Something that a provider keeps, or does not, is not at hand.
    NotFound {
        message: String,
    },
    /// A provider's answer that cannot be held.
    LongAnswer {
        /// The bound in bytes.
        most: usize,
    },
    /// What the request asks cannot be done as it stands.
    Unfit {
        param: &'static str,
        message: String,
    },
    /// A call of a provider's own API that names a model twice.
    UnclearModel(UnclearModel),
    /// A key of certain models, and a call of a provider's own API that names none.
    NoModelNamed,
    /// No deployment lends its credential for that API.
    NoLender {
        prefix: &'static str,
        provider: &'static str,
    },
    /// A path that could lead elsewhere than it seems to, and why.
    UnclearPath(&'static str),
    /// What the one server that can be asked says, or that it does not answer.
    Answered(Box<ProviderError>),
    /// A budget is spent.
    OverBudget {
        over: Box<OverBudget>,
        /// How the caller's key is shown.
        key: String,
        caller: Option<Box<dunlin_state::Caller>>,
        /// The field by which a request bounds its answer.
        bound: &'static str,
    },
    RateLimited {
        limited: Box<RateLimited>,
        key: Option<Box<dunlin_state::Caller>>,
    },
    /// This node has as many requests open as it may.
    NodeFull {
        limit: u64,
    },
    /// This node cannot know, and no other could be asked.
    CannotKnow {
        reason: String,
    },
    Overloaded {
        reason: String,
    },
}

/// Every group that was tried failed.
pub(crate) struct Unanswered {
    /// The groups in the order of trying. Never empty.
    pub(crate) failures: Vec<(Arc<str>, GroupFailed)>,
}

/// A request that gets no answer of a model.
pub(crate) struct Failed {
    why: Why,
    /// Of several, the one for whose sake.
    at: Option<Box<Place>>,
    key_spend: Option<NanoUsd>,
    on_record: bool,
    bound: Option<Duration>,
}

impl Failed {
    fn of(why: Why) -> Self {
        Self { why, at: None, key_spend: None, on_record: false, bound: None }
    }

    /// The same, for a request that got far enough to be on record, and to know what its key has
    /// spent.
    pub(crate) fn spent(self, key_spend: Option<NanoUsd>) -> Self {
        Self { key_spend, on_record: true, ..self }
    }

    /// The same, telling what the caller's key had spent before, if that is not told yet.
    pub(crate) fn of_caller(self, proxy: &Proxy, caller: &Caller) -> Self {
        let key_spend = self.key_spend.unwrap_or_else(|| caller.spent(proxy));
        Self { key_spend: Some(key_spend), ..self }
    }

    /// The same, which has left its record.
    pub(crate) fn noted(self) -> Self {
        Self { on_record: true, ..self }
    }

    /// Whether the request has left its record, or none because there were too many.
    pub(crate) fn is_on_record(&self) -> bool {
        self.on_record
    }

    /// What the client is told.
    pub(crate) fn body(&self) -> ErrorBody {
        self.placed(match &self.why {
            Why::Refused(refused) => refused.body(),
            Why::Unanswered(unanswered) => unanswered.body(),
        })
    }

    /// The same in the client's words: what the provider calls `upstream` it knows as `id`.
    pub(crate) fn naming(mut self, upstream: &str, id: &str) -> Self {
        if let Why::Refused(Refused::Answered(error)) = &mut self.why
            && !upstream.is_empty()
        {
            error.message = error.message.replace(upstream, id);
        }
        self
    }

    /// An event that tells it in a conversation.
    pub(crate) fn realtime_event(&self) -> String {
        let ErrorBody { message, kind, param, code, .. } = self.body();
        let code = code.to_string();
        let error = json!({"type": kind, "code": code, "message": message, "param": param});
        json!({"type": "error", "error": error}).to_string()
    }

    /// The same, for a client that set a bound on its wait, or else with that of whoever failed;
    /// `stream` if a stream was asked for.
    pub(crate) fn bound(self, asked: Option<Duration>, stream: bool) -> Self {
        let bound = match &self.why {
            Why::Refused(_) => None,
            Why::Unanswered(unanswered) => unanswered.bound(stream),
        };
        Self { bound: asked.or(bound), ..self }
    }
}

enum Why {
    Refused(Refused),
    Unanswered(Unanswered),
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::of(Why::Refused(refused))
    }
}

impl From<Unanswered> for Failed {
    fn from(unanswered: Unanswered) -> Self {
        Self::of(Why::Unanswered(unanswered))
    }
}

impl Refused {
    /// A key that may not be used.
    pub(crate) fn caller(
        refusal: Refusal,
        name: String,
        digest: KeyDigest,
        now: UnixMillis,
    ) -> Self {
        match refusal {
            Refusal::UnknownKey => Self::Credential(CredentialError::Unknown { name, digest }),
            Refusal::Blocked => Self::Credential(CredentialError::Blocked),
            Refusal::HolderBlocked { kind, name } => {
                Self::Credential(CredentialError::HolderBlocked { holder: kind.title(), name })
            }
            Refusal::Expired { at } => {
                let (expired, now) = (headers::utc(at), headers::utc(now));
                Self::Credential(CredentialError::Expired { name, expired, now })
            }
            Refusal::OverBudget(over) => {
                Self::OverBudget { over, key: name, caller: None, bound: "max_tokens" }
            }
            Refusal::RateLimited(limited) => Self::RateLimited { limited, key: None },
            Refusal::NodeFull { limit } => Self::NodeFull { limit },
            Refusal::CannotKnow { reason } => Self::CannotKnow { reason },
            Refusal::Overloaded { reason } => Self::Overloaded { reason },
            // Asked at no path, a key is refused none.
            Refusal::RouteNotAllowed { allowed } => Self::RouteNotAllowed(allowed, String::new()),
        }
    }

    /// A request that the limits, or the state of things, do not admit.
    pub(crate) fn admission(refusal: Refusal, caller: &Caller, now: UnixMillis) -> Self {
        match (refusal, caller) {
            (Refusal::RateLimited(limited), caller) => {
                let key = caller.key().cloned().map(Box::new);
                Self::RateLimited { limited, key }
            }
            (Refusal::OverBudget(over), Caller::Key { caller, name, .. }) => {
                let (key, caller) = (name.clone(), Some(Box::new(caller.clone())));
                Self::OverBudget { over, key, caller, bound: "max_tokens" }
            }
            (refusal, Caller::Key { caller, name, .. }) => {
                Self::caller(refusal, name.clone(), caller.token, now)
            }
            (Refusal::Overloaded { reason }, Caller::Master) => Self::Overloaded { reason },
            (Refusal::NodeFull { limit }, Caller::Master) => Self::NodeFull { limit },
            (refusal, Caller::Master) => Self::CannotKnow { reason: refusal.to_string() },
        }
    }

    /// The same of a request that bounds its answer by the field `bound`.
    pub(crate) fn bounded_by(mut self, bound: &'static str) -> Self {
        if let Self::OverBudget { bound: field, .. } = &mut self {
            *field = bound;
        }
        self
    }

    /// A call of a conversation's path that is no handshake.
    pub(crate) fn no_websocket() -> Self {
        let message = "This path requires WebSocket over HTTP/1.1, with the headers `Upgrade`, \
                       `Connection`, `Sec-WebSocket-Key` and `Sec-WebSocket-Version: 13`.";
        Self::Unfit { param: "upgrade", message: message.to_owned() }
    }

    fn body(&self) -> ErrorBody {
        match self {
            Self::NotReady => own(503, "service_unavailable", "this node has no config yet"),
            Self::Credential(error) => error.into(),
            Self::BadRequest(error) => error.into(),
            Self::TooLarge { most } => own(
                413,
                "invalid_request_error",
                format!(
                    "the request body is longer than {} MB (general_settings.max_request_size_mb)",
                    most >> 20
                ),
            ),
            Self::Encoded => own(
                415,
                "invalid_request_error",
                "only gzip, deflate and br are supported as a Content-Encoding of request bodies",
            ),
            Self::BadEncoding => own(
                400,
                "invalid_request_error",
                "the request body does not match its Content-Encoding",
            ),
            Self::BadFraming => own(400, "invalid_request_error", words::BAD_FRAMING),
            Self::TooSlow => own(408, "invalid_request_error", "the request body came too slowly"),
            Self::ClientGone => own(499, "invalid_request_error", "the request body broke off"),
            Self::NotAllowed { model, by: (kind, whose) } => words::not_allowed(model, kind, whose),
            Self::RouteNotAllowed(allowed, path) => words::route_not_allowed(allowed, path),
            Self::MissingParam(name) => words::missing_param(name),
            Self::UnknownModel { model, route, patterns } => {
                own(400, "invalid_request_error", words::unknown_model(model, route, *patterns))
            }
            Self::NotFound { message } => own(404, "invalid_request_error", message.clone()),
            Self::LongAnswer { most } => own(
                502,
                "api_error",
                format!("the provider's answer is longer than {} MB", most >> 20),
            ),
            Self::Unfit { param, message } => ErrorBody {
                param: Some((*param).to_owned()),
                ..own(400, "invalid_request_error", message.clone())
            },
            Self::UnclearModel(unclear) => own(400, "invalid_request_error", unclear.to_string()),
            Self::NoModelNamed => own(403, "key_model_access_denied", words::NO_MODEL_NAMED),
            Self::NoLender { prefix, provider } => {
                own(404, "not_found_error", words::no_lender(prefix, provider))
            }
            Self::UnclearPath(why) => own(400, "invalid_request_error", *why),
            Self::Answered(error) => of_error(error),
            Self::OverBudget { over, key, bound, .. } => ErrorBody {
                entity: Some(budget::entity(over)),
                ..own(over.status, "budget_exceeded", budget::message(over, key, bound))
            },
            Self::RateLimited { limited, .. } => ErrorBody {
                entity: Some(limits::entity(limited)),
                ..own(429, "throttling_error", limits::message(limited))
            },
            Self::NodeFull { limit } => own(429, "throttling_error", words::node_full(*limit)),
            Self::CannotKnow { reason } => own(503, "service_unavailable", reason.clone()),
            Self::Overloaded { reason } => own(503, "overloaded", reason.clone()),
        }
    }
}

pub(crate) fn own(code: u16, kind: &str, message: impl Into<String>) -> ErrorBody {
    let (message, kind) = (message.into(), Some(kind.to_owned()));
    ErrorBody { message, kind, param: None, code, entity: None, details: None }
}

pub(crate) fn of_failure(failure: &Failure) -> ErrorBody {
    of_error(&failure.error)
}

fn of_error(error: &ProviderError) -> ErrorBody {
    ErrorBody {
        message: error.client_message(),
        kind: error.client_kind().map(str::to_owned),
        param: None,
        code: error.cause.status(),
        entity: None,
        details: error.details.clone(),
    }
}

/// The error that ends a stream which broke after its first byte. LiteLLM's is always a 500; clients
/// of Anthropic's dialect are told by its type whether to come back.
pub(crate) fn in_stream(failure: &Failure, endpoint: Endpoint) -> ErrorBody {
    let error = of_failure(failure);
    match endpoint.dialect() {
        Dialect::Anthropic => error,
        Dialect::Gemini | Dialect::OpenAi | Dialect::Responses => {
            ErrorBody { kind: None, code: 500, ..error }
        }
    }
}

impl Failed {
    /// What ends a stream whose 200 was sent before anyone knew.
    pub(crate) fn frame(self, call: &Call) -> Bytes {
        call.endpoint.error_frame(&self.body())
    }

    /// The same as an event of a stream that is not the call's own.
    pub(crate) fn body_as_frame(&self, endpoint: Endpoint) -> Bytes {
        endpoint.error_frame(&self.body())
    }

    /// The response: body, status and the headers that tell when to come back.
    pub(crate) fn response(self, call: &Call) -> Response<Body> {
        let mut told = Lines::default();
        let body = match &self.why {
            Why::Refused(refused) => {
                match refused {
                    Refused::RateLimited { limited, key } => {
                        limits::refuse(&mut told, limited, call.endpoint.dialect());
                        if let Some(caller) = key {
                            told::key_limits(&mut told, caller, call.started);
                        }
                    }
                    Refused::NotReady
                    | Refused::NodeFull { .. }
                    | Refused::CannotKnow { .. }
                    | Refused::Overloaded { .. } => {
                        told::retry_after(&mut told, Duration::from_secs(1));
                    }
                    Refused::OverBudget { caller, .. } => {
                        if let Some(caller) = caller {
                            told::key_limits(&mut told, caller, call.started);
                        }
                    }
                    Refused::Credential(_)
                    | Refused::BadRequest(_)
                    | Refused::TooLarge { .. }
                    | Refused::Encoded
                    | Refused::BadEncoding
                    | Refused::BadFraming
                    | Refused::ClientGone
                    | Refused::TooSlow
                    | Refused::NotAllowed { .. }
                    | Refused::RouteNotAllowed(..)
                    | Refused::MissingParam(_)
                    | Refused::NotFound { .. }
                    | Refused::LongAnswer { .. }
                    | Refused::Unfit { .. }
                    | Refused::UnclearModel(_)
                    | Refused::NoModelNamed
                    | Refused::NoLender { .. }
                    | Refused::UnclearPath(_)
                    | Refused::Answered(_)
                    | Refused::UnknownModel { .. } => {}
                }
                refused.body()
            }
            Why::Unanswered(unanswered) => {
                let first = &unanswered.failures.first().expect("a group was tried").1;
                if let Some(wait) = first.retry_after() {
                    told::retry_after(&mut told, wait);
                }
                told::upstream_retry_after(&mut told, first);
                if let GroupFailed::Full { full, .. } = first {
                    limits::full(&mut told, full, call.endpoint.dialect(), call.started);
                }
                let mut body = unanswered.body();
                too_long_for(call.endpoint, unanswered, &mut body);
                body
            }
        };
        let body = self.placed(body);
        told::of_failure(&mut told, call, self.key_spend);
        told::bound(&mut told, self.bound);
        let json = match &self.why {
            Why::Refused(_) | Why::Unanswered(_) if call.names_itself() => {
                body.to_json_of(&call.call_id)
            }
            Why::Refused(Refused::Credential(_)) => call.endpoint.credential_body(&body),
            Why::Refused(_) | Why::Unanswered(_) => call.endpoint.error_body(&body),
        };
        headers::error(told, body.code, json)
    }
}
