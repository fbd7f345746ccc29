//! The bytes of a management request's body, bounded in length and in time.

use std::error::Error as Cause;
use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::MAX_BODY_BYTES;
use crate::error::Error;

/// How long a body may take: it is short.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads it whole.
///
/// # Errors
/// It is compressed, longer than [`MAX_BODY_BYTES`], takes longer than [`PATIENCE`], or ends before it
/// is whole.
pub(crate) async fn receive(headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    receive_within(headers, body, PATIENCE).await
}

async fn receive_within(
    headers: &HeaderMap,
    body: Body,
    patience: Duration,
) -> Result<Bytes, Error> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
    if encoding.is_some_and(|value| !value.is_empty() && !value.eq_ignore_ascii_case(b"identity")) {
        return Err(Error::Encoded);
    }
    let receiving = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(patience, receiving).await {
        Err(_late) => Err(Error::TooSlow),
        Ok(Err(error)) => Err(broken(&*error)),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
    }
}

/// Why a body did not come whole.
fn broken(error: &(dyn Cause + 'static)) -> Error {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Error::TooLarge;
        }
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) = kind {
            return Error::BadFraming;
        }
        cause = error.source();
    }
    // Nobody reads the answer.
    Error::ClientGone
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
        receive_within(headers, body, Duration::from_millis(50)).await
    }

    fn failing(error: io::Error) -> Body {
        Body::from_stream(futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(error)]))
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_body_is_told_by_its_name() {
        let none = HeaderMap::new();
        let whole = sent(&none, Body::from(vec![b' '; MAX_BODY_BYTES])).await;
        assert_eq!(whole.map(|bytes| bytes.len()).ok(), Some(MAX_BODY_BYTES));
        let long = sent(&none, Body::from(vec![b' '; MAX_BODY_BYTES + 1])).await;
        assert!(matches!(long, Err(Error::TooLarge)));
        let silent = Body::from_stream(futures::stream::pending::<Result<Bytes, io::Error>>());
        assert!(matches!(sent(&none, silent).await, Err(Error::TooSlow)));
        let framing = sent(&none, failing(io::ErrorKind::InvalidInput.into())).await;
        assert!(matches!(framing, Err(Error::BadFraming)));
        let gone = sent(&none, failing(io::ErrorKind::UnexpectedEof.into())).await;
        assert!(matches!(gone, Err(Error::ClientGone)));
        for (encoding, is_read) in [("gzip", false), ("Identity", true), ("", true), ("br", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_ENCODING, encoding.parse().expect("a value"));
            let read = sent(&headers, Body::from("{}")).await;
            assert_eq!(read.is_ok(), is_read, "{encoding}");
        }
    }
}
