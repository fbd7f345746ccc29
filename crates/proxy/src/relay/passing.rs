//! An answer on its way to the client, byte for byte, and its bill.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use dunlin_journal::{Fault, MAX_FAULT_BYTES, Outcome, bounded};
use dunlin_llm::openai::UpstreamError;
use dunlin_llm::{Meter, Usage};
use dunlin_upstream::Relayed;
use http_body::Frame;

use crate::bill::Bill;
use crate::relay::Understood;
use crate::relay::price::Price;
use crate::response::cut::Broken;
use crate::response::length::Length;

/// What is on record of an answer that ended before its end.
const CUT: &str = "the provider's answer ended before its end";

/// What a call makes.
pub(super) enum Made {
    /// No model is at work.
    Nothing,
    /// A model is: what is not counted is estimated.
    Something,
    /// What is known.
    Understood(Box<Understood>),
}

/// The bytes of an answer.
pub(super) fn body(relayed: Relayed, bill: Bill, price: Option<Price>, made: Made) -> Body {
    let succeeded = relayed.status.is_success();
    let meter = match made {
        Made::Something => Meter::of_unlabelled(&relayed.headers),
        Made::Nothing | Made::Understood(_) => Meter::new(&relayed.headers),
    };
    let mut bill = Some(bill);
    if !succeeded && let Some(bill) = bill.take() {
        // Nobody's failure is charged.
        bill.failed_with(relayed.status.as_u16());
    }
    if let Some(bill) = &mut bill {
        bill.begun(matches!(made, Made::Nothing).then(Usage::default));
    }
    let length = match (&made, &bill) {
        (Made::Understood(call), Some(bill)) if meter.is_of_media() => {
            Some(Length::of(call.chat.endpoint(), &relayed.headers, bill))
        }
        _ => None,
    };
    let mut passing = Passing { relayed, meter, length, bill, price, made, is_over: false };
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
    made: Made,
    /// Of what the meter does not read.
    length: Option<Length>,
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
                let this = &mut *self;
                if let (Some(length), Some(bill)) = (&mut this.length, &mut this.bill) {
                    length.count(bill, &bytes);
                }
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
        if bill.answer_id().is_none() && !matches!(self.made, Made::Nothing) {
            bill.answered_as(self.meter.id().map(str::to_owned));
        }
        if self.length.is_some() {
            return;
        }
        let (usage, text) = (self.meter.usage(), self.meter.text());
        let says_nothing = self.is_over && text.0 == 0 && !self.meter.is_blind();
        match &self.made {
            Made::Nothing => bill.streamed_in_all(usage.or(Some(Usage::default())), (0, 0)),
            Made::Something if says_nothing && usage.is_none() => {
                bill.streamed_in_all(Some(Usage::default()), (0, 0));
            }
            Made::Something => bill.streamed_in_all(usage, text),
            Made::Understood(call) => {
                bill.streamed_in_all(usage, text);
                if self.is_over && usage.is_none() {
                    bill.pictured(&call.by, &call.chat);
                }
            }
        }
    }

    fn finish(&mut self) {
        self.meter.finish();
        self.is_over = true;
        self.count();
        let failure = self.meter.failure().map(|event| UpstreamError::parse(event.as_bytes()));
        let fault = match failure {
            Some(error) => Some((error.kind, error.message)),
            None => self.meter.is_cut().then(|| (None, CUT.to_owned())),
        };
        if let (Some((kind, message)), Some(bill)) = (&fault, self.bill.as_mut()) {
            let (kind, message) = (kind.clone(), bounded(message, MAX_FAULT_BYTES));
            bill.faulted(Fault { status: StatusCode::BAD_GATEWAY.as_u16(), kind, message });
        }
        let says_nothing = self.meter.usage().is_none() && self.meter.frames() <= 1;
        self.end(match fault {
            None => Outcome::Success,
            Some(_) if says_nothing => Outcome::Failure,
            Some(_) => Outcome::Partial,
        });
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(bill) = self.bill.take() {
            bill.ended(outcome);
        }
    }
}
