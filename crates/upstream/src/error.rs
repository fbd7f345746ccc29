//! How an attempt fails: what the provider said or did, whose deployment it was, and when it asks
//! to be called again.

use std::sync::Arc;
use std::time::Duration;

use dunlin_egress::MAX_FIELDS;
use dunlin_llm::Chunk;
use dunlin_providers::{Cause, EncodeError, ProviderError};
use dunlin_router::{Deployment, Outcome};
use dunlin_types::NoConnection;

/// Why a call got no answer that could be read.
pub(crate) fn unanswered(speaker: &'static str, failure: &dunlin_egress::Failure) -> ProviderError {
    if failure.is_long_head() {
        let why =
            format!("the answer has more than {MAX_FIELDS} header fields, or too long a head");
        return ProviderError::unreadable(speaker, why);
    }
    ProviderError::unanswered(speaker, &failure.reason())
}

/// A shorter key may be part of a word: it is hidden where it stands alone.
const TELLING: usize = 8;

/// The text without the key.
fn hide(text: &str, key: &str) -> String {
    let is_part = |beside: Option<char>| beside.is_some_and(char::is_alphanumeric);
    let (mut hidden, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(next) = rest.chars().next() {
        let behind = rest.strip_prefix(key).filter(|behind| {
            let before = text[..text.len() - rest.len()].chars().next_back();
            key.len() >= TELLING || !is_part(before) && !is_part(behind.chars().next())
        });
        if let Some(behind) = behind.filter(|_| !key.is_empty()) {
            hidden.push_str("******");
            rest = behind;
        } else {
            hidden.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    hidden
}

/// An error without the key that was shown to who says it, which some servers repeat: clients read
/// it, and it is put on record.
#[must_use]
pub fn hiding(by: &Deployment, mut error: ProviderError) -> ProviderError {
    if let Some(key) = &by.target.api_key {
        error.message = hide(&error.message, key.expose());
        error.details = error.details.filter(|details| {
            let text = details.text();
            hide(&text, key.expose()) == text
        });
    }
    error
}

/// Whether a text repeats the key.
pub(crate) fn repeats_key(by: &Deployment, text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    by.target.api_key.as_ref().is_some_and(|key| hide(&text, key.expose()) != text)
}

/// A failed attempt.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// What went wrong, in words for the client and as a cause to decide by.
    #[source]
    pub error: ProviderError,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Who failed.
    pub deployment: Arc<Deployment>,
    /// The event by which a stream said so itself, for clients of its dialect.
    pub last: Option<Box<Chunk>>,
    /// Why no connection could be made at all.
    pub(crate) no_connection: Option<NoConnection>,
}

impl Failure {
    pub(crate) fn new(deployment: &Arc<Deployment>, error: ProviderError) -> Self {
        let (error, deployment) = (hiding(deployment, error), Arc::clone(deployment));
        let retry_after = error.details.as_ref().and_then(|details| details.retry_after());
        Self { error, retry_after, deployment, last: None, no_connection: None }
    }

    /// The provider was not called: the request cannot be said to it, or its deployment cannot be
    /// called at all.
    pub(crate) fn unsendable(
        deployment: &Arc<Deployment>,
        speaker: &'static str,
        error: &EncodeError,
    ) -> Self {
        Self::new(deployment, ProviderError::unsendable(speaker, error))
    }

    /// Whether the provider refuses to be asked for a stream's usage. Only its words tell: there is
    /// no code for it.
    pub(crate) fn is_about_stream_options(&self) -> bool {
        let refused = matches!(self.error.cause, Cause::BadRequest | Cause::Unprocessable);
        refused && self.error.message.contains("stream_options")
    }

    /// What it says about the health of the backend.
    pub(crate) fn outcome(&self) -> Outcome {
        let cause = self.error.cause;
        if let Some(why) = self.no_connection {
            Outcome::Refused(why)
        } else if matches!(cause, Cause::Connection | Cause::BadReply) {
            Outcome::Broken
        } else if cause.is_the_requests_own() {
            Outcome::Success
        } else {
            Outcome::Status { code: cause.status(), retry_after: self.retry_after }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_hidden_wherever_it_stands_and_a_short_one_where_it_stands_alone() {
        for (text, key, hidden) in [
            ("The key is not e.", "e", "The key is not ******."),
            ("key=e, e", "e", "key=******, ******"),
            ("bad key: abc1234", "abc1234", "bad key: ******"),
            ("bad key: xabc1234 ünot", "abc1234", "bad key: xabc1234 ünot"),
            ("bad key: xsk-abcd-1234y", "sk-abcd-1234", "bad key: x******y"),
            ("sk-abcd-1234sk-abcd-1234", "sk-abcd-1234", "************"),
            ("nothing", "", "nothing"),
        ] {
            assert_eq!(hide(text, key), hidden, "{key}");
        }
    }
}
