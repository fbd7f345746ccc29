//! How many answers a request asks for, and how the numbers that say so are written.

use serde_json::value::RawValue;

use crate::endpoint::Endpoint;

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

/// What is expected of what is counted.
pub(crate) const COUNT: &str = "a whole number from 0 to 2^64 - 1";

/// The whole number that a JSON value is: written so, or as `3.0` or `"3"`, which some servers take
/// for it. What could be read in more than one way is none.
pub(crate) fn count(value: &str) -> Option<u64> {
    let inside = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let number = inside.unwrap_or(value);
    let whole = match number.split_once('.') {
        Some((whole, rest)) => {
            (!rest.is_empty() && rest.trim_end_matches('0').is_empty()).then_some(whole)?
        }
        None => number,
    };
    whole.bytes().all(|byte| byte.is_ascii_digit()).then(|| whole.parse().ok())?
}

/// How many answers a value asks for, at least 1. `None`: it is no number of answers.
pub(crate) fn choices(value: &str) -> Option<u32> {
    if value == "null" {
        return Some(1);
    }
    count(value).map(|count| u32::try_from(count).unwrap_or(u32::MAX).max(1))
}
