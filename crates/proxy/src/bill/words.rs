//! What is said in a request and its answer: kept for the request log and for receivers of callbacks,
//! each if it may have it.

use dunlin_callbacks::Detail;
use dunlin_journal::{MAX_SAID_BYTES, Said, bounded};

use super::Bill;
use crate::bill::report::MAX_WORDS;

impl Bill {
    /// Receivers of callbacks are told this beside the record, and what is answered.
    pub(crate) fn tell(&mut self, mut detail: Option<Box<Detail>>) {
        if let Some(detail) = &mut detail {
            self.record.disabled_callbacks = std::mem::take(&mut detail.disabled);
        }
        self.detail = detail;
    }

    /// What is said in the request goes on record, and so will what is answered.
    pub(crate) fn keep_said(&mut self, request: &str) {
        let said = Said { request: bounded(request, MAX_SAID_BYTES), answer: String::new() };
        self.record.said = Some(Box::new(said));
    }

    /// A model wrote more; `words` is asked for them only if they go on record.
    pub(crate) fn said<T: AsRef<str>>(&mut self, words: impl FnOnce() -> T) {
        let keeps_words = self.keeps_words();
        let on_record = self.record.said.as_mut().map(|said| (&mut said.answer, MAX_SAID_BYTES));
        let told = self.detail.as_mut().and_then(|detail| detail.words.as_mut());
        let told = told.map(|told| (&mut told.answer, MAX_WORDS));
        let mut kept = [on_record, told];
        let wants = |kept: &Option<(&mut String, usize)>| {
            kept.as_ref().is_some_and(|(answer, most)| answer.len() < *most)
        };
        if !kept.iter().any(wants) && !keeps_words {
            return;
        }
        let words = words();
        for (answer, most) in kept.iter_mut().filter(|kept| wants(kept)).flatten() {
            **answer += words.as_ref();
            if answer.len() > *most {
                **answer = bounded(answer, *most);
            }
        }
        self.add_words(words.as_ref());
    }

    /// Before the record, so that whoever reads that finds it.
    pub(super) fn put_detail(&mut self) {
        if let Some(detail) = self.detail.take() {
            self.proxy.0.callbacks.put(self.record.request, *detail);
        }
    }
}
