//! The request's body, held whole, decompressed and bounded.

use std::error::Error;
use std::io::{self, Read};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::response::error::Refused;

/// How long a client may take.
pub(crate) const PATIENCE: Patience =
    Patience { idle: Duration::from_secs(30), whole: Duration::from_secs(600) };
/// What is read of a body that is too long, so that its client comes to read why: most send all of
/// theirs first, and would find the connection cut.
const MAX_DISCARDED: usize = 256 << 20;
/// How long that may take; and how long nothing may come.
const DISCARD_WITHIN: Duration = Duration::from_secs(10);
const DISCARD_IDLE: Duration = Duration::from_secs(1);
/// A longer compressed body is decompressed off the threads that serve.
const INLINE_BYTES: usize = 16 << 10;

/// Reads a body of at most `most` bytes, before and after decompression. One that comes plain and
/// in a single piece is not copied.
pub(crate) async fn read(body: Body, headers: &HeaderMap, most: usize) -> Result<Bytes, Refused> {
    let encoding = Encoding::of(headers)?;
    let received = receive(body, headers, most, PATIENCE).await?;
    match encoding {
        None => Ok(received),
        Some(encoding) if received.len() <= INLINE_BYTES => encoding.decode(&received, most),
        Some(encoding) => {
            let decoded = tokio::task::spawn_blocking(move || encoding.decode(&received, most));
            decoded.await.expect("decoders give errors, they do not panic")
        }
    }
}

/// What a body says that it is; nothing where that is not said.
pub(crate) fn kind(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.unwrap_or_default()
}

/// What makes a client too slow: then it is answered 408.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// It sends nothing of its body for this long.
    pub(crate) idle: Duration,
    /// Its body is not whole by then, however steadily it comes.
    whole: Duration,
}

async fn receive(
    mut body: Body,
    headers: &HeaderMap,
    most: usize,
    patience: Patience,
) -> Result<Bytes, Refused> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced: Option<usize> = announced.and_then(|length| length.parse().ok());
    if announced.is_some_and(|length| length > most) {
        // Who asks first has sent nothing yet, and need not.
        if !headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(Refused::TooLarge { most });
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    let from_now = |patience| tokio::time::sleep(patience).deadline();
    let mut whole_by = None;
    while !body.is_end_stream() {
        // Most bodies come with their heads: no clock is looked at for them.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => {
                let by = *whole_by.get_or_insert_with(|| from_now(patience.whole));
                let by = by.min(from_now(patience.idle));
                let waited = tokio::time::timeout_at(by, body.frame()).await;
                waited.map_err(|_| Refused::TooSlow)?
            }
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if first.len() + more.len() + data.len() > most {
            discard(body).await;
            return Err(Refused::TooLarge { most });
        }
        if first.is_empty() && more.is_empty() {
            first = data;
            continue;
        }
        if more.is_empty() {
            more.reserve(announced.unwrap_or(first.len() + data.len()));
            more.extend_from_slice(&std::mem::take(&mut first));
        }
        more.extend_from_slice(&data);
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// Why a body is not read to its end: what came of it cannot be taken apart, or no more came.
fn broken(error: &axum::Error) -> Refused {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) = kind {
            return Refused::BadFraming;
        }
        cause = error.source();
    }
    Refused::ClientGone
}

/// Reads on for a while, and keeps nothing.
async fn discard(mut body: Body) {
    let reading = async {
        let mut left = MAX_DISCARDED;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_IDLE, body.frame()).await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    // However that ends, the client is told.
    let _in_time = tokio::time::timeout(DISCARD_WITHIN, reading).await;
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Refused> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
        match value.as_bytes().to_ascii_lowercase().as_slice() {
            b"identity" | b"" => Ok(None),
            b"gzip" | b"x-gzip" => Ok(Some(Self::Gzip)),
            b"deflate" => Ok(Some(Self::Deflate)),
            b"br" => Ok(Some(Self::Brotli)),
            _ => Err(Refused::Encoded),
        }
    }

    fn decode(self, body: &[u8], most: usize) -> Result<Bytes, Refused> {
        match self {
            Self::Gzip => bounded(flate2::read::MultiGzDecoder::new(body), most),
            Self::Deflate => bounded(flate2::read::ZlibDecoder::new(body), most),
            Self::Brotli => bounded(brotli_decompressor::Decompressor::new(body, 4096), most),
        }
    }
}

