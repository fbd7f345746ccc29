//! Replies that pass byte for byte: they are too long to be held, or are no JSON.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_journal::Outcome;
use dunlin_llm::ChatRequest;
use dunlin_router::Deployment;
use dunlin_upstream::Long;

use crate::bill::Bill;
use crate::response::length::Length;
use crate::response::passing::Reader;

/// Reads one that answers a request. What it does not count itself is estimated by its length.
pub(super) struct LongReader {
    length: Length,
    chat: ChatRequest,
    by: Arc<Deployment>,
}

impl LongReader {
    /// Of an answer that is about to be passed on.
    pub(super) fn new(long: &Long, chat: ChatRequest, bill: &mut Bill) -> Self {
        let by = Arc::clone(&long.deployment);
        bill.served_by(&by);
        bill.begun(None);
        let length = Length::of(chat.endpoint(), &long.headers, bill);
        Self { length, chat, by }
    }

    /// Whether nothing in the answer can change what it costs.
    pub(super) fn reads_nothing(&self) -> bool {
        self.length.is_nothing()
    }
}

impl Reader for LongReader {
    fn read(&mut self, bill: &mut Bill, bytes: &Bytes) {
        self.length.count(bill, bytes);
    }

    fn finish(&mut self, bill: &mut Bill) -> Outcome {
        if !self.length.finish(bill) {
            bill.pictured(&self.by, &self.chat);
        }
        Outcome::Success
    }
}
