//! Why a body is not a request, as its client is told.

use serde_json::json;

use crate::Details;
use crate::endpoint::Endpoint;
use crate::openai::ErrorBody;

/// Why a body is not a request. Always the client's fault: 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not JSON.
    #[error("Invalid JSON payload: {problem}: line {line} column {column} (char {char})")]
    Malformed {
        /// What is wrong there.
        problem: &'static str,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// Characters before the place.
        char: usize,
    },
    /// JSON, but a list, number, string or the like.
    #[error("Invalid JSON payload: expected an object")]
    NotAnObject,
    /// The same name twice: two readers could then see two requests.
    #[error("Invalid JSON payload: duplicate field '{name}'")]
    Duplicate {
        /// The name, cut at 64 characters.
        name: String,
    },
    /// An upload that cannot be taken apart.
    #[error("Invalid multipart payload: {problem}")]
    Multipart {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No model. In LiteLLM's words, which clients know.
    #[error(
        "litellm.BadRequestError: You passed in model=None. There are no healthy deployments for \
         this model"
    )]
    MissingModel,
    /// A member that the endpoint needs is absent or null.
    #[error("{route}: Missing required parameter: '{name}'.")]
    Missing {
        /// The endpoint.
        route: &'static str,
        /// The member.
        name: &'static str,
    },
    /// A member of the wrong kind.
    #[error("{route}: Invalid value for '{name}': expected {expected}.")]
    Invalid {
        /// The endpoint.
        route: &'static str,
        /// The member.
        name: String,
        /// A noun phrase.
        expected: &'static str,
    },
    /// What is asked cannot be said in the provider's dialect. Whoever knows the client's says where it
    /// stands: [`Self::at`].
    #[error("Invalid value for the prompt: expected {expected}.")]
    Unsayable {
        /// A noun phrase.
        expected: &'static str,
    },
    /// A credential or address of a provider in the body.
    #[error(
        "{route}: '{name}' is not allowed in the request body: this gateway chooses providers and \
         their credentials by its own configuration."
    )]
    CredentialInBody {
        /// The endpoint.
        route: &'static str,
        /// The member.
        name: String,
    },
    /// A control that the gateway does not carry out: to go on without it would be to lose it.
    #[error("{route}: '{name}' is not enforced by this gateway: leave it out to go on without.")]
    NotEnforced {
        /// The endpoint.
        route: &'static str,
        /// The member.
        name: String,
    },
    /// A wish that cannot come true for what a provider is given once, and works through alone.
    #[error(
        "{route}: '{name}' is not carried out here: the provider is asked once, and works through \
         files and batches alone. Leave it out to go on without."
    )]
    NotCarriedOut {
        /// The endpoint.
        route: &'static str,
        /// The member.
        name: String,
    },
    /// A conversation that its server is to remember, where none does.
    #[error(
        "{route}: 'thread' is not supported by this model: its server remembers no conversation. \
         Send the whole of it."
    )]
    NoThread {
        /// The endpoint.
        route: &'static str,
    },
    /// A message that no conversation of the client's goes on from.
    #[error(
        "{route}: no conversation of this key goes on from the message that \
         'thread.previous_message_id' names. Send the whole of it."
    )]
    NoSuchThread {
        /// The endpoint.
        route: &'static str,
    },
    /// A header of the gateway's with a value it cannot read.
    #[error("Invalid value for header '{name}': expected {expected}.")]
    BadHeader {
        /// The header.
        name: &'static str,
        /// A noun phrase.
        expected: &'static str,
    },
}

impl BadRequest {
    pub(crate) fn not_enforced(endpoint: Endpoint, name: &str) -> Self {
        Self::NotEnforced { route: endpoint.route(), name: name.to_owned() }
    }

    /// The same in the words of the endpoint that was asked.
    #[must_use]
    pub fn at(self, endpoint: Endpoint) -> Self {
        let Self::Unsayable { expected } = self else { return self };
        let (route, name) = (endpoint.route(), endpoint.prompt_field().to_owned());
        Self::Invalid { route, name, expected }
    }

    /// A credential, or part of one, that may not be in the body.
    #[must_use]
    pub fn credential(endpoint: Endpoint, name: &str) -> Self {
        Self::CredentialInBody { route: endpoint.route(), name: name.to_owned() }
    }

    /// What Anthropic's clients act by: they go on without what is not supported, or begin anew.
    #[must_use]
    pub fn details(&self) -> Option<Details> {
        if let Self::NoSuchThread { .. } = self {
            return Some(Details::anthropic(json!({"error_code": "thread_not_found"})));
        }
        let Self::NoThread { .. } = self else { return None };
        let unsupported =
            json!({"error_code": "thread_unsupported_request", "unsupported": ["thread"]});
        Some(Details::anthropic(unsupported))
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Malformed { .. } | Self::NotAnObject | Self::Multipart { .. } => {
                Some("request_body")
            }
            Self::MissingModel | Self::Unsayable { .. } => None,
            Self::NoThread { .. } | Self::NoSuchThread { .. } => Some("thread"),
            Self::Missing { name, .. } | Self::BadHeader { name, .. } => Some(name),
            Self::Duplicate { name }
            | Self::Invalid { name, .. }
            | Self::CredentialInBody { name, .. }
            | Self::NotEnforced { name, .. }
            | Self::NotCarriedOut { name, .. } => Some(name),
        }
    }
}

impl From<&BadRequest> for ErrorBody {
    fn from(bad: &BadRequest) -> Self {
        Self {
            message: bad.to_string(),
            kind: Some("invalid_request_error".to_owned()),
            param: bad.param().map(str::to_owned),
            code: 400,
            entity: None,
            details: bad.details().map(Box::new),
        }
    }
}
