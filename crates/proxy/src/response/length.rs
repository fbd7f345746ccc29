//! How much there is of an answer that is passed on as it comes: the seconds of a sound, the text of
//! what was heard, what it counts itself.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use dunlin_llm::sound::Measure;
use dunlin_llm::{Endpoint, Meter};

use crate::bill::Bill;

/// By what it is measured.
pub(crate) enum Length {
    /// Its bytes of text.
    Text,
    /// Its seconds.
    Sound(Measure),
    /// What it says.
    Told(Box<Meter>),
}

impl Length {
    /// Of an answer to `endpoint` with these headers, which is charged by `bill`.
    pub(crate) fn of(endpoint: Endpoint, headers: &HeaderMap, bill: &Bill) -> Self {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        let meter = Meter::new(headers);
        let is_read = !meter.is_of_media() && !meter.is_blind();
        if !is_read && endpoint == Endpoint::Speech && bill.wants_seconds() {
            return Self::Sound(Measure::new(kind));
        }
        let is_text = !is_read && (endpoint.hears() || endpoint.is_chat());
        if is_text { Self::Text } else { Self::Told(Box::new(meter)) }
    }

    /// Whether there is nothing to measure: a sound that is not charged by its seconds.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Told(meter) if meter.is_of_media())
    }

    /// Puts the next bytes on the bill.
    pub(crate) fn count(&mut self, bill: &mut Bill, bytes: &Bytes) {
        match self {
            Self::Text => bill.streamed(None, bytes.len() as u64),
            Self::Sound(measure) => {
                measure.push(bytes);
                bill.sounded(measure.millis());
            }
            Self::Told(meter) => {
                meter.push(bytes);
                bill.streamed_in_all(meter.usage(), meter.text());
            }
        }
    }

    /// Puts what is only known at the end on the bill. Whether the answer has counted what was used.
    pub(crate) fn finish(&mut self, bill: &mut Bill) -> bool {
        let Self::Told(meter) = self else { return false };
        meter.finish();
        bill.streamed_in_all(meter.usage(), meter.text());
        meter.usage().is_some()
    }
}
