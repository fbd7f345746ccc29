//! Why there is no way out, and why a request got no answer.

use std::fmt;
use std::io;
use std::sync::Arc;

use dunlin_types::NoConnection;

use crate::connect::AnyError;
use crate::reason;

/// A setting that cannot be carried out. Values of variables are not shown: proxies have passwords.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A proxy that cannot be used.
    #[error("the variable {variable} does not name a usable proxy: {why}")]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file that cannot be read.
    #[error("{path}, named by {setting}, cannot be read: {source}")]
    File {
        /// The file.
        path: Arc<str>,
        /// Where it is named.
        setting: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{path}, named by {setting}, {why}")]
    Pem {
        /// The file.
        path: Arc<str>,
        /// Where it is named.
        setting: &'static str,
        /// What is missing or wrong.
        why: String,
    },
}

/// A request got no answer. Its text goes down to the cause.
#[derive(Debug)]
pub struct Failure(pub(crate) Cause);

#[derive(Debug)]
pub(crate) enum Cause {
    /// The address names no host that could be asked over HTTP.
    Nowhere,
    /// No connection could be made.
    Connect(AnyError),
    /// The connection broke.
    Sent(hyper::Error),
}

impl Failure {
    /// Why no connection could be made at all, so that nothing was sent.
    #[must_use]
    pub fn no_connection(&self) -> Option<NoConnection> {
        match &self.0 {
            Cause::Connect(cause) => Some(reason::of(&**cause)),
            Cause::Nowhere | Cause::Sent(_) => None,
        }
    }

    /// Why there is no answer, in words that name no address.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.0 {
            Cause::Nowhere => "the address names no host".to_owned(),
            Cause::Connect(cause) => reason::of(&**cause).to_string(),
            Cause::Sent(cause) => reason::of_break(cause).to_owned(),
        }
    }

    /// Whether there was an answer whose head has more than [`MAX_FIELDS`](crate::MAX_FIELDS), or is
    /// too long.
    #[must_use]
    pub fn is_long_head(&self) -> bool {
        matches!(&self.0, Cause::Sent(cause) if cause.is_parse_too_large())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, mut cause): (_, Option<&dyn std::error::Error>) = match &self.0 {
            Cause::Nowhere => ("the address names no host", None),
            Cause::Connect(cause) => ("no connection", Some(&**cause)),
            Cause::Sent(cause) => ("the connection broke", Some(cause)),
        };
        f.write_str(what)?;
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
