//! The key a client presents, wherever its SDK puts it, and what is said when it is no good.

use dunlin_types::{KeyDigest, Secret};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};

use crate::openai::ErrorBody;

/// Where keys may be, the first present one wins: LiteLLM's own header, then `Authorization`, then
/// those of the Azure, Anthropic, Google and Azure API Management SDKs.
const OWN_HEADER: HeaderName = HeaderName::from_static("x-litellm-api-key");
const OTHER_HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// Why a credential does not let its bearer in. The messages are those LiteLLM's users know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No header holds one.
    #[error("Authentication Error, No api key passed in.")]
    Missing,
    /// `Authorization` is empty or of a scheme that carries no key.
    #[error("Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.")]
    Malformed,
    /// Neither the master key nor of the form of a virtual key.
    #[error(
        "Authentication Error, LiteLLM Virtual Key expected. Received={received}, expected to \
         start with 'sk-'."
    )]
    NotVirtual {
        /// Its first and last four characters.
        received: String,
    },
    /// Of the right form, but no such key exists.
    #[error(
        "Authentication Error, Invalid proxy server token passed. Received API Key = {name}, Key \
         Hash (Token) ={digest}. Unable to find token in cache or `LiteLLM_VerificationTokenTable`"
    )]
    Unknown {
        /// See [`key_name`].
        name: String,
        /// What it would be stored under.
        digest: KeyDigest,
    },
    /// Blocked by an admin.
    #[error("Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.")]
    Blocked,
    /// An admin blocked its team, user, ...
    #[error(
        "Authentication Error, {holder}={name} is blocked. Update via `/{}/unblock` if you're an \
         admin.",
        holder.to_lowercase()
    )]
    HolderBlocked {
        /// What is blocked, capitalized: `Team`.
        holder: &'static str,
        /// Which one.
        name: String,
    },
    /// Its time is over.
    #[error("Authentication Error - Expired Key. Key Expiry time {expired} and current time {now}")]
    Expired {
        /// See [`key_name`].
        name: String,
        /// When it expired, as text with its zone.
        expired: String,
        /// The time of the check, in the same form.
        now: String,
    },
}

impl From<&CredentialError> for ErrorBody {
    fn from(error: &CredentialError) -> Self {
        let (kind, param) = match error {
            CredentialError::Missing
            | CredentialError::Malformed
            | CredentialError::NotVirtual { .. }
            | CredentialError::Blocked
            | CredentialError::HolderBlocked { .. } => ("auth_error", "None"),
            CredentialError::Unknown { .. } => ("token_not_found_in_db", "key"),
            CredentialError::Expired { name, .. } => ("expired_key", name.as_str()),
        };
        Self {
            message: error.to_string(),
            kind: Some(kind.to_owned()),
            param: Some(param.to_owned()),
            code: 401,
            entity: None,
            details: None,
        }
    }
}

/// The key in a request's headers. `custom_header` is the operator's own name for the first place
/// to look, `general_settings.litellm_key_header_name`.
///
/// # Errors
/// [`CredentialError::Missing`] or [`CredentialError::Malformed`].
pub fn client_key(
    headers: &HeaderMap,
    custom_header: Option<&str>,
) -> Result<Secret, CredentialError> {
    let first = custom_header.and_then(|name| headers.get(name)).or(headers.get(OWN_HEADER));
    if let Some(value) = first {
        let value = value.to_str().unwrap_or_default().trim();
        // The scheme is optional here.
        return present(scheme_stripped(value).unwrap_or(value));
    }
    if let Some(value) = headers.get(AUTHORIZATION) {
        let value = value.to_str().unwrap_or_default().trim();
        return present(scheme_stripped(value).ok_or(CredentialError::Malformed)?);
    }
    match OTHER_HEADERS.iter().find_map(|name| headers.get(name)) {
        Some(value) => present(value.to_str().unwrap_or_default().trim()),
        None => Err(CredentialError::Missing),
    }
}

/// Whether that header is one in which clients may put a key.
#[must_use]
pub fn may_hold_key(name: &HeaderName) -> bool {
    [OWN_HEADER, AUTHORIZATION].contains(name) || OTHER_HEADERS.contains(name)
}

/// The key in a query, where Google's clients may put it: `key=sk-...`.
#[must_use]
pub fn key_in_query(query: &str) -> Option<Secret> {
    let key = query.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    let mut bytes = key.bytes();
    let mut decoded = Vec::with_capacity(key.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().filter(|key| !key.is_empty()).map(Secret::new)
}

/// The digest of a virtual key: of every client key that is not the master key.
///
/// # Errors
/// [`CredentialError::NotVirtual`]: it does not start with `sk-`.
pub fn virtual_key(key: &Secret) -> Result<KeyDigest, CredentialError> {
    if key.expose().starts_with("sk-") {
        Ok(KeyDigest::of(key.expose()))
    } else {
        Err(CredentialError::NotVirtual { received: masked(key.expose()) })
    }
}

/// How a key is shown: `sk-...` and its last four characters.
#[must_use]
pub fn key_name(key: &Secret) -> String {
    format!("sk-...{}", key_ending(key))
}

/// As much of a key as may be shown: its last four characters.
#[must_use]
pub fn key_ending(key: &Secret) -> String {
    last(key.expose(), 4).to_owned()
}

fn present(key: &str) -> Result<Secret, CredentialError> {
    if key.is_empty() { Err(CredentialError::Malformed) } else { Ok(Secret::new(key)) }
}

/// What follows the scheme, if it is one that carries a key.
fn scheme_stripped(value: &str) -> Option<&str> {
    for scheme in ["Bearer ", "bearer ", "Basic "] {
        if let Some(key) = value.strip_prefix(scheme) {
            return Some(key.trim_start());
        }
    }
    // The AWS SDK signs with a credential that holds our key: `… Credential=Bearer sk-…/2026…`.
    let signed = value.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let (_, key) = signed.split_once("Credential=Bearer ")?;
    key.split(['/', ',', ' ']).next()
}

/// Too short a text is not shown at all.
fn masked(key: &str) -> String {
    if key.chars().count() < 12 {
        return "****".to_owned();
    }
    let first: String = key.chars().take(4).collect();
    format!("{first}****{}", last(key, 4))
}

fn last(text: &str, count: usize) -> &str {
    let start = text.char_indices().rev().nth(count - 1).map_or(0, |(at, _)| at);
    &text[start..]
}

#[cfg(test)]
mod tests;
