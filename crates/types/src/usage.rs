//! What one request used of a model, as its provider counts it. Tokens are in the inclusive form:
//! `prompt` and `completion` are everything, others say how much of them was of a kind that has its
//! own price. What is charged beside tokens comes last.

use crate::Tokens;

/// Counts of one request. Dialects that count exclusively (Anthropic's) are added up on reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// All prompt tokens: cached, written to a cache, audio and images included.
    pub prompt: Tokens,
    /// Of `prompt`: read from the provider's cache.
    pub cached: Tokens,
    /// Of `prompt`: written to the provider's cache, for however long.
    pub cache_write: Tokens,
    /// Of `cache_write`: kept for an hour, which costs more.
    pub cache_write_1h: Tokens,
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
    /// Pages that were read, of documents.
    pub pages: u64,
    /// Queries that documents were ranked by.
    pub queries: u64,
}

impl Usage {
    /// Prompt and completion together.
    #[must_use]
    pub fn total(&self) -> Tokens {
        self.prompt + self.completion
    }
}
