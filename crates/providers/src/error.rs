//! What went wrong with a call: a closed cause to decide by, the provider's words for people, and
//! the message, type and status that LiteLLM's clients know.

use std::time::Duration;

use dunlin_llm::openai::UpstreamError;
use dunlin_llm::{BadFrame, BadReply, Details};
use http::StatusCode;

use crate::EncodeError;
use crate::stream::StreamError;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// 400, for no reason known more exactly.
    BadRequest,
    /// 401: the provider does not take our key.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404: no such model or path.
    NotFound,
    /// 408, or our own timeout.
    Timeout,
    /// 409.
    Conflict,
    /// 413.
    TooLarge,
    /// 422.
    Unprocessable,
    /// 429.
    RateLimited,
    /// The prompt and the answer do not fit the model.
    ContextWindow,
    /// The provider's content filter.
    ContentPolicy,
    /// 500.
    Internal,
    /// 502, and a redirect that is not followed.
    BadGateway,
    /// 503: overloaded, or still loading the model.
    Unavailable,
    /// 529, which some providers send when they have too much to do.
    Overloaded,
    /// No connection, or it broke before an answer.
    Connection,
    /// An answer that cannot be understood or has no end.
    BadReply,
    /// Not sent: the request itself cannot be put to the provider.
    Unsendable,
    /// Not sent: the provider does not have a parameter.
    UnsupportedParams,
    /// Not sent: the deployment's address, credential or headers are no good.
    Misconfigured,
    /// Another status.
    Other(u16),
}

impl Cause {
    /// The class clients match on, in the message's `litellm.<Class>:` prefix.
    #[must_use]
    pub fn litellm_class(self) -> &'static str {
        match self {
            Self::BadRequest | Self::Unprocessable | Self::Unsendable => "BadRequestError",
            Self::Unauthorized => "AuthenticationError",
            Self::NotFound => "NotFoundError",
            Self::Timeout | Self::Other(504) => "Timeout",
            Self::RateLimited => "RateLimitError",
            Self::ContextWindow => "ContextWindowExceededError",
            Self::ContentPolicy => "ContentPolicyViolationError",
            Self::Internal | Self::Overloaded | Self::Connection => "InternalServerError",
            Self::BadGateway => "BadGatewayError",
            Self::Unavailable => "ServiceUnavailableError",
            Self::BadReply | Self::Misconfigured => "APIConnectionError",
            Self::UnsupportedParams => "UnsupportedParamsError",
            Self::Forbidden | Self::Conflict | Self::TooLarge | Self::Other(_) => "APIError",
        }
    }

    /// The HTTP status the client sees.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest
            | Self::ContextWindow
            | Self::ContentPolicy
            | Self::Unsendable
            | Self::UnsupportedParams => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Timeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimited => 429,
            Self::Internal | Self::Connection | Self::BadReply | Self::Misconfigured => 500,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::Overloaded => 529,
            Self::Other(status) => status,
        }
    }

    /// True if the same request may succeed when it is tried again, wherever that is. (A 401 or
    /// 403 may also be worth another *deployment*; that is for the caller to know.)
    #[must_use]
    pub fn retryable(self) -> bool {
        // 424: TGI's and Bedrock's word for a model that failed.
        matches!(self.status(), 408 | 409 | 424 | 429 | 500..)
    }

    /// True if it is the request's own fault, whatever the status: it says nothing of who was asked.
    #[must_use]
    pub fn is_the_requests_own(self) -> bool {
        matches!(
            self,
            Self::ContextWindow | Self::ContentPolicy | Self::Unsendable | Self::UnsupportedParams
        )
    }

    /// True if nobody was asked, since the request itself could not be put.
    #[must_use]
    pub fn is_unsent(self) -> bool {
        matches!(self, Self::Unsendable | Self::UnsupportedParams)
    }

    fn of_unsent(error: &EncodeError) -> Self {
        match error {
            EncodeError::BadRequest(_) | EncodeError::UnsupportedEndpoint { .. } => {
                Self::Unsendable
            }
            EncodeError::UnsupportedParams { .. } | EncodeError::UnsupportedTool { .. } => {
                Self::UnsupportedParams
            }
            EncodeError::BadUrl { .. }
            | EncodeError::BadHeader { .. }
            | EncodeError::WrongCredential { .. } => Self::Misconfigured,
            EncodeError::Line { error, .. } => Self::of_unsent(error),
        }
    }

    fn of(status: u16, error: &UpstreamError) -> Self {
        match status {
            400 | 413 | 422 | 500 if is_context_window(error) => Self::ContextWindow,
            400 if is_content_policy(error) => Self::ContentPolicy,
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            408 => Self::Timeout,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            422 => Self::Unprocessable,
            429 => Self::RateLimited,
            500 => Self::Internal,
            // A redirect is not followed: it could lead anywhere, with our key.
            // Nor is what HTTP has no status for told to clients.
            502 | ..400 | 600.. => Self::BadGateway,
            503 => Self::Unavailable,
            529 => Self::Overloaded,
            other => Self::Other(other),
        }
    }
}

