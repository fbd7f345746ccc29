//! Replies that pass byte for byte: they are too long to be held, or are no JSON.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use dunlin_journal::Outcome;
use dunlin_llm::ChatRequest;
use dunlin_upstream::Long;
use http_body::Frame;

use crate::bill::Bill;
use crate::response::cut::Broken;
use crate::response::length::Length;

/// One that answers `chat`. What it does not count itself is estimated by its length.
pub(crate) fn body(long: Long, mut bill: Bill, chat: ChatRequest) -> Body {
    bill.served_by(&long.deployment);
    bill.begun(None);
    let length = Length::of(chat.endpoint(), &long.headers, &bill);
    Body::new(Passing { long, chat, bill: Some(bill), length })
}

struct Passing {
    long: Long,
    chat: ChatRequest,
    bill: Option<Bill>,
    length: Length,
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match ready!(self.long.poll_next(cx)) {
            Some(Ok(bytes)) => {
                self.count(&bytes);
                if self.long.is_over() {
                    self.end(Outcome::Success);
                }
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(_)) => {
                self.end(Outcome::Partial);
                Some(Err(Broken))
            }
            None => {
                self.end(Outcome::Success);
                None
            }
        })
    }
}

impl Passing {
    fn count(&mut self, bytes: &Bytes) {
        if let Some(bill) = self.bill.as_mut() {
            self.length.count(bill, bytes);
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(mut bill) = self.bill.take() {
            if !self.length.finish(&mut bill) {
                bill.pictured(&self.long.deployment, &self.chat);
            }
            bill.ended(outcome);
        }
    }
}
