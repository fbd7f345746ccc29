//! Why there is no credential: what was tried, what was said, and how to mend it.

use std::time::Duration;

/// No credential. The text holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The service gave no answer.
    #[error("{endpoint} does not answer: {why}")]
    Unreachable {
        /// Its address.
        endpoint: String,
        /// How the attempt ended.
        why: String,
    },
    /// The service refused, in its own words.
    #[error("{endpoint} refused with status {status}: {said}")]
    Refused {
        /// Its address.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        said: String,
    },
    /// The service answered something else than a credential.
    #[error("{endpoint} answered without a credential: {why}")]
    BadAnswer {
        /// Its address.
        endpoint: String,
        /// What is missing.
        why: String,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read: {why}; {named_by} names it")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        why: String,
        /// Where it is named.
        named_by: String,
    },
    /// A setting that cannot be carried out.
    #[error("{what}: {mend}")]
    Unusable {
        /// Which, and what is wrong with it.
        what: String,
        /// The way out.
        mend: String,
    },
    /// Nothing is there to get a credential with.
    #[error("no credential was found. Tried: {}. {mend}", tried.join("; "))]
    NotFound {
        /// Each way, and why it gave nothing.
        tried: Vec<String>,
        /// The way out.
        mend: &'static str,
    },
    /// It took too long.
    #[error("no credential came within {} s", waited.as_secs())]
    Late {
        /// How long it was waited for.
        waited: Duration,
    },
}
