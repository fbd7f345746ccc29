//! What one request used of a model, as its provider counts it. Tokens are in the inclusive form:
//! `prompt` and `completion` are everything, others say how much of them was of a kind that has its
//! own price. What is charged beside tokens comes last.

use crate::{Part, Parts, PicoUsd, Tokens};

/// Counts of one request. Dialects that count exclusively (Anthropic's) are added up on reading.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// All prompt tokens: cached, written to a cache, audio and images included.
    pub prompt: Tokens,
    /// Of `prompt`: read from the provider's cache.
    pub cached: Tokens,
    /// Of `cached`: audio.
    pub cached_audio: Tokens,
    /// Of `cached`: images.
    pub cached_image: Tokens,
    /// Of `prompt`: written to the provider's cache, for however long.
    pub cache_write: Tokens,
    /// Of `cache_write`: kept for an hour, which costs more.
    pub cache_write_1h: Tokens,
    /// Of `cache_write`: kept for twelve hours, likewise.
    pub cache_write_12h: Tokens,
    /// Of `prompt`: audio.
    pub prompt_audio: Tokens,
    /// Of `prompt`: images.
    pub prompt_image: Tokens,
    /// All completion tokens: reasoning and audio included.
    pub completion: Tokens,
    /// Of `completion`: thought, not shown as the answer.
    pub reasoning: Tokens,
    /// Of `completion`: audio.
    pub completion_audio: Tokens,
    /// Of `completion`: images.
    pub completion_image: Tokens,
    /// Searches of the web that the model made.
    pub web_searches: u64,
    /// Searches of maps that it made.
    pub map_searches: u64,
    /// Searches in files that it made.
    pub file_searches: u64,
    /// Containers in which it ran code.
    pub code_sessions: u64,
    /// Pages that were read, of documents.
    pub pages: u64,
    /// Queries that documents were ranked by.
    pub queries: u64,
    /// What the provider says that all of it cost.
    pub reported: Option<PicoUsd>,
    /// How else than usual it was made.
    pub premium: Premium,
    /// What other models used that were asked on the way: in none of the counts above.
    pub parts: Parts,
}

/// How an answer was made that costs more than usual, beside its service: Anthropic sells both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Premium {
    /// In the US alone.
    pub us: bool,
    /// Faster.
    pub fast: bool,
}

/// How much a model looks at of what a search of the web finds, which some sell at other rates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SearchSize {
    /// Little.
    Low,
    /// The usual.
    #[default]
    Medium,
    /// Much.
    High,
}

/// No request has more tokens than this of any kind: the largest contexts have ten million.
pub const MOST_TOKENS: Tokens = Tokens(100_000_000);
/// Nor more searches, pages or queries.
pub const MOST_OTHERS: u64 = 1_000_000;

impl Usage {
    /// The same, unless it counts what no request can have used.
    #[must_use]
    pub fn if_credible(self) -> Option<Self> {
        let tokens = [
            self.prompt,
            self.cached,
            self.cached_audio,
            self.cached_image,
            self.cache_write,
            self.cache_write_1h,
            self.cache_write_12h,
            self.prompt_audio,
            self.prompt_image,
            self.completion,
            self.reasoning,
            self.completion_audio,
            self.completion_image,
        ];
        let searches = [self.web_searches, self.map_searches, self.file_searches];
        let mut others = searches.into_iter().chain([self.code_sessions, self.pages, self.queries]);
        let is_credible = tokens.into_iter().all(|tokens| tokens <= MOST_TOKENS)
            && others.all(|count| count <= MOST_OTHERS);
        let are_credible = self.parts.iter().all(|part| part.usage().if_credible().is_some());
        (is_credible && are_credible).then_some(self)
    }

    /// The same with what another model used.
    #[must_use]
    pub fn with_part(self, part: Part) -> Self {
        Self { parts: self.parts.with(part), ..self }
    }

    /// What all models used together, the others' tokens among its own.
    #[must_use]
    pub fn in_all(&self) -> Self {
        let own = Self { parts: Parts::default(), ..self.clone() };
        self.parts.iter().fold(own, |all, part| all.plus(&part.usage()))
    }

    /// The same with the tokens of another answer of the same model.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        Self {
            prompt: self.prompt + other.prompt,
            cached: self.cached + other.cached,
            cache_write: self.cache_write + other.cache_write,
            cache_write_1h: self.cache_write_1h + other.cache_write_1h,
            prompt_image: self.prompt_image + other.prompt_image,
            completion: self.completion + other.completion,
            reasoning: self.reasoning + other.reasoning,
            completion_image: self.completion_image + other.completion_image,
            ..self
        }
    }

    /// The same, unless it counts nothing at all: no request uses nothing, so nobody has counted.
    #[must_use]
    pub fn if_any(self) -> Option<Self> {
        (self != Self { premium: self.premium, ..Self::default() }).then_some(self)
    }

    /// Whether there is an answer, and nothing that it answers: some servers do not count a prompt
    /// that was in their cache.
    #[must_use]
    pub fn lacks_prompt(&self) -> bool {
        self.prompt == Tokens(0) && self.completion > Tokens(0)
    }

    /// Prompt and completion together.
    #[must_use]
    pub fn total(&self) -> Tokens {
        self.prompt + self.completion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_request_can_have_used_is_not_believed() {
        let most = Usage { prompt: MOST_TOKENS, completion: MOST_TOKENS, ..Usage::default() };
        assert_eq!(most.clone().if_credible(), Some(most));
        for absurd in [
            Usage { completion: Tokens(MOST_TOKENS.0 + 1), ..Usage::default() },
            Usage { prompt: Tokens(u64::MAX), ..Usage::default() },
            Usage { cached: Tokens(u64::MAX), ..Usage::default() },
            Usage { web_searches: MOST_OTHERS + 1, ..Usage::default() },
        ] {
            assert_eq!(absurd.clone().if_credible(), None, "{absurd:?}");
            let by_another = Usage::default().with_part(Part::of("m", &absurd));
            let is_told = by_another.parts.iter().next().is_some();
            assert!(!is_told || by_another.if_credible().is_none(), "{absurd:?}");
        }
    }

    #[test]
    fn what_other_models_used_is_told_apart_and_added_up() {
        let used = |prompt, completion| Usage {
            prompt: Tokens(prompt),
            completion: Tokens(completion),
            ..Usage::default()
        };
        let part = |model, prompt| Part::of(model, &used(prompt, 1));
        let all = used(5, 5).with_part(part("a", 10)).with_part(part("b", 20));
        let all = all.with_part(part("a", 100)).with_part(part("c", 1_000));
        let told: Vec<_> =
            all.parts.iter().map(|part| (part.model.as_str(), part.prompt.0)).collect();
        assert_eq!(told, [("a", 110), ("b", 1_020)], "no more than two are told apart");
        assert_eq!(all.in_all(), used(1_135, 9));
        let long = part(&"\u{e9}".repeat(40), 1);
        assert_eq!(long.model.as_str(), "\u{e9}".repeat(31));
    }
}
