//! How many answers a request asks for, by the most generous reading of its values.

use serde_json::value::RawValue;

use crate::endpoint::Endpoint;
use crate::media::whole;

/// How many prompts a request has, each of which is answered.
pub(crate) fn prompts(endpoint: Endpoint, prompt: &str) -> u32 {
    if endpoint == Endpoint::Completions { prompts_in(prompt) } else { 1 }
}

/// How many prompts a completion's value is: texts, or lists of tokens.
pub(crate) fn prompts_in(prompt: &str) -> u32 {
    if !prompt.starts_with('[') {
        return 1;
    }
    let all: Vec<&RawValue> = serde_json::from_str(prompt).unwrap_or_default();
    let is_of_tokens = all.first().is_some_and(|first| first.get().parse::<u64>().is_ok());
    if is_of_tokens { 1 } else { u32::try_from(all.len()).unwrap_or(u32::MAX).max(1) }
}

/// How many answers a value asks for, by the most generous reading: some servers take `"3"` and
/// `3.0` for a number. What is none is for the provider to refuse.
pub(crate) fn choices(value: &str) -> u32 {
    let number = value.trim().trim_matches('"').parse().unwrap_or(1.0);
    u32::try_from(whole(number)).unwrap_or(u32::MAX).max(1)
}
