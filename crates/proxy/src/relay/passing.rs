//! An answer on its way to the client, byte for byte, and its bill.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use dunlin_journal::Outcome;
use dunlin_llm::{Meter, Usage};
use dunlin_upstream::Relayed;
use http_body::Frame;

use crate::bill::Bill;
use crate::relay::Price;
use crate::stream::Broken;

/// A frame of a stream that counts nothing is taken for a token, and a token for so many bytes.
const BYTES_A_FRAME: u64 = 4;

/// The bytes of an answer. `generates` says whether a model was at work, so that what is not
/// counted is estimated.
pub(super) fn body(relayed: Relayed, bill: Bill, price: Option<Price>, generates: bool) -> Body {
    let succeeded = relayed.status.is_success();
    let meter = Meter::new(&relayed.headers);
    let mut bill = Some(bill);
    if !succeeded && let Some(bill) = bill.take() {
        // Nobody's failure is charged.
        bill.failed_with(relayed.status.as_u16());
    }
    if let Some(bill) = &mut bill {
        bill.begun((!generates).then(Usage::default));
    }
    let mut passing = Passing { relayed, meter, bill, price, frames: 0, generates, is_over: false };
    if passing.relayed.is_over() {
        passing.finish();
    }
    Body::new(passing)
}

struct Passing {
    relayed: Relayed,
    meter: Meter,
    bill: Option<Bill>,
    price: Option<Price>,
    /// Those that are on the bill.
    frames: u64,
    generates: bool,
    is_over: bool,
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match ready!(self.relayed.poll_next(cx)) {
            Some(Ok(bytes)) => {
                self.meter.push(&bytes);
                // Nobody asks for the end of an answer whose length was announced.
                if self.relayed.is_over() {
                    self.finish();
                } else {
                    self.count();
                }
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(_)) => {
                self.end(Outcome::Partial);
                Some(Err(Broken))
            }
            None => {
                self.finish();
                None
            }
        })
    }
}

impl Passing {
    /// Puts what the meter shows on the bill.
    fn count(&mut self) {
        let Some(bill) = self.bill.as_mut() else { return };
        if let (Some(price), Some(model)) = (self.price.as_mut(), self.meter.model()) {
            price.learn(bill, model);
        }
        let frames = self.meter.frames();
        let says_nothing = self.is_over && frames == 0 && !self.meter.is_blind();
        let nothing = (!self.generates || says_nothing).then(Usage::default);
        bill.streamed(self.meter.usage().or(nothing), (frames - self.frames) * BYTES_A_FRAME);
        self.frames = frames;
    }

    fn finish(&mut self) {
        self.meter.finish();
        self.is_over = true;
        self.count();
        self.end(Outcome::Success);
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(bill) = self.bill.take() {
            bill.ended(outcome);
        }
    }
}
