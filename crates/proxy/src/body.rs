//! The request's body, held whole and bounded.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::MAX_REQUEST_BYTES;
use crate::error::Refused;

/// A client that sends nothing of its body for this long is answered 408.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a body of at most [`MAX_REQUEST_BYTES`]. One that comes in a single piece is not copied.
pub(crate) async fn read(mut body: Body, headers: &HeaderMap) -> Result<Bytes, Refused> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced: Option<usize> = announced.and_then(|length| length.parse().ok());
    if announced.is_some_and(|length| length > MAX_REQUEST_BYTES) {
        return Err(Refused::TooLarge);
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refused::Encoded);
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(IDLE_TIMEOUT, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Refused::TooSlow)? else { break };
        let Ok(data) = frame.map_err(|_| Refused::ClientGone)?.into_data() else { continue };
        if first.is_empty() && more.is_empty() {
            first = data;
            continue;
        }
        if first.len() + more.len() + data.len() > MAX_REQUEST_BYTES {
            return Err(Refused::TooLarge);
        }
        if more.is_empty() {
            more.reserve(announced.unwrap_or(first.len() + data.len()));
            more.extend_from_slice(&std::mem::take(&mut first));
        }
        more.extend_from_slice(&data);
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}