/// Reads no more than one byte over `most`, however much a small body would become.
fn bounded(decoder: impl Read, most: usize) -> Result<Bytes, Refused> {
    let mut decoded = Vec::new();
    let read = decoder.take(most as u64 + 1).read_to_end(&mut decoded);
    if read.is_err() {
        return Err(Refused::BadEncoding);
    }
    if decoded.len() > most {
        return Err(Refused::TooLarge { most });
    }
    Ok(Bytes::from(decoded))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// `{"a":1}` as the reference encoder of RFC 7932 writes it.
    const BROTLI: &[u8] = b"\x0b\x03\x80{\"a\":1}\x03";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).expect("a Vec takes all");
        encoder.finish().expect("a Vec takes all")
    }

    async fn sent(body: Vec<u8>, encoding: &str, most: usize) -> Result<Bytes, Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, encoding.parse().expect("a value"));
        read(Body::from(body), &headers, most).await
    }

    #[tokio::test]
    async fn compressed_bodies_are_read_and_bombs_are_not() {
        let plain = Bytes::from_static(br#"{"a":1}"#);
        for (body, encoding) in
            [(gzip(&plain), "gzip"), (BROTLI.to_vec(), "br"), (plain.to_vec(), "identity")]
        {
            assert_eq!(sent(body, encoding, 100).await.ok(), Some(plain.clone()), "{encoding}");
        }
        let bomb = gzip(&vec![0; 8 << 20]);
        assert!(bomb.len() < 16 << 10);
        let refused = sent(bomb, "gzip", 1 << 20).await;
        assert!(matches!(refused, Err(Refused::TooLarge { most }) if most == 1 << 20));
        let half = gzip(&plain)[..12].to_vec();
        assert!(matches!(sent(half, "gzip", 100).await, Err(Refused::BadEncoding)));
        assert!(matches!(sent(vec![1], "zstd", 100).await, Err(Refused::Encoded)));
    }

    #[tokio::test]
    async fn the_bound_holds_for_one_piece_too() {
        let refused = read(Body::from(vec![b' '; 11]), &HeaderMap::new(), 10).await;
        assert!(matches!(refused, Err(Refused::TooLarge { most: 10 })));
    }

    /// Pieces as they are sent.
    fn pieces() -> (tokio::sync::mpsc::Sender<&'static [u8]>, Body) {
        let (sent, arrived) = tokio::sync::mpsc::channel(1);
        let pieces = futures::stream::unfold(arrived, |mut arrived| async {
            let piece: &[u8] = tokio::sync::mpsc::Receiver::recv(&mut arrived).await?;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(piece)), arrived))
        });
        (sent, Body::from_stream(pieces))
    }

    #[tokio::test]
    async fn a_body_that_drips_is_not_waited_for_without_end() {
        let (sent, body) = pieces();
        let dripping = async {
            while sent.send(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience =
            Patience { idle: Duration::from_secs(60), whole: Duration::from_millis(100) };
        let headers = HeaderMap::new();
        let reading = receive(body, &headers, 1 << 20, patience);
        let (refused, ()) = tokio::join!(reading, dripping);
        assert!(matches!(refused, Err(Refused::TooSlow)));
    }

    #[tokio::test]
    async fn what_is_too_long_is_read_on_so_that_its_client_hears_why() {
        for announced in ["", "1000"] {
            let (sent, body) = pieces();
            let sending = async {
                let mut all = true;
                for _ in 0..100 {
                    all &= sent.send(&[b' '; 10]).await.is_ok();
                }
                drop(sent);
                all
            };
            let mut headers = HeaderMap::new();
            if !announced.is_empty() {
                headers.insert(header::CONTENT_LENGTH, announced.parse().expect("a value"));
            }
            let (refused, all_sent) = tokio::join!(read(body, &headers, 100), sending);
            assert!(matches!(refused, Err(Refused::TooLarge { most: 100 })));
            assert!(all_sent, "the rest is taken too");
        }
    }
}
