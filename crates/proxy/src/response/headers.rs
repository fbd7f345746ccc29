//! The responses: what kind they are of, and how moments are written in them.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use dunlin_types::UnixMillis;

use crate::response::framing::Framing;
use crate::response::lines::Lines;
use crate::response::told::AnswerHeaders;

fn respond(
    status: StatusCode,
    mut told: HeaderMap,
    kind: &'static str,
    body: Body,
) -> Response<Body> {
    told.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = told;
    response
}

/// A whole answer.
pub(crate) fn json(told: AnswerHeaders, body: Bytes) -> Response<Body> {
    respond(StatusCode::OK, told.into_map(), "application/json", Body::from(body))
}

/// A whole answer that nobody but this node gave.
pub(crate) fn plain_json(body: Bytes) -> Response<Body> {
    respond(StatusCode::OK, HeaderMap::new(), "application/json", Body::from(body))
}

/// An answer that passes as it comes, of the provider's own kind.
pub(crate) fn passing(told: AnswerHeaders, provider: &HeaderMap, body: Body) -> Response<Body> {
    let mut response = respond(StatusCode::OK, told.into_map(), "application/json", body);
    for name in [header::CONTENT_TYPE, header::CONTENT_DISPOSITION] {
        if let Some(value) = provider.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// An answer that is another server's in all but what is told beside it.
pub(crate) fn relayed(
    told: AnswerHeaders,
    status: StatusCode,
    fields: HeaderMap,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    response.headers_mut().extend(told.into_map());
    response
}

/// A streamed answer, which no proxy on the way should hold back.
pub(crate) fn event_stream(told: AnswerHeaders, framing: Framing, body: Body) -> Response<Body> {
    let mut told = told.into_map();
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    told.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    respond(StatusCode::OK, told, framing.content_type(), body)
}

/// No answer.
pub(crate) fn error(told: Lines, code: u16, body: Bytes) -> Response<Body> {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, told.into_map(), "application/json", Body::from(body))
}

/// Rounded up: who comes back then is not too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// A moment as LiteLLM writes it: `2026-11-21 03:57:21 UTC`.
pub(crate) fn utc(at: UnixMillis) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A moment and `wait` more, as Anthropic writes it: `2026-11-21T03:57:21Z`.
pub(crate) fn rfc3339(now: UnixMillis, wait: Duration) -> String {
    let wait = i64::try_from(whole_seconds(wait)).unwrap_or(i64::MAX);
    let seconds = i64::try_from(now.0 / 1000).unwrap_or(i64::MAX).saturating_add(wait);
    let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_waits_are_written_as_litellm_writes_them() {
        assert_eq!(utc(UnixMillis(1_795_233_441_000)), "2026-11-21 03:57:21 UTC");
        assert_eq!(whole_seconds(Duration::from_millis(7001)), 8);
        assert_eq!(whole_seconds(Duration::from_secs(7)), 7);
    }
}
