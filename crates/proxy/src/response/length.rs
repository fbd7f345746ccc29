//! How much there is of an answer that is passed on as it comes: the seconds of a sound, the text of
//! what was heard.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use dunlin_llm::sound::Measure;
use dunlin_llm::{Endpoint, Meter};

use crate::bill::Bill;

/// By what it is measured.
pub(crate) enum Length {
    /// Its bytes of text.
    Text,
    /// Its seconds.
    Sound(Measure),
    /// What its events say.
    Events(Box<Meter>),
    /// Nothing.
    Unknown,
}

impl Length {
    /// Of an answer to `endpoint` with these headers, which is charged by `bill`.
    pub(crate) fn of(endpoint: Endpoint, headers: &HeaderMap, bill: &Bill) -> Self {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            return Self::Events(Box::new(Meter::new(headers)));
        }
        if endpoint == Endpoint::Speech && bill.wants_seconds() {
            return Self::Sound(Measure::new(kind));
        }
        let is_heard = matches!(endpoint, Endpoint::Transcriptions | Endpoint::Translations);
        if is_heard || endpoint.is_chat() { Self::Text } else { Self::Unknown }
    }

    /// Puts the next bytes on the bill.
    pub(crate) fn count(&mut self, bill: &mut Bill, bytes: &bytes::Bytes) {
        match self {
            Self::Text => bill.streamed(None, bytes.len() as u64),
            Self::Sound(measure) => {
                measure.push(bytes);
                bill.sounded(measure.millis());
            }
            Self::Events(meter) => {
                meter.push(bytes);
                bill.streamed_in_all(meter.usage(), meter.text());
            }
            Self::Unknown => {}
        }
    }
}
