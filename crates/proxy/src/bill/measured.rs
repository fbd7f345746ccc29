//! What of an answer is charged by other measures than a provider's count: by seconds of sound, by the
//! time it took, by pictures.

use std::sync::Arc;

use dunlin_ledger::{Price, Pricing};
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Usage};
use dunlin_router::Deployment;
use dunlin_types::Tokens;

use super::Bill;

/// What a whole answer used.
#[derive(Clone)]
pub(super) struct Measured {
    pub(super) used: Usage,
    /// Not all of it was counted by the provider.
    pub(super) is_estimate: bool,
    /// Nothing of it was.
    pub(super) is_guess: bool,
}

/// What the provider of a whole answer has counted.
fn counted(answer: &ChatReply) -> Option<Usage> {
    answer.usage().and_then(Usage::if_credible)
}

/// Whether a chat's answer has words, and a count that says that it has none.
fn is_short(chat: &ChatRequest, answer: &ChatReply, usage: &Usage) -> bool {
    let says_none = chat.endpoint().is_chat() && usage.completion == Tokens(0);
    says_none && !answer.output_text().is_empty()
}

/// Whether a whole answer is to be counted here, or the prompt of it, or what it says.
pub(crate) fn must_count(chat: &ChatRequest, answer: &ChatReply) -> bool {
    let lacks_prompt = |usage: &Usage| chat.endpoint().is_chat() && usage.lacks_prompt();
    let is_lacking = |usage: Usage| lacks_prompt(&usage) || is_short(chat, answer, &usage);
    let endpoint = chat.endpoint();
    counted(answer).is_none_or(is_lacking) && endpoint.tells_usage() && !chat.background()
}

impl Bill {
    /// What is asked for, if that is not known at the start.
    pub(crate) fn is_of(&mut self, endpoint: Endpoint) {
        self.tariff.endpoint = endpoint;
    }

    /// A sound of so many milliseconds has been passed on.
    pub(crate) fn sounded(&mut self, millis: u64) {
        self.tariff.media.millis_made = millis;
    }

    /// So many pictures are in the answer.
    pub(crate) fn made_pictures(&mut self, pictures: u64) {
        self.tariff.media.pictures = pictures;
    }

    /// What it costs is told nowhere, unless all there is free.
    pub(crate) fn is_untold(&mut self) {
        if self.tariff.pricing != Pricing::Free {
            self.tariff.pricing = Pricing::Unpriced;
        }
    }

    /// A sound was heard, of so many milliseconds as its provider says; 0 if it does not.
    pub(crate) fn listened(&mut self, millis: u64) {
        self.tariff.media.millis = millis;
    }

    /// Whether an answer that is a sound is charged by its seconds.
    pub(crate) fn wants_seconds(&self) -> bool {
        self.tariff.pricing.price().is_some_and(Price::has_seconds_made)
    }

    /// A piece of a chat may cite what was found on the web.
    pub(crate) fn cited(&mut self, event: &[u8]) {
        if self.tariff.endpoint == Endpoint::ChatCompletions {
            self.tariff.media = self.tariff.media.cited(event);
        }
    }

    /// A whole answer, telling what is charged for it, if its provider has not counted all of it.
    pub(crate) fn telling(
        &mut self,
        by: &Arc<Deployment>,
        chat: &ChatRequest,
        answer: ChatReply,
    ) -> ChatReply {
        if !must_count(chat, &answer) {
            return answer;
        }
        self.served_by(by);
        let measured = self.measure(chat, &answer);
        let used = measured.used.clone();
        self.count.measured = Some(measured);
        answer.telling(used)
    }

    /// What a whole answer used: as its provider has counted it, and what that lacks as it is counted
    /// here.
    pub(super) fn measure(&mut self, chat: &ChatRequest, answer: &ChatReply) -> Measured {
        if let Some(measured) = self.count.measured.take() {
            return measured;
        }
        let Some(usage) = counted(answer) else {
            let written = self.count_whole(chat, answer);
            return Measured { used: self.estimate(written), is_estimate: true, is_guess: true };
        };
        let mut used = usage.clone();
        if is_short(chat, answer, &usage) {
            used.completion = self.count_whole(chat, answer);
        } else if usage.lacks_prompt() {
            self.count_prompt(chat);
        }
        let used = self.with_prompt(used);
        Measured { is_estimate: used != usage, used, is_guess: false }
    }

    /// What a chat's stream that is at its end is charged for, if its provider has not counted that.
    pub(crate) fn counted_here(&mut self, chat: &ChatRequest) -> Option<Usage> {
        if !chat.endpoint().is_chat() || self.background {
            return None;
        }
        self.count_prompt(chat);
        let (used, is_estimate) = self.used();
        is_estimate.then_some(used)
    }

    /// What is taken to be used where nobody counted.
    pub(super) fn estimate(&self, completion: Tokens) -> Usage {
        self.tariff.estimate(self.count.prompt_estimate, completion)
    }
}
