//! What of an answer is charged by other measures than a provider's count: by seconds of sound, by the
//! time it took, by pictures.

use std::sync::Arc;

use dunlin_ledger::Price;
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Usage};
use dunlin_router::Deployment;
use dunlin_types::Tokens;

use super::Bill;

/// What the provider of a whole answer has counted, if that can be: nothing is no count of words.
pub(super) fn counted(chat: &ChatRequest, answer: &ChatReply) -> Option<Usage> {
    let usage = answer.usage().and_then(Usage::if_credible)?;
    let is_short = chat.endpoint().is_chat() && usage.completion == Tokens(0);
    let is_uncounted = is_short && !answer.output_text().is_empty();
    (!is_uncounted).then_some(usage)
}

/// Whether a whole answer is to be counted here, or the prompt of it.
pub(crate) fn must_count(chat: &ChatRequest, answer: &ChatReply) -> bool {
    let counted = counted(chat, answer).filter(|usage| !lacks_prompt(chat, usage));
    counted.is_none() && chat.endpoint().tells_usage() && !chat.background()
}

fn lacks_prompt(chat: &ChatRequest, usage: &Usage) -> bool {
    chat.endpoint().is_chat() && usage.lacks_prompt()
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

    /// A whole answer, telling what is charged for it, if its provider has counted nothing.
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
        if let Some(usage) = counted(chat, &answer) {
            self.count_prompt(chat);
            return answer.telling(self.with_prompt(usage));
        }
        let written = self.count_whole(chat, &answer);
        answer.telling(self.estimate(written))
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
