//! What a client still sends of a request that was answered before its body was read, as one with
//! an unknown key is. It is read and thrown away, so that the answer arrives and the connection can
//! carry the next request; beyond a bound the connection is closed, and the answer says so.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// More than this of a body is not thrown away, in bytes.
const MOST: usize = 1 << 20;

/// How long the answer waits for the rest of a body.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the rest of a body goes. A connection of HTTP/1 has one, because its requests come one
/// after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leftover(Arc<Mutex<Option<Incoming>>>);

/// A body whose rest is kept when it is dropped.
pub(crate) struct Watched {
    body: Option<Incoming>,
    leftover: Leftover,
}

impl Leftover {
    pub(crate) fn watch(&self, body: Incoming) -> Watched {
        Watched { body: Some(body), leftover: self.clone() }
    }

    /// Throws away what is left; false if that is too much, takes too long, or is sent only once it
    /// `is_awaited`.
    pub(crate) async fn is_drained(&self, is_awaited: bool) -> bool {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match rest {
            Some(_) if is_awaited => false,
            Some(rest) => tokio::time::timeout(PATIENCE, drain(rest)).await.unwrap_or(false),
            None => true,
        }
    }
}

async fn drain(mut body: Incoming) -> bool {
    let mut room = MOST;
    while let Some(frame) = body.frame().await {
        let bytes = frame.map(|frame| frame.data_ref().map_or(0, Bytes::len));
        let Some(left) = bytes.ok().and_then(|bytes| room.checked_sub(bytes)) else { return false };
        room = left;
    }
    true
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(rest) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.leftover.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        }
    }
}
