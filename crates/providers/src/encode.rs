//! One HTTP call to a provider: where it goes and what it carries besides the body.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_types::Secret;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Uri};

/// One deployment, as a provider needs to know it.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// Base URL without a trailing slash, such as `http://vllm:8000/v1`.
    pub api_base: &'a str,
    /// The provider's key. `None`: no `Authorization` header is sent.
    pub api_key: Option<&'a Secret>,
    /// The model's name upstream.
    pub upstream_model: &'a str,
    /// Headers to add.
    pub headers: &'a [(Arc<str>, Secret)],
    /// Top-level body fields the client may override: name, JSON text.
    pub body_defaults: &'a [(Arc<str>, Arc<str>)],
}

/// Why an endpoint cannot be called: its configuration is at fault, not the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Not a URL.
    #[error("`{url}` is not a URL that can be called")]
    BadUrl {
        /// The whole URL.
        url: String,
    },
    /// Its name or value cannot be sent. The value is a secret and not repeated.
    #[error(
        "the header `{name}` cannot be sent: its name or value has characters that HTTP forbids"
    )]
    BadHeader {
        /// The header.
        name: String,
    },
}

/// A POST of JSON to `url` with the endpoint's credentials and headers.
pub(crate) fn post(
    url: String,
    body: Bytes,
    to: &Endpoint<'_>,
) -> Result<Request<Bytes>, EncodeError> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let uri = Uri::try_from(url.as_str()).ok().filter(|uri| uri.authority().is_some());
    let mut call = Request::new(body);
    *call.method_mut() = Method::POST;
    *call.uri_mut() = uri.ok_or(EncodeError::BadUrl { url })?;
    call.headers_mut().insert(CONTENT_TYPE, JSON);
    call.headers_mut().insert(ACCEPT, JSON);
    if let Some(key) = to.api_key {
        let bearer = secret_value(AUTHORIZATION.as_str(), &format!("Bearer {}", key.expose()))?;
        call.headers_mut().insert(AUTHORIZATION, bearer);
    }
    for (name, value) in to.headers {
        let value = secret_value(name, value.expose())?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| EncodeError::BadHeader { name: name.to_string() })?;
        call.headers_mut().insert(name, value);
    }
    Ok(call)
}

/// A value that HTTP libraries keep out of their logs and compression tables.
pub(crate) fn secret_value(name: &str, value: &str) -> Result<HeaderValue, EncodeError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| EncodeError::BadHeader { name: name.to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}
