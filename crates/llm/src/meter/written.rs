//! How much text a model wrote, in any provider's words.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::estimate::{output_bytes, words_in};
use crate::gemini;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

/// The bytes of text in a member of an answer or of one of its events.
pub(super) fn bytes(name: &str, value: &str) -> u64 {
    let words = |value: Option<&RawValue>| value.map_or(0, |value| words_in(value.get()));
    match name {
        "choices" => output_bytes(value),
        "candidates" => gemini::output_bytes(value),
        // Anthropic's, Bedrock's and Cohere's; that of OpenAI's responses is a text.
        "delta" => words_in(value),
        // Ollama's.
        "response" if value.starts_with('"') => words_in(value),
        "message" => {
            let message: Option<Message<'_>> = serde_json::from_str(value).ok();
            message.map_or(0, |message| {
                words(message.content) + words(message.thinking) + words(message.tool_calls)
            })
        }
        _ => 0,
    }
}
