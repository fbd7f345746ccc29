//! Short calls to identity services: a form or a question out, a small text back.

use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use dunlin_egress::Egress;
use dunlin_types::{Credential, Networks, Secret, Tls, UnixMillis};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::Value;

use crate::{Error, Grant};

/// A service on the internet.
pub(crate) const FAR: Duration = Duration::from_secs(10);
/// One on this machine: where there is none, packets are swallowed.
pub(crate) const NEAR: Duration = Duration::from_secs(2);
const MAX_ANSWER_BYTES: usize = 256 << 10;
const MAX_FILE_BYTES: u64 = 1 << 20;
/// As much of a service's words as is passed on.
const MAX_WORDS: usize = 600;

/// Fields of forms whose values are secrets.
const SECRET_FIELDS: [&str; 5] =
    ["assertion", "client_assertion", "client_secret", "refresh_token", "WebIdentityToken"];
/// A shorter text would be found in many words.
const MIN_SECRET: usize = 6;

pub(crate) struct Http {
    pub(crate) egress: Egress,
    pub(crate) tls: ArcSwap<Tls>,
}

pub(crate) struct Answer {
    /// Where it came from, without a query.
    pub(crate) endpoint: String,
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    /// What was sent and must not be repeated, whatever the service says.
    secrets: Vec<String>,
}

impl Http {
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        within: Duration,
    ) -> Result<Answer, Error> {
        let endpoint = name(request.uri());
        let secrets = secrets(&request);
        let unreachable = |why: String| Error::Unreachable { endpoint: endpoint.clone(), why };
        let client = self
            .egress
            .client(&self.tls.load(), &Networks::Anywhere)
            .map_err(|error| unreachable(error.to_string()))?;
        let asking = async {
            let answer = client.request(request.map(Full::new)).await;
            let (head, body) = answer.map_err(|failure| failure.to_string())?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| format!("its answer breaks off: {error}"))?.to_bytes();
            Ok((head.status, String::from_utf8_lossy(&body).into_owned()))
        };
        let asked = tokio::time::timeout(within, asking).await;
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer in {} s", within.as_secs())));
        let (status, body) = asked.map_err(unreachable)?;
        Ok(Answer { endpoint, status, body, secrets })
    }
}

impl Answer {
    /// The answer, unless the service refused.
    pub(crate) fn accepted(
        self,
        words: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        if self.status.is_success() {
            return Ok(self);
        }
        let said = words(&self.body).unwrap_or_else(|| "it gave no reason".to_owned());
        let said = self.secrets.iter().fold(said, |said, secret| said.replace(secret, "****"));
        let said = said.chars().take(MAX_WORDS).collect();
        Err(Error::Refused { endpoint: self.endpoint, status: self.status.as_u16(), said })
    }

    pub(crate) fn bad(&self, why: impl Into<String>) -> Error {
        Error::BadAnswer { endpoint: self.endpoint.clone(), why: why.into() }
    }

    /// An OAuth 2 token.
    pub(crate) fn token(self, now: UnixMillis) -> Result<Grant, Error> {
        let answer = self.accepted(json_words)?;
        let json: Value =
            serde_json::from_str(&answer.body).map_err(|_| answer.bad("it is not JSON"))?;
        let token = json.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| answer.bad("it has no access_token"))?;
        let millis = |name: &str| Some(seconds(json.get(name))?.saturating_mul(1000));
        let after = millis("expires_in").map(|left| now.0.saturating_add(left));
        let expires = after.or_else(|| millis("expires_on"));
        let expires = expires.ok_or_else(|| answer.bad("it does not say how long it is valid"))?;
        let credential = Credential::Token(Secret::new(token));
        Ok(Grant { credential, expires: Some(UnixMillis(expires)) })
    }
}

/// A number, or a text that is one: services differ.
fn seconds(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// What OAuth services and metadata servers say in anger.
pub(crate) fn json_words(body: &str) -> Option<String> {
    let json: Value = serde_json::from_str(body).ok()?;
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let nested = || Some(json.get("error")?.get("message")?.as_str()?.to_owned());
    let code = text("error").or_else(|| text("code")).or_else(|| text("Code"));
    let words = text("error_description").or_else(|| text("message")).or_else(|| text("Message"));
    match (code, words.or_else(nested)) {
        (Some(code), Some(words)) => Some(format!("{code}: {words}")),
        (code, words) => words.or(code),
    }
}

/// A form, as OAuth services and STS take them.
pub(crate) fn form(url: &str, fields: &[(&str, &str)]) -> Result<Request<Bytes>, Error> {
    const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut request = ask(Method::POST, url, &[])?;
    *request.body_mut() = Bytes::from(body);
    request.headers_mut().insert(CONTENT_TYPE, FORM);
    Ok(request)
}

pub(crate) fn ask(
    method: Method,
    url: &str,
    headers: &[(&'static str, &str)],
) -> Result<Request<Bytes>, Error> {
    let unusable = |what: String, mend: &str| Error::Unusable { what, mend: mend.to_owned() };
    let uri: Uri = url
        .parse()
        .ok()
        .filter(|uri: &Uri| uri.scheme().is_some() && uri.host().is_some())
        .ok_or_else(|| unusable(format!("`{url}` is not a URL"), "correct it where it is set"))?;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| {
            unusable(format!("the value to send as {name} is not text"), "write it anew")
        })?;
        value.set_sensitive(true);
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}

/// What of a request is secret, as it is and as it was encoded.
fn secrets(request: &Request<Bytes>) -> Vec<String> {
    let headers = request.headers().values().filter(|value| value.is_sensitive());
    let headers = headers.filter_map(|value| value.to_str().ok()).map(str::to_owned);
    let fields = form_urlencoded::parse(request.body())
        .filter(|(name, _)| SECRET_FIELDS.contains(&&**name))
        .flat_map(|(_, value)| {
            let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            [value.into_owned(), encoded]
        });
    headers.chain(fields).filter(|secret| secret.len() >= MIN_SECRET).collect()
}

fn name(uri: &Uri) -> String {
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default());
    format!("{scheme}://{host}{port}{}", uri.path())
}

/// A file that someone else writes. `named_by` says where its name comes from.
pub(crate) async fn file(path: &str, named_by: &str) -> Result<String, Error> {
    let failed =
        |why: String| Error::File { path: path.to_owned(), why, named_by: named_by.to_owned() };
    let length = tokio::fs::metadata(path).await.map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(failed(format!("it has {length} bytes, so it is not a credential")));
    }
    tokio::fs::read_to_string(path).await.map_err(|error| failed(error.to_string()))
}
