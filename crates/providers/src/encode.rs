//! One HTTP call to a provider: where it goes and what it carries besides the body.

use bytes::Bytes;
use dunlin_llm::{BadRequest, Endpoint, Target};
use dunlin_types::Credential;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Uri};

/// As Python writes it, and so LiteLLM: with single quotes.
fn python_list(names: &[String]) -> String {
    let quoted =
        |name: &String| format!("'{}'", name.escape_debug().to_string().replace("\\\"", "\""));
    format!("[{}]", names.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// Why a deployment cannot be asked.
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
    /// The request has a part that cannot be said in the provider's dialect, or a malformed one.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// The provider has no such parameters, and they are not to be dropped.
    #[error(
        "{provider} does not support parameters: {}, for model={model}. To drop these, set \
         `litellm.drop_params=True` or for proxy:\n\n`litellm_settings:\n drop_params: true`\n.",
        python_list(params)
    )]
    UnsupportedParams {
        /// The provider's id.
        provider: &'static str,
        /// OpenAI's names.
        params: Vec<String>,
        /// The model's name upstream.
        model: String,
    },
    /// A tool that the provider would have to run itself must be called, and it does not run it.
    #[error(
        "{provider} does not run the tool '{tool}' for model={model}, and `tool_choice` asks for no \
         other: it is run by servers that have OpenAI's Responses API themselves. Leave `tool_choice` \
         out (the model then answers without the tool), give a function of your own instead, or ask a \
         model whose provider runs it"
    )]
    UnsupportedTool {
        /// The provider's id.
        provider: &'static str,
        /// Its type.
        tool: String,
        /// The model's name upstream.
        model: String,
    },
    /// The provider cannot do what is asked at all.
    #[error("{provider} does not serve {route}")]
    UnsupportedEndpoint {
        /// The provider's id.
        provider: &'static str,
        /// What was asked.
        route: &'static str,
    },
    /// A line of a file is the reason.
    #[error("line {number}: {error}")]
    Line {
        /// From 1.
        number: u64,
        /// Why it cannot be sent.
        error: Box<EncodeError>,
    },
    /// The credential is of a kind that the provider does not take, or there is none.
    #[error("{provider} needs {needed}")]
    WrongCredential {
        /// The provider's id.
        provider: &'static str,
        /// A noun phrase.
        needed: &'static str,
    },
}

impl EncodeError {
    /// See [`BadRequest::at`].
    #[must_use]
    pub fn at(self, endpoint: Endpoint) -> Self {
        let Self::BadRequest(bad) = self else { return self };
        Self::BadRequest(bad.at(endpoint))
    }

    /// See [`BadRequest::details`].
    pub(crate) fn details(&self) -> Option<dunlin_llm::Details> {
        let Self::BadRequest(bad) = self else { return None };
        bad.details()
    }
}

/// A POST of JSON to `url` with the deployment's headers and, if the credential is a key or a
/// token, `Authorization: Bearer`.
pub(crate) fn post(
    url: String,
    body: Bytes,
    to: &Target,
    credential: &Credential,
) -> Result<Request<Bytes>, EncodeError> {
    let mut call = post_without_credential(url, body, to)?;
    match credential {
        Credential::Key(key) | Credential::Token(key) => {
            let bearer = secret_value(AUTHORIZATION.as_str(), &format!("Bearer {}", key.expose()))?;
            // A header of the operator's own wins.
            call.headers_mut().entry(AUTHORIZATION).or_insert(bearer);
        }
        Credential::None | Credential::Aws { .. } => {}
    }
    Ok(call)
}

/// A POST of JSON to `url` with the deployment's headers.
pub(crate) fn post_without_credential(
    url: String,
    body: Bytes,
    to: &Target,
) -> Result<Request<Bytes>, EncodeError> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let uri = Uri::try_from(url.as_str()).ok().filter(|uri| uri.authority().is_some());
    let mut call = Request::new(body);
    *call.method_mut() = Method::POST;
    *call.uri_mut() = uri.ok_or(EncodeError::BadUrl { url })?;
    call.headers_mut().insert(CONTENT_TYPE, JSON);
    call.headers_mut().insert(ACCEPT, JSON);
    add_headers(&mut call, to)?;
    Ok(call)
}

/// Adds the deployment's own headers.
pub(crate) fn add_headers(call: &mut Request<Bytes>, to: &Target) -> Result<(), EncodeError> {
    for (name, value) in &to.headers {
        let value = secret_value(name, value.expose())?;
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| EncodeError::BadHeader { name: name.to_string() })?;
        call.headers_mut().insert(name, value);
    }
    Ok(())
}

/// A value that HTTP libraries keep out of their logs and compression tables.
pub(crate) fn secret_value(name: &str, value: &str) -> Result<HeaderValue, EncodeError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| EncodeError::BadHeader { name: name.to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}
