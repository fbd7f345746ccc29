//! Tokens in OpenAI's words, with those of LiteLLM for what OpenAI does not count.

use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

/// From the JSON text of a `usage` member. `None` when it counts nothing we know.
pub(crate) fn read(text: &str) -> Option<Usage> {
    serde_json::from_str::<Wire>(text).ok()?.usage()
}

#[derive(Deserialize)]
pub(crate) struct Wire {
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

impl Wire {
    pub(crate) fn usage(self) -> Option<Usage> {
        let prompt = self.prompt_tokens_details.unwrap_or_default();
        let completion = self.completion_tokens_details.unwrap_or_default();
        let count = |number: Option<u64>| Tokens(number.unwrap_or(0));
        Some(Usage {
            prompt: Tokens(self.prompt_tokens?),
            cached: count(prompt.cached_tokens),
            cache_write: count(prompt.cache_write_tokens.or(prompt.cache_creation_tokens)),
            cache_write_1h: Tokens(0),
            prompt_audio: count(prompt.audio_tokens),
            prompt_image: count(prompt.image_tokens),
            // Embeddings have no completion, and some servers then leave the member out.
            completion: count(self.completion_tokens),
            reasoning: count(completion.reasoning_tokens),
            completion_audio: count(completion.audio_tokens),
            completion_image: count(completion.image_tokens),
        })
    }
}

/// The `usage` member for a client. Details that are nought are left out, but for those of caches,
/// which LiteLLM's users read under Anthropic's names as well.
pub(crate) fn usage_json(usage: &Usage) -> Value {
    let mut wire = json!({
        "completion_tokens": usage.completion.0,
        "prompt_tokens": usage.prompt.0,
        "total_tokens": usage.total().0,
    });
    let details = |counts: &[(&str, Tokens)]| {
        let counted = counts.iter().filter(|(_, tokens)| tokens.0 > 0);
        let counted = counted.map(|(name, tokens)| ((*name).to_owned(), tokens.0.into()));
        let counted: serde_json::Map<String, Value> = counted.collect();
        (!counted.is_empty()).then_some(Value::Object(counted))
    };
    let completion = details(&[
        ("reasoning_tokens", usage.reasoning),
        ("audio_tokens", usage.completion_audio),
        ("image_tokens", usage.completion_image),
    ]);
    if let Some(completion) = completion {
        wire["completion_tokens_details"] = completion;
    }
    let prompt = details(&[
        ("cached_tokens", usage.cached),
        ("cache_write_tokens", usage.cache_write),
        ("audio_tokens", usage.prompt_audio),
        ("image_tokens", usage.prompt_image),
    ]);
    if let Some(prompt) = prompt {
        wire["prompt_tokens_details"] = prompt;
    }
    if usage.cached.0 + usage.cache_write.0 > 0 {
        wire["cache_creation_input_tokens"] = usage.cache_write.0.into();
        wire["cache_read_input_tokens"] = usage.cached.0.into();
    }
    wire
}
