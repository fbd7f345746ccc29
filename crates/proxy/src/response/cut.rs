//! How an answer ends that broke after its first byte: told in an error event, then the connection is
//! cut, so that nobody takes what came for the whole.

use std::task::{Context, Poll};

/// A body that ends so.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's answer broke off")]
pub(crate) struct Broken;

/// The cut behind an error event that was handed over.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    is_flushed: bool,
}

impl Cut {
    /// hyper flushes what it has when a body has nothing: the error event must not be lost.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        if std::mem::replace(&mut self.is_flushed, true) {
            return Poll::Ready(Broken);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