/// As much of where a redirect leads is shown.
const MAX_LOCATION: usize = 200;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{speaker}: {message}")]
pub struct ProviderError {
    /// What to decide by.
    pub cause: Cause,
    /// What happened, mostly in the provider's own words.
    pub message: String,
    /// The provider's own `type`.
    pub kind: Option<String>,
    /// Who says so, as LiteLLM's messages have it.
    pub speaker: &'static str,
    /// See [`UpstreamError::details`].
    pub details: Option<Box<Details>>,
}

impl ProviderError {
    /// No connection could be made, or it broke before an answer came.
    #[must_use]
    pub fn connection(speaker: &'static str) -> Self {
        Self::own(Cause::Connection, speaker, "Connection error.")
    }

    /// The same, of one that is known to have failed for a reason.
    #[must_use]
    pub fn unanswered(speaker: &'static str, why: &str) -> Self {
        Self::own(Cause::Connection, speaker, format!("Connection error: {why}."))
    }

    /// We stopped waiting after `taken`, with a bound of `limit`.
    #[must_use]
    pub fn timeout(limit: Duration, taken: Duration) -> Self {
        let (limit, taken) = (limit.as_secs_f64(), taken.as_secs_f64());
        let message =
            format!("Request timed out. timeout value={limit:?}, time taken={taken:.2} seconds");
        Self::own(Cause::Timeout, "APITimeoutError", message)
    }

    /// The provider answered with a status that is no success.
    #[must_use]
    pub fn response(speaker: &'static str, status: StatusCode, body: &[u8]) -> Self {
        let error = UpstreamError::parse(body);
        Self::said(Cause::of(status.as_u16(), &error), speaker, error)
    }

    /// The provider answered with a redirect. It is not followed: it could lead anywhere, with our key.
    #[must_use]
    pub fn redirect(speaker: &'static str, status: StatusCode, location: Option<&str>) -> Self {
        // A query or a name before the host may hold a secret.
        let shown = location.unwrap_or_default();
        let shown = shown.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = shown.split_once("://").map_or(("", shown), |(s, rest)| (s, rest));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = host.rsplit('@').next().unwrap_or_default();
        let separator = if scheme.is_empty() { "" } else { "://" };
        let shown = format!("{scheme}{separator}{host}{path}");
        let shown: String = shown.chars().take(MAX_LOCATION).collect();
        let to = if shown.is_empty() { "nowhere".to_owned() } else { format!("to `{shown}`") };
        let status = status.as_u16();
        let message = format!(
            "the server redirects (HTTP {status}) {to}, and redirects are not followed: set \
             `api_base` to where the API itself is"
        );
        Self::own(Cause::BadGateway, speaker, message)
    }

    /// What the provider answered, if it is no failure.
    ///
    /// # Errors
    /// The status is no success, or the body says that there was none.
    pub(crate) fn check(
        speaker: &'static str,
        status: StatusCode,
        body: &[u8],
    ) -> Result<(), Self> {
        if !status.is_success() {
            return Err(Self::response(speaker, status, body));
        }
        UpstreamError::within(body).map_or(Ok(()), |error| Err(Self::event(speaker, error)))
    }

