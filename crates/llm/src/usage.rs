//! Tokens as an OpenAI-compatible provider counts them.

use dunlin_types::{Tokens, Usage};
use serde::Deserialize;

/// From the JSON text of a `usage` member. `None` when it counts nothing we know.
pub(crate) fn read(text: &str) -> Option<Usage> {
    let wire: Wire = serde_json::from_str(text).ok()?;
    let prompt = wire.prompt_tokens_details.unwrap_or_default();
    let completion = wire.completion_tokens_details.unwrap_or_default();
    let count = |number: Option<u64>| Tokens(number.unwrap_or(0));
    Some(Usage {
        prompt: Tokens(wire.prompt_tokens?),
        cached: count(prompt.cached_tokens),
        cache_write: count(prompt.cache_write_tokens.or(prompt.cache_creation_tokens)),
        cache_write_1h: Tokens(0),
        prompt_audio: count(prompt.audio_tokens),
        prompt_image: count(prompt.image_tokens),
        // Embeddings have no completion, and some servers then leave the member out.
        completion: count(wire.completion_tokens),
        reasoning: count(completion.reasoning_tokens),
        completion_audio: count(completion.audio_tokens),
        completion_image: count(completion.image_tokens),
    })
}

#[derive(Deserialize)]
struct Wire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
}

#[derive(Deserialize, Default)]
struct Details {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    /// LiteLLM's name, in answers of gateways behind this one.
    cache_creation_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}
