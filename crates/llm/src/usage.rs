//! Tokens as a provider counted them.

use dunlin_types::Tokens;
use serde::Deserialize;

/// What one reply used, in the provider's own count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub prompt: Tokens,
    /// Completion tokens, reasoning included.
    pub completion: Tokens,
    /// How many of `prompt` came from the provider's cache.
    pub cached: Tokens,
}

impl Usage {
    /// From the JSON text of a `usage` member. `None` when it counts nothing we know.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let wire: Wire = serde_json::from_str(text).ok()?;
        let cached = wire.prompt_tokens_details.and_then(|details| details.cached_tokens);
        Some(Self {
            prompt: Tokens(wire.prompt_tokens?),
            // Embeddings have no completion, and some servers then leave the member out.
            completion: Tokens(wire.completion_tokens.unwrap_or(0)),
            cached: Tokens(cached.unwrap_or(0)),
        })
    }
}

#[derive(Deserialize)]
struct Wire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}
