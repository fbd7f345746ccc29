//! Answers that pass byte for byte, each read on its way for what is charged at its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use dunlin_journal::Outcome;
use dunlin_upstream::Passage;
use http_body::Frame;

use crate::bill::{Bill, Settled};
use crate::response::cut::Broken;

/// Reads an answer that passes, for its bill.
pub(crate) trait Reader {
    /// These bytes are about to be passed on.
    fn read(&mut self, bill: &mut Bill, bytes: &Bytes);

    /// All of it has been. How it went.
    fn finish(&mut self, bill: &mut Bill) -> Outcome;
}

/// What passes, as the body of a response. Without a bill nothing of it is charged.
pub(crate) fn body(
    passage: Passage,
    bill: Option<Bill>,
    reader: impl Reader + Send + Unpin + 'static,
) -> Body {
    let mut passing = Passing { passage, bill, reader };
    if passing.passage.is_over() {
        passing.finish();
    }
    Body::new(passing)
}

/// What one that is at hand as a whole comes to.
pub(crate) fn settled(whole: &Bytes, mut bill: Bill, mut reader: impl Reader) -> Settled {
    reader.read(&mut bill, whole);
    let outcome = reader.finish(&mut bill);
    bill.ended(outcome)
}

struct Passing<R> {
    passage: Passage,
    /// Dropped open, when the client leaves, it charges what was passed on.
    bill: Option<Bill>,
    reader: R,
}

impl<R: Reader + Unpin> http_body::Body for Passing<R> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match ready!(self.passage.poll_next(cx)) {
            Some(Ok(bytes)) => {
                let this = &mut *self;
                if let Some(bill) = &mut this.bill {
                    this.reader.read(bill, &bytes);
                }
                // Nobody asks for the end of an answer whose length was announced.
                if self.passage.is_over() {
                    self.finish();
                }
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(_)) => {
                if let Some(bill) = self.bill.take() {
                    bill.ended(Outcome::Partial);
                }
                Some(Err(Broken))
            }
            None => {
                self.finish();
                None
            }
        })
    }
}

impl<R: Reader> Passing<R> {
    fn finish(&mut self) {
        if let Some(mut bill) = self.bill.take() {
            let outcome = self.reader.finish(&mut bill);
            bill.ended(outcome);
        }
    }
}