    /// The provider sent an error in a stream, or where an answer should be. Its code counts if it is
    /// a status or a word for one.
    #[must_use]
    pub fn event(speaker: &'static str, error: UpstreamError) -> Self {
        let status = status_of(&error);
        let cause = match status {
            Some(status) => Cause::of(status, &error),
            None if is_context_window(&error) => Cause::ContextWindow,
            None => Cause::BadReply,
        };
        Self::said(cause, speaker, error)
    }

    /// The provider's stream is broken.
    #[must_use]
    pub fn stream(speaker: &'static str, error: &StreamError) -> Self {
        let is_untold = matches!(error, StreamError::BadFrame(BadFrame::Untold { .. }));
        Self::own(unread(is_untold), speaker, error.to_string())
    }

    /// The provider's answer is none.
    #[must_use]
    pub fn bad_reply(speaker: &'static str, error: &BadReply) -> Self {
        let is_untold = matches!(error, BadReply::Untold { .. });
        Self::own(unread(is_untold), speaker, error.to_string())
    }

    /// The provider's answer lacks what it is asked for.
    #[must_use]
    pub fn lacking(speaker: &'static str, why: &str) -> Self {
        Self::own(Cause::BadReply, speaker, why)
    }

    /// The provider's answer is longer than can be translated.
    #[must_use]
    pub fn long_reply(speaker: &'static str, most: usize) -> Self {
        let most = most >> 20;
        let words =
            format!("the answer has more than {most} MB, which is the most that is translated");
        Self::own(Cause::BadReply, speaker, words)
    }

    /// The provider's answer comes in a form that is not read here.
    #[must_use]
    pub fn unreadable(speaker: &'static str, why: impl Into<String>) -> Self {
        Self::own(Cause::BadGateway, speaker, why)
    }

    /// The provider was not called.
    #[must_use]
    pub fn unsendable(speaker: &'static str, error: &EncodeError) -> Self {
        let cause = Cause::of_unsent(error);
        let kind = (cause.status() == 400).then(|| "invalid_request_error".to_owned());
        let details = error.details().map(Box::new);
        Self { kind, details, ..Self::own(cause, speaker, error.to_string()) }
    }

    /// The provider was not called: how it is to be called cannot be carried out.
    #[must_use]
    pub fn misconfigured(speaker: &'static str, why: &impl std::fmt::Display) -> Self {
        Self::own(Cause::Misconfigured, speaker, why.to_string())
    }

    fn said(cause: Cause, speaker: &'static str, error: UpstreamError) -> Self {
        let UpstreamError { message, kind, details, .. } = error;
        Self { cause, message, kind, speaker, details }
    }

    fn own(cause: Cause, speaker: &'static str, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), kind: None, speaker, details: None }
    }

    /// The message for the client.
    #[must_use]
    pub fn client_message(&self) -> String {
        let (class, speaker, message) = (self.cause.litellm_class(), self.speaker, &self.message);
        match self.cause {
            Cause::BadRequest | Cause::Unprocessable | Cause::Timeout => {
                format!("litellm.{class}: {speaker} - {message}")
            }
            // Whose words these are: nobody else was asked.
            Cause::Unsendable | Cause::UnsupportedParams => format!("litellm.{class}: {message}"),
            Cause::Unauthorized
            | Cause::Forbidden
            | Cause::NotFound
            | Cause::Conflict
            | Cause::TooLarge
            | Cause::RateLimited
            | Cause::ContextWindow
            | Cause::ContentPolicy
            | Cause::Internal
            | Cause::BadGateway
            | Cause::Unavailable
            | Cause::Overloaded
            | Cause::Connection
            | Cause::BadReply
            | Cause::Misconfigured
            | Cause::Other(_) => format!("litellm.{class}: {class}: {speaker} - {message}"),
        }
    }

