//! Why a request is not answered as asked, and how that looks: one map to statuses, types and
//! texts in LiteLLM's shapes.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use dunlin_config::EditProblem;
use dunlin_consensus::{NeedsFormat, ProposeError};
use dunlin_llm::credentials::CredentialError;
use dunlin_llm::openai::ErrorBody;
use dunlin_records::Busy;
use dunlin_state::Rejected;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use tracing::debug;

use crate::request::fault::Fault;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// This node has no config, so it does not know who may ask.
    #[error("this node has no config yet")]
    NotReady,
    /// The caller's key is no good.
    #[error(transparent)]
    Credential(CredentialError),
    /// The caller's key is good, and not the master key.
    #[error(
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for \
         new keys/users/teams. Route={route}. Your role={role}. Your key={key}"
    )]
    NotAdmin {
        route: &'static str,
        role: &'static str,
        /// As it is shown: `sk-...abcd`.
        key: String,
    },
    /// The caller's key has a list of paths, and this one is not on it.
    #[error(
        "Virtual key is not allowed to call this route. Only allowed to call routes: {allowed:?}. \
         Tried to call route: {path}"
    )]
    RouteNotAllowed { allowed: Vec<String>, path: String },
    /// The caller asks about a key that is not its own.
    #[error("You are not allowed to access this key's info. Only the key itself and admins are.")]
    NotYours,
    /// More than the caller may see or do.
    #[error("{reason}")]
    Forbidden { reason: String },
    /// Whether the caller's key exists cannot be told.
    #[error("{reason}")]
    CannotKnow { reason: String },
    #[error("the request body is longer than {} bytes", crate::MAX_BODY_BYTES)]
    TooLarge,
    #[error("the request body came too slowly")]
    TooSlow,
    #[error("the request body broke off")]
    ClientGone,
    #[error("the request body is not framed as Transfer-Encoding: chunked has it")]
    BadFraming,
    #[error("no Content-Encoding of management requests is read: send the body as it is")]
    Encoded,
    #[error("the request has faults")]
    Invalid(Vec<Fault>),
    #[error("{}. Leave it out, or set it to null.", not_enforced(fields))]
    NotEnforced { fields: Vec<&'static str> },
    #[error("{reason}")]
    BadField { name: &'static str, reason: String },
    /// A service that the config does not set, or that there is not. The type is LiteLLM's.
    #[error("{reason}")]
    NoService { code: u16, reason: String },
    /// Either value could be meant.
    #[error("`{name}` is given twice: send it once")]
    Twice { name: String },
    /// Settings that may not be set so.
    #[error("the config is not changed: {}", problems(.0))]
    BadConfig(Vec<EditProblem>),
    #[error("{reason}")]
    NotFound { reason: String },
    /// It is so already, or is somebody else's.
    #[error("{reason}")]
    Conflict { reason: String },
    /// What is kept cannot be read here.
    #[error("{reason}")]
    Unreadable { reason: String },
    /// The operator wants models in config files only. The words and the status are LiteLLM's.
    #[error("{{'error': \"Set `'STORE_MODEL_IN_DB='True'` in your env to enable this feature.\"}}")]
    StoresNone,
    #[error("Key not found in database")]
    NoSuchKey { name: &'static str },
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// Each setting, and what is wrong with it.
fn problems(problems: &[EditProblem]) -> String {
    let told = problems.iter().map(|EditProblem { path, told }| match path.as_str() {
        "" => told.clone(),
        path => format!("{path}: {told}"),
    });
    told.collect::<Vec<_>>().join("\n")
}

/// Each field, and why it would guard nothing.
fn not_enforced(fields: &[&str]) -> String {
    let told = fields.iter().map(|name| {
        let why = dunlin_admin_api::why_refused(name);
        format!("{name}: not enforced, so it would look guarded and not be: {why}")
    });
    told.collect::<Vec<_>>().join("; ")
}

/// How soon a client may try again what failed for want of a leader.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Self::Invalid(faults) = &self {
            return answer(422, json!({ "detail": faults }).to_string());
        }
        let body = self.body();
        // Whoever may change something can cause many; that nobody leads is said elsewhere.
        if body.code >= 500 && matches!(self, Self::Propose(_)) {
            debug!(status = body.code, "a change was not carried out: {self}");
        }
        let mut response = answer(body.code, body.to_json());
        if body.code == 503 {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl Error {
    /// What is said where it is one of several outcomes.
    pub(crate) fn told(&self) -> String {
        if let Self::Invalid(faults) = self {
            return faults.iter().map(Fault::told).collect::<Vec<_>>().join("; ");
        }
        self.body().message
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        if matches!(self, Self::Invalid(_)) { 422 } else { self.body().code }
    }

    fn body(&self) -> ErrorBody {
        let of = |code, kind: &str, param: Option<&str>| ErrorBody {
            message: self.to_string(),
            kind: Some(kind.to_owned()),
            param: param.map(str::to_owned),
            code,
            entity: None,
            details: None,
        };
        match self {
            Self::NotReady => of(503, "service_unavailable", None),
            Self::Credential(error) => error.into(),
            Self::NotAdmin { .. } => of(401, "auth_error", Some("None")),
            Self::RouteNotAllowed { .. } | Self::Forbidden { .. } => {
                of(403, "auth_error", Some("None"))
            }
            Self::NotYours => of(403, "auth_error", Some("key")),
            Self::NotFound { .. } => of(404, "not_found_error", None),
            Self::Conflict { .. } => of(409, "conflict", None),
            Self::Unreadable { .. } => of(500, "internal_server_error", None),
            Self::StoresNone => of(500, "auth_error", Some("None")),
            Self::CannotKnow { .. } => of(503, "no_quorum", None),
            Self::Busy(_) => of(503, "service_unavailable", None),
            Self::TooLarge => of(413, "invalid_request_error", None),
            Self::TooSlow => of(408, "invalid_request_error", None),
            Self::ClientGone => of(499, "invalid_request_error", None),
            Self::BadFraming => of(400, "invalid_request_error", None),
            Self::Encoded => of(415, "invalid_request_error", None),
            Self::Invalid(_) => of(422, "invalid_request_error", None),
            Self::NotEnforced { fields } => of(400, "bad_request_error", fields.first().copied()),
            Self::BadConfig(problems) => {
                let first = problems.first().map(|problem| problem.path.as_str());
                of(400, "bad_request_error", first.filter(|path| !path.is_empty()))
            }
            Self::BadField { name, .. } => of(400, "bad_request_error", Some(name)),
            Self::NoService { code, .. } => of(*code, "auth_error", Some("None")),
            Self::Twice { name } => of(400, "bad_request_error", Some(name)),
            Self::NoSuchKey { name } => of(404, "not_found_error", Some(name)),
            Self::Propose(error) => self.of_propose(error, of),
        }
    }

    fn of_propose(
        &self,
        error: &ProposeError,
        of: impl Fn(u16, &str, Option<&str>) -> ErrorBody,
    ) -> ErrorBody {
        match error {
            ProposeError::Rejected(rejected) => match rejected {
                Rejected::DuplicateAlias { alias } => ErrorBody {
                    message: format!(
                        "Key with alias '{alias}' already exists. Key aliases must be unique."
                    ),
                    ..of(400, "bad_request_error", Some("key_alias"))
                },
                Rejected::KeyExists => of(400, "bad_request_error", Some("key")),
                Rejected::UnknownKey => Self::NoSuchKey { name: "key" }.body(),
                Rejected::UnknownEntity { .. }
                | Rejected::UnknownMember { .. }
                | Rejected::UnknownResource { .. }
                | Rejected::UnknownNode { .. }
                | Rejected::UnknownRevision { .. } => of(404, "not_found_error", None),
                Rejected::EntityExists { .. }
                | Rejected::ResourceExists { .. }
                | Rejected::ChangedInBetween { .. }
                | Rejected::ResourceChanged { .. } => of(409, "conflict", None),
                Rejected::DuplicateEmail { .. }
                | Rejected::DuplicateSsoId { .. }
                | Rejected::MemberExists { .. }
                | Rejected::InUse { .. }
                | Rejected::Overpromised { .. }
                | Rejected::TooMany { .. }
                | Rejected::TooManyTokens { .. }
                | Rejected::TooLarge { .. } => of(400, "bad_request_error", None),
                Rejected::NodeRemoved { .. }
                | Rejected::NodeIsMember { .. }
                | Rejected::NodeIsUp { .. }
                | Rejected::AlreadyFormed
                | Rejected::StaleRevision { .. }
                | Rejected::OldRevision { .. } => of(409, "conflict", None),
                Rejected::Forgotten => of(504, "outcome_unknown", None),
            },
            ProposeError::NoQuorum(_) | ProposeError::NotFormed => of(503, "no_quorum", None),
            ProposeError::Unknown { .. } => of(504, "outcome_unknown", None),
            ProposeError::TooLarge { .. } => of(413, "invalid_request_error", None),
            // What is about to change by itself is worth another try; the rest an operator decides.
            ProposeError::NeedsFormat(NeedsFormat { status, .. }) => {
                let decided = status.held || !status.waits_for.is_empty();
                of(if decided { 409 } else { 503 }, "log_format", None)
            }
            ProposeError::Stopping => of(503, "service_unavailable", None),
        }
    }
}

/// A JSON answer.
pub(crate) fn answer(status: u16, json: impl Into<Body>) -> Response {
    let mut response = Response::new(json.into());
    *response.status_mut() = StatusCode::from_u16(status).expect("the map has real statuses");
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_reason_has_its_status_type_and_param() {
        let waited = Duration::from_secs(3);
        let alias = "a".to_owned();
        let cases = [
            (Error::NotReady, 503, "service_unavailable", None),
            (Error::Credential(CredentialError::Missing), 401, "auth_error", Some("None")),
            (
                Error::NotAdmin {
                    route: "/key/list",
                    role: "unknown",
                    key: "sk-...abcd".to_owned(),
                },
                401,
                "auth_error",
                Some("None"),
            ),
            (Error::NotYours, 403, "auth_error", Some("key")),
            (
                Error::NotEnforced { fields: vec!["max_budget", "team_id"] },
                400,
                "bad_request_error",
                Some("max_budget"),
            ),
            (Error::NoSuchKey { name: "keys" }, 404, "not_found_error", Some("keys")),
            (
                ProposeError::Rejected(Rejected::DuplicateAlias { alias }).into(),
                400,
                "bad_request_error",
                Some("key_alias"),
            ),
            (
                ProposeError::Rejected(Rejected::UnknownKey).into(),
                404,
                "not_found_error",
                Some("key"),
            ),
            (ProposeError::NotFormed.into(), 503, "no_quorum", None),
            (ProposeError::Unknown { waited }.into(), 504, "outcome_unknown", None),
        ];
        for (error, code, kind, param) in cases {
            let body = error.body();
            let told = (body.code, body.kind.as_deref(), body.param.as_deref());
            assert_eq!(told, (code, Some(kind), param), "{error}");
            let response = error.into_response();
            assert_eq!(response.status(), code);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), code == 503);
        }
    }

    #[test]
    fn a_change_of_unknown_outcome_says_that_it_may_still_take_effect() {
        let error = Error::from(ProposeError::Unknown { waited: Duration::from_secs(3) });
        assert!(error.body().message.contains("may still take effect"));
    }
}
