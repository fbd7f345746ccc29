//! What of an answer is charged by other measures than a provider's count: by seconds of sound, by the
//! time it took, by pictures.

use std::sync::Arc;

use dunlin_ledger::{Context, Price};
use dunlin_llm::{ChatReply, ChatRequest, Endpoint, Usage};
use dunlin_router::{Deployment, context};
use dunlin_types::Tokens;

use super::Bill;

/// Milliseconds of sound that are taken for a token, as OpenAI hears.
const MILLIS_A_TOKEN: u64 = 100;

/// Whether a whole answer is to be counted here.
pub(crate) fn must_count(chat: &ChatRequest, answer: &ChatReply) -> bool {
    let is_counted = answer.usage().and_then(Usage::if_credible).is_some();
    !is_counted && chat.endpoint().tells_usage() && !chat.background()
}

impl Bill {
    /// What is asked for, if that is not known at the start.
    pub(crate) fn is_of(&mut self, endpoint: Endpoint) {
        self.endpoint = endpoint;
    }

    /// A sound of so many milliseconds has been passed on.
    pub(crate) fn sounded(&mut self, millis: u64) {
        self.media.millis_made = millis;
    }

    /// Whether an answer that is a sound is charged by its seconds.
    pub(crate) fn wants_seconds(&self) -> bool {
        self.pricing.price().is_some_and(Price::has_seconds_made)
    }

    /// A piece of a chat may cite what was found on the web.
    pub(crate) fn cited(&mut self, event: &[u8]) {
        if self.endpoint == Endpoint::ChatCompletions {
            self.media = self.media.cited(event);
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

    /// What is taken to be used where nobody counted. A sound that was sent counts by its length: as
    /// tokens, unless its seconds have a price.
    pub(super) fn estimate(&self, completion: Tokens) -> Usage {
        let text = Usage { prompt: self.prompt_estimate, completion, ..Usage::default() };
        match self.heard() {
            0 => text,
            _ if self.pricing.price().is_some_and(Price::has_seconds_sent) => Usage::default(),
            millis => {
                let prompt_audio = Tokens(millis.div_ceil(MILLIS_A_TOKEN));
                Usage { prompt: text.prompt + prompt_audio, prompt_audio, ..text }
            }
        }
    }

    /// Milliseconds of sound, as the answer says or else as the file did.
    fn heard(&self) -> u64 {
        if self.media.millis > 0 { self.media.millis } else { self.media.millis_sent }
    }

    /// How the request was served, for its price.
    pub(super) fn context(&self) -> Context {
        let mut media = self.media;
        if self.record.estimated {
            media.millis = self.heard();
        }
        let price = self.pricing.price();
        let is_sound = media.millis_sent > 0 || media.millis > 0;
        // Tokens were counted that have no price.
        if is_sound && price.is_some_and(Price::is_of_time) {
            media.millis = self.heard();
        }
        if self.endpoint.is_chat() && !is_sound && price.is_some_and(Price::is_of_time) {
            media.millis = self.proxy.0.clock.unix().0.saturating_sub(self.record.started.0);
        }
        let makes_pictures =
            matches!(self.endpoint, Endpoint::ImageEdits | Endpoint::ImageGenerations);
        let by_picture =
            self.by_picture || makes_pictures && price.is_some_and(Price::is_of_pictures);
        context(media, self.tier, by_picture)
    }
}