    /// The `type` for the client: the provider's own only where the request is at fault.
    #[must_use]
    pub fn client_kind(&self) -> Option<&str> {
        match self.cause {
            Cause::BadRequest
            | Cause::Unprocessable
            | Cause::Conflict
            | Cause::TooLarge
            | Cause::Unsendable
            | Cause::UnsupportedParams
            | Cause::ContentPolicy => self.kind.as_deref(),
            Cause::Unauthorized => Some("authentication_error"),
            Cause::Forbidden => Some("permission_error"),
            Cause::NotFound | Cause::Timeout | Cause::ContextWindow => {
                Some("invalid_request_error")
            }
            Cause::RateLimited => Some("throttling_error"),
            Cause::Internal
            | Cause::BadGateway
            | Cause::Unavailable
            | Cause::Overloaded
            | Cause::Connection
            | Cause::Misconfigured
            | Cause::Other(500..) => Some("internal_server_error"),
            Cause::Other(_) => self.kind.as_deref(),
            Cause::BadReply => None,
        }
    }
}

/// Words that stand for a status: OpenAI's codes and types, Anthropic's types, and TGI's.
const STATUS_WORDS: &[(&str, u16)] = &[
    ("authentication_error", 401),
    ("billing_error", 402),
    ("context_length_exceeded", 400),
    ("generation", 424),
    ("incomplete_generation", 500),
    ("insufficient_quota", 429),
    ("invalid_api_key", 401),
    ("invalid_request_error", 400),
    ("model_not_found", 404),
    ("not_found_error", 404),
    ("overloaded", 429),
    ("overloaded_error", 529),
    ("permission_error", 403),
    ("rate_limit_error", 429),
    ("rate_limit_exceeded", 429),
    ("request_too_large", 413),
    ("server_is_overloaded", 503),
    ("timeout_error", 504),
    ("validation", 422),
];

/// An answer in a form that its client's route has no word for would be made in vain again: to ask
/// there is the request's fault.
fn unread(is_untold: bool) -> Cause {
    if is_untold { Cause::BadRequest } else { Cause::BadReply }
}

fn status_of(error: &UpstreamError) -> Option<u16> {
    let status = |word: &str| STATUS_WORDS.iter().find(|(known, _)| *known == word);
    let named = |word: Option<&str>| word.and_then(status).map(|(_, status)| *status);
    let code = error.code.as_deref();
    // Some number their errors in ways of their own.
    let number = code.and_then(|code| code.parse().ok()).filter(|code| (400..=599).contains(code));
    number.or_else(|| named(code)).or_else(|| named(error.kind.as_deref()))
}

/// OpenAI says it by a code, llama.cpp by a type, the rest in words that have long been the same.
fn is_context_window(error: &UpstreamError) -> bool {
    error.code.as_deref() == Some("context_length_exceeded")
        || error.kind.as_deref() == Some("exceed_context_size_error")
        || says(
            error,
            &[
                "maximum context length",
                "longer than the model's context length",
                "available context size",
                "context size has been exceeded",
                "context window",
                "exceeds the maximum number of tokens allowed",
                "maximum model length",
                "prompt is too long",
                "exceed context limit",
                "exceeds the context length",
                "`inputs` tokens + `max_new_tokens` must be",
                "`inputs` must have less than",
                "string too long. expected a string with maximum length",
                "input tokens exceed the configured limit",
                "size limit exceeded by",
                "input is too long",
                "too many input tokens",
            ],
        )
}

fn is_content_policy(error: &UpstreamError) -> bool {
    let words = ["content_policy_violation", "content_filter"];
    error.code.as_deref().is_some_and(|code| words.contains(&code))
        || error.kind.as_deref().is_some_and(|kind| words.contains(&kind))
        || says(error, &["content management policy", "rejected as a result of our safety system"])
}

fn says(error: &UpstreamError, phrases: &[&str]) -> bool {
    let message = error.message.to_ascii_lowercase();
    phrases.iter().any(|phrase| message.contains(phrase))
}
