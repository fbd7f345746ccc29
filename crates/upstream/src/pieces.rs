//! The bytes of an answer as they come, with a bound on silence.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dunlin_egress::{Body, BodyError, Upload as Written};
use dunlin_providers::ProviderError;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::time::Sleep;

use crate::unpacked::Unpacker;

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
    body: Source,
    look: Pin<Box<Sleep>>,
    /// Looks since something came.
    silent: u32,
    /// Of a body that is compressed.
    unpacker: Option<Unpacker>,
    speaker: &'static str,
}

enum Source {
    Sent(Body),
    /// Written here as it is read.
    Written(Written),
}

impl Pieces {
    pub(crate) fn new(body: Body, speaker: &'static str) -> Self {
        Self::of(Source::Sent(body), speaker)
    }

    /// An error of `body` that is a provider's is told as it is.
    pub(crate) fn written(body: Written, speaker: &'static str) -> Self {
        Self::of(Source::Written(body), speaker)
    }

    fn of(body: Source, speaker: &'static str) -> Self {
        let look = Box::pin(tokio::time::sleep(IDLE_TIMEOUT / LOOKS));
        Self { body, look, silent: 0, unpacker: None, speaker }
    }

    /// The same, with what is compressed in it unpacked.
    pub(crate) fn unpacked(self, unpacker: Option<Unpacker>) -> Self {
        Self { unpacker, ..self }
    }

    /// Whether all that was announced has come. Who passes that on may never be asked for the end.
    pub(crate) fn are_over(&self) -> bool {
        match &self.body {
            Source::Sent(_) if self.unpacker.is_some() => false,
            Source::Sent(body) => body.is_end_stream(),
            Source::Written(body) => body.is_end_stream(),
        }
    }

    /// The next bytes; `None` at the end.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, ProviderError>>> {
        loop {
            if let Some(unpacker) = &mut self.unpacker {
                let plain = unpacker.next().map_err(|_| ProviderError::connection(self.speaker));
                if let Some(plain) = plain.transpose() {
                    return Poll::Ready(Some(plain));
                }
            }
            let Poll::Ready(frame) = self.body.poll(cx, self.speaker) else {
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
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => match &mut self.unpacker {
                    Some(unpacker) => unpacker.push(data),
                    None => return Poll::Ready(Some(Ok(data))),
                },
                Some(Ok(Err(_trailers))) => {}
                Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                None => return Poll::Ready(self.rest()),
            }
        }
    }

    /// What is left of a compressed body at its end.
    fn rest(&mut self) -> Option<Result<Bytes, ProviderError>> {
        let rest = self.unpacker.take()?.end();
        let rest = rest.map_err(|_| ProviderError::connection(self.speaker));
        if rest.as_ref().is_ok_and(Bytes::is_empty) { None } else { Some(rest) }
    }

    /// Reads the rest of an answer that has said all, so that its connection can serve again.
    pub(crate) async fn drain(mut self) {
        let Source::Sent(body) = &mut self.body else { return };
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        // Without an end in time the connection is closed, which costs only a new one.
        drop(tokio::time::timeout(DRAIN_TIMEOUT, rest).await);
    }
}

impl Source {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        speaker: &'static str,
    ) -> Poll<Option<Result<Frame<Bytes>, ProviderError>>> {
        let broken = || ProviderError::connection(speaker);
        match self {
            Self::Sent(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| Some(frame?.map_err(|_| broken())))
            }
            Self::Written(body) => Pin::new(body).poll_frame(cx).map(|frame| {
                let told = |error: BodyError| error.downcast().map_or_else(|_| broken(), |it| *it);
                Some(frame?.map_err(told))
            }),
        }
    }
}
