//! What is read of an answer of a provider's own API on its way to the client, for its bill.

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use dunlin_journal::{Fault, MAX_FAULT_BYTES, Outcome, bounded};
use dunlin_llm::openai::UpstreamError;
use dunlin_llm::{Meter, Usage};
use dunlin_upstream::Relayed;

use crate::bill::{Bill, Settled};
use crate::relay::Understood;
use crate::relay::price::Price;
use crate::response::length::Length;
use crate::response::passing::{self, Reader};

/// What is on record of an answer that ended before its end.
const CUT: &str = "the provider's answer ended before its end";

/// What a call makes.
pub(super) enum Made {
    /// No model is at work.
    Nothing,
    /// A model may be: what is not counted of its words is estimated, and also what it was sent where
    /// it is sure that it read that.
    Something { reads: bool },
    /// What is finished after the answer, which need not count it.
    Later,
    /// What is known.
    Understood(Box<Understood>),
}

/// The bytes of an answer, and what it costs if nothing in them can change that.
pub(super) fn body(
    relayed: Relayed,
    mut bill: Bill,
    price: Option<Price>,
    made: Made,
) -> (Body, Option<Settled>) {
    let meter = match made {
        Made::Something { .. } | Made::Later => Meter::of_unlabelled(&relayed.headers),
        Made::Nothing | Made::Understood(_) => Meter::new(&relayed.headers),
    };
    if !relayed.status.is_success() {
        // Nobody's failure is charged.
        bill.failed_with(relayed.status.as_u16());
        let reader = RelayReader { meter, length: None, price, made, is_over: false };
        return (passing::body(relayed.body, None, reader), Some(Settled::default()));
    }
    bill.begun(matches!(made, Made::Nothing).then(Usage::default));
    let length = match &made {
        Made::Understood(call) if meter.is_of_media() => {
            Some(Length::of(call.chat.endpoint(), &relayed.headers, &bill))
        }
        Made::Nothing | Made::Something { .. } | Made::Later | Made::Understood(_) => None,
    };
    let is_foreseen = length.as_ref().is_some_and(Length::is_nothing);
    let foreseen = is_foreseen.then(|| bill.foreseen());
    let reader = RelayReader { meter, length, price, made, is_over: false };
    (passing::body(relayed.body, Some(bill), reader), foreseen)
}

struct RelayReader {
    meter: Meter,
    price: Option<Price>,
    made: Made,
    /// Of what the meter does not read.
    length: Option<Length>,
    is_over: bool,
}

impl Reader for RelayReader {
    fn read(&mut self, bill: &mut Bill, bytes: &Bytes) {
        self.meter.push(bytes);
        if let Some(length) = &mut self.length {
            length.count(bill, bytes);
        }
        self.count(bill);
    }

    fn finish(&mut self, bill: &mut Bill) -> Outcome {
        self.meter.finish();
        self.is_over = true;
        self.count(bill);
        let failure = self.meter.failure().map(|event| UpstreamError::parse(event.as_bytes()));
        let fault = match failure {
            Some(error) => Some((error.kind, error.message)),
            None => self.meter.is_cut().then(|| (None, CUT.to_owned())),
        };
        let Some((kind, message)) = fault else { return Outcome::Success };
        let message = bounded(&message, MAX_FAULT_BYTES);
        bill.faulted(Fault { status: StatusCode::BAD_GATEWAY.as_u16(), kind, message });
        let says_nothing = self.meter.usage().is_none() && self.meter.frames() <= 1;
        if says_nothing { Outcome::Failure } else { Outcome::Partial }
    }
}

impl RelayReader {
    /// Puts what the meter shows on the bill.
    fn count(&mut self, bill: &mut Bill) {
        if let (Some(price), Some(model)) = (self.price.as_mut(), self.meter.model()) {
            price.learn(bill, model);
        }
        if bill.answer_id().is_none() && !matches!(self.made, Made::Nothing) {
            bill.answered_as(self.meter.id().map(str::to_owned));
        }
        bill.served_in(self.meter.tier());
        if self.length.is_some() {
            return;
        }
        let (usage, text) = (self.meter.usage(), self.meter.text());
        let says_nothing = self.is_over && text.0 == 0 && !self.meter.is_blind();
        match &self.made {
            Made::Nothing => bill.streamed_in_all(Some(Usage::default()), (0, 0)),
            Made::Something { reads: false } if says_nothing && usage.is_none() => {
                bill.streamed_in_all(Some(Usage::default()), (0, 0));
            }
            Made::Something { .. } => {
                let pictures = self.meter.pictures();
                pictures.into_iter().for_each(|pictures| bill.made_pictures(pictures));
                let are_all = pictures.is_some_and(|pictures| pictures > 0);
                bill.streamed_in_all(usage.or(are_all.then(Usage::default)), text);
            }
            Made::Later if self.is_over && usage.is_none() => {
                bill.streamed_in_all(Some(Usage::default()), (0, 0));
                bill.is_untold();
            }
            Made::Later => bill.streamed_in_all(usage, text),
            Made::Understood(call) => {
                let is_uncounted = usage.is_none();
                bill.streamed_in_all(usage, text);
                if self.is_over && is_uncounted {
                    bill.pictured(&call.by, &call.chat);
                }
            }
        }
    }
}
