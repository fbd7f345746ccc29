//! The handshake of a WebSocket (RFC 6455, section 4.2), and the key that may be in it.

use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::response::error::Refused;

/// A subprotocol that is a key: browsers cannot send headers.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// Takes a key out of the subprotocols, as if it had come in a header, and gives the others.
pub(crate) fn take_key(headers: &mut HeaderMap) -> Vec<String> {
    let all = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let all = all.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let all = all.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let (keys, others): (Vec<_>, Vec<_>) = all.partition(|name| name.starts_with(KEY_PROTOCOL));
    let key = keys.first().map(|key| format!("Bearer {}", &key[KEY_PROTOCOL.len()..]));
    if let Some(mut key) = key.and_then(|key| HeaderValue::from_str(&key).ok()) {
        key.set_sensitive(true);
        headers.entry(AUTHORIZATION).or_insert(key);
    }
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    others
}

pub(crate) fn check_handshake(request: &Request) -> Result<(), Refused> {
    let headers = request.headers();
    let is = |name: &HeaderName, wanted: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    let is_asked = is(&UPGRADE, "websocket")
        && is(&CONNECTION, "upgrade")
        && is(&SEC_WEBSOCKET_VERSION, "13")
        && headers.contains_key(SEC_WEBSOCKET_KEY);
    if is_asked { Ok(()) } else { Err(Refused::no_websocket()) }
}

/// The fields by which a gateway that speaks WebSocket itself accepts a handshake, with the first of
/// the subprotocols that were offered.
pub(crate) fn acceptance(client: &HeaderMap, offered: &[String]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let key = client.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    let accept = HeaderValue::from_str(&derive_accept_key(key));
    fields.insert(SEC_WEBSOCKET_ACCEPT, accept.expect("base64 is plain text"));
    if let Some(Ok(first)) = offered.first().map(|first| HeaderValue::from_str(first)) {
        fields.insert(SEC_WEBSOCKET_PROTOCOL, first);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_accepted_as_the_standard_has_it() {
        let mut client = HeaderMap::new();
        client.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        let fields = acceptance(&client, &["a".to_owned(), "b".to_owned()]);
        assert_eq!(fields[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(fields[SEC_WEBSOCKET_PROTOCOL], "a");
    }
}
