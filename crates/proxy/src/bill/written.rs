//! What a model wrote and nobody else counted: kept while it passes, and counted at the end by the
//! model's own encoding.

use dunlin_llm::{ChatReply, ChatRequest, Usage, tokens_in};
use dunlin_tokens::MAX_COUNTED_BYTES;
use dunlin_types::Tokens;

use super::Bill;
use super::measured::Measured;
use super::streamed::Streamed;
use crate::questions::count;

/// What was used, as far as it is counted.
pub(super) struct Count {
    pub(super) prompt_estimate: Tokens,
    /// Whether that is a count of its own.
    pub(super) prompt_counted: bool,
    pub(super) streamed: Streamed,
    /// What a model wrote, where it may have to be counted here.
    pub(super) words: Option<Words>,
    /// What a whole answer used, once its client is told that by another count than its provider's.
    pub(super) measured: Option<Measured>,
}

impl Count {
    /// Before anything was answered.
    pub(super) fn new(prompt_estimate: Tokens) -> Self {
        let streamed = Streamed::default();
        Self { prompt_estimate, prompt_counted: false, streamed, words: None, measured: None }
    }
}

/// The words of an answer, as long as they can be counted.
#[derive(Default)]
pub(super) struct Words {
    text: String,
    /// How long they were when they were counted, and what came out.
    counted: Option<(usize, Tokens)>,
    /// Whether they are all there.
    whole: bool,
}

impl Bill {
    /// The words of an answer that comes in pieces are kept: nobody may count them.
    pub(crate) fn keep_words(&mut self) {
        self.count.words = Some(Words::default());
    }

    /// Whether they are.
    pub(crate) fn keeps_words(&self) -> bool {
        self.count.words.as_ref().is_some_and(|words| !words.whole)
    }

    /// Whether the provider has counted all that has been passed on of a stream.
    pub(crate) fn is_counted(&self) -> bool {
        self.count.streamed.is_counted()
    }

    /// Whether an answer that is at its end is to be counted here, by the model's encoding.
    pub(crate) fn must_count_words(&self) -> bool {
        let Count { words, streamed, .. } = &self.count;
        let is_some = words.is_some() || streamed.usage.is_some();
        !self.background && is_some && !streamed.is_counted()
    }

    /// Ends when they can be, or that takes too long.
    pub(crate) fn warm(&self) -> impl Future<Output = ()> + Send + use<> {
        let (tokenizer, model) =
            (self.proxy.0.tokenizer.clone(), self.record.upstream_model.clone());
        async move { tokenizer.warm(&model).await }
    }

    /// More of the words.
    pub(super) fn add_words(&mut self, more: &str) {
        if let Some(words) = self.count.words.as_mut().filter(|words| !words.whole) {
            words.text.push_str(more);
            if words.text.len() > MAX_COUNTED_BYTES {
                self.count.words = None;
            }
        }
    }

    /// What was used of an answer that comes in pieces, and whether that is an estimate.
    pub(super) fn used(&mut self) -> (Usage, bool) {
        let written = if self.count.streamed.is_counted() { Tokens(0) } else { self.count_words() };
        let (told, is_estimate) =
            self.count.streamed.used(written, |completion| self.estimate(completion));
        let used = self.with_prompt(told.clone());
        let is_estimate = is_estimate || used != told;
        (used, is_estimate)
    }

    /// What was used for a chat, with the prompt as it is counted here if its provider did not.
    pub(super) fn with_prompt(&self, used: Usage) -> Usage {
        if used.lacks_prompt() && self.tariff.endpoint.is_chat() {
            return Usage { prompt: self.count.prompt_estimate, ..used };
        }
        used
    }

    /// Counts a prompt and the whole answer to it, and guesses what cannot be counted.
    pub(super) fn count_whole(&mut self, chat: &ChatRequest, answer: &ChatReply) -> Tokens {
        self.count_prompt(chat);
        if !chat.endpoint().is_chat() {
            return answer.output_estimate();
        }
        if self.count.words.is_none() {
            let text = answer.output_text();
            self.count.words = Some(Words { text, counted: None, whole: true });
        }
        self.count_words()
    }

    /// The tokens of what was written. What passed by in a form that nobody knows is guessed.
    fn count_words(&mut self) -> Tokens {
        let Self { proxy, record, count: Count { streamed, words, .. }, .. } = self;
        let Some(Words { text, counted, .. }) = words else {
            return tokens_in(streamed.text_bytes);
        };
        let tokens = match counted {
            Some((length, tokens)) if *length == text.len() => *tokens,
            Some(_) | None => proxy.0.tokenizer.count_text(&record.upstream_model, text).tokens,
        };
        *counted = Some((text.len(), tokens));
        tokens + tokens_in(streamed.text_bytes.saturating_sub(text.len() as u64))
    }

    /// Counts a prompt here, if its provider has counted nothing.
    pub(crate) fn count_prompt(&mut self, chat: &ChatRequest) {
        let usage = self.count.streamed.usage.as_ref();
        let is_known =
            usage.is_some_and(|usage| !usage.lacks_prompt()) || self.count.prompt_counted;
        if is_known || self.background || !chat.endpoint().tells_usage() {
            return;
        }
        self.count.prompt_counted = true;
        // What cannot be read keeps its estimate.
        let counted = count::counted(&self.proxy, chat, &self.record.upstream_model);
        self.count.prompt_estimate = counted.unwrap_or(self.count.prompt_estimate);
    }
}
