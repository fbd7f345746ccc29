//! Why there is no way out, and why a request got no answer.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::Arc;

/// A setting that cannot be carried out. Values of variables are not shown: proxies have passwords.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A proxy that cannot be used.
    #[error("the variable {variable} names no proxy that can be used: {why}")]
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
pub struct Failure(pub(crate) hyper_util::client::legacy::Error);

impl Failure {
    /// Whether no connection could be made at all, so that nothing was sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.0.is_connect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
