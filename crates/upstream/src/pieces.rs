//! The bytes of an answer as they come, with a bound on silence.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dunlin_egress::Body;
use dunlin_providers::ProviderError;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::Sleep;

/// An answer that says nothing for this long is broken. Reasoning models think in silence for
/// minutes, so it is long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// It is looked this many times in that span whether something came, so that what comes need not wind
/// a clock: the silence may last that part longer.
const LOOKS: u32 = 10;
/// The end of the HTTP framing follows an answer's last byte at once, or is not waited for.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);

/// A body being read. Dropping it before its end closes the connection.
pub(crate) struct Pieces {
    body: Body,
    look: Pin<Box<Sleep>>,
    /// Looks since something came.
    silent: u32,
    speaker: &'static str,
}

impl Pieces {
    pub(crate) fn new(body: Body, speaker: &'static str) -> Self {
        let look = Box::pin(tokio::time::sleep(IDLE_TIMEOUT / LOOKS));
        Self { body, look, silent: 0, speaker }
    }

    /// Whether all that was announced has come. Who passes that on may never be asked for the end.
    pub(crate) fn are_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The next bytes; `None` at the end.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, ProviderError>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.look.as_mut().poll(cx));
                self.silent += 1;
                if self.silent > LOOKS {
                    let silent = ProviderError::timeout(IDLE_TIMEOUT, IDLE_TIMEOUT);
                    return Poll::Ready(Some(Err(silent)));
                }
                self.look.set(tokio::time::sleep(IDLE_TIMEOUT / LOOKS));
                continue;
            };
            self.silent = 0;
            match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
                Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(data))),
                Some(Ok(Err(_trailers))) => {}
                Some(Err(_)) => {
                    let broken = ProviderError::connection(self.speaker);
                    return Poll::Ready(Some(Err(broken)));
                }
                None => return Poll::Ready(None),
            }
        }
    }

    /// Reads the rest of an answer that has said all, so that its connection can serve again.
    pub(crate) async fn drain(mut self) {
        let rest = async { while let Some(Ok(_)) = self.body.frame().await {} };
        // Without an end in time the connection is closed, which costs only a new one.
        drop(tokio::time::timeout(DRAIN_TIMEOUT, rest).await);
    }
}
