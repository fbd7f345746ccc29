//! A small HTTP client for nodes on loopback. It tells "nobody listens there" from "it broke under
//! way", because only the first may be sent again to another node without thinking.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// No call in a test, the demo or the benchmark takes longer unless it hangs.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A `reqwest` client for plain HTTP without proxies or redirects.
///
/// # Errors
/// The client cannot be built.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // reqwest wants a TLS backend even where only http is spoken; this one trusts nobody.
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .build()
        .context("cannot build an HTTP client")
}

/// A caller with a key.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    key: String,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as text.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum CallError {
    /// No connection was made: the request never left and may go to another node.
    Refused(String),
    /// The connection broke, or the answer took longer than 30 s: the request may have been served.
    Broken(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "not connected: {reason}"),
            Self::Broken(reason) => write!(f, "connection broke: {reason}"),
        }
    }
}

impl std::error::Error for CallError {}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        let connecting = error.is_connect();
        let reason = format!("{:#}", anyhow::Error::new(error));
        if connecting { Self::Refused(reason) } else { Self::Broken(reason) }
    }
}

impl Client {
    /// A caller that shows `key` on every call.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(key: &str) -> anyhow::Result<Self> {
        Ok(Self { http: http_client()?, key: key.to_owned() })
    }

    /// Another caller over the same connections.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { http: self.http.clone(), key: key.to_owned() }
    }

    /// The key this caller shows.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// GET.
    ///
    /// # Errors
    /// There is no answer; a status of any kind is an answer.
    pub async fn get(&self, url: &str) -> Result<Reply, CallError> {
        self.send(self.http.get(url)).await
    }

    /// POST of a JSON body.
    ///
    /// # Errors
    /// There is no answer; a status of any kind is an answer.
    pub async fn post(&self, url: &str, body: &impl Serialize) -> Result<Reply, CallError> {
        self.send(self.http.post(url).json(body)).await
    }

    /// PATCH of a JSON body.
    ///
    /// # Errors
    /// There is no answer; a status of any kind is an answer.
    pub async fn patch(&self, url: &str, body: &impl Serialize) -> Result<Reply, CallError> {
        self.send(self.http.patch(url).json(body)).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// There is no answer; a status of any kind is an answer.
    pub async fn delete(&self, url: &str) -> Result<Reply, CallError> {
        self.send(self.http.delete(url)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, CallError> {
        let response = request.bearer_auth(&self.key).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, body: response.text().await? })
    }
}

impl Reply {
    /// Whether the status is 200 to 299.
    #[must_use]
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's value, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// The body is something else; the error shows it.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(&self.body)
            .with_context(|| format!("status {}, body: {}", self.status, self.body))
    }
}
