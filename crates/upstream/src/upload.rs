//! Bodies that are sent on as they come from a client, for calls of which nothing in the body needs
//! to be known.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dunlin_egress::Upload as Sent;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Sleep;

/// A body that is passed on piece by piece: no more of it is held than one piece, and it is read no
/// faster than it is taken.
pub struct Upload {
    pub(crate) body: Sent,
    progress: Arc<Progress>,
}

/// Why a body does not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its client sent nothing for too long.
    Silent,
    /// Its client is gone, or what it sends cannot be taken apart.
    Broken,
}

/// How far a body has come.
#[derive(Default)]
pub struct Progress {
    bytes: AtomicU64,
    is_over: AtomicBool,
    fault: OnceLock<Fault>,
}

impl Progress {
    /// Why it ended too soon, if it did: then its call failed by the client's fault.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// The bytes that have come, or nothing if no more will.
    pub(crate) fn coming(&self) -> Option<u64> {
        let is_over = self.is_over.load(Ordering::Acquire);
        (!is_over).then(|| self.bytes.load(Ordering::Acquire))
    }
}

impl Upload {
    /// Of a client that may be silent for as long as `silence`.
    pub fn new<B>(body: B, silence: Duration) -> Self
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let progress = Arc::new(Progress::default());
        let wait = Box::pin(tokio::time::sleep(silence));
        let coming = Coming { body, silence, wait, progress: Arc::clone(&progress) };
        Self { body: coming.boxed_unsync(), progress }
    }

    /// Tells how far it has come, also when it is on its way.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }
}

/// What the provider's connection is told of a body that ended too soon.
#[derive(Debug, thiserror::Error)]
#[error("the client's body broke off")]
struct Cut;

struct Coming<B> {
    body: B,
    silence: Duration,
    wait: Pin<Box<Sleep>>,
    progress: Arc<Progress>,
}

impl<B> Coming<B> {
    fn fail<T>(&self, fault: Fault) -> Poll<Option<Result<T, dunlin_egress::BodyError>>> {
        let _first_stands = self.progress.fault.set(fault);
        Poll::Ready(Some(Err(Box::new(Cut))))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Coming<B> {
    type Data = Bytes;
    type Error = dunlin_egress::BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.progress.bytes.fetch_add(bytes, Ordering::AcqRel);
                if self.body.is_end_stream() {
                    self.progress.is_over.store(true, Ordering::Release);
                }
                let silence = self.silence;
                self.wait.set(tokio::time::sleep(silence));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.fail(Fault::Broken),
            Poll::Ready(None) => {
                self.progress.is_over.store(true, Ordering::Release);
                Poll::Ready(None)
            }
            Poll::Pending if self.wait.as_mut().poll(cx).is_ready() => self.fail(Fault::Silent),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
