//! What a model wrote in a piece of a stream, for the request log. Whoever keeps no prompts never
//! comes here.

use dunlin_llm::form::Delta;
use serde_json::Value;

/// The words in a chunk, of whatever dialect.
pub(crate) fn of_chunk(data: &[u8]) -> String {
    let Ok(chunk) = serde_json::from_slice::<Value>(data) else { return String::new() };
    let mut words = String::new();
    let mut add = |text: &Value| words.extend(text.as_str());
    // OpenAI's chats and completions.
    for choice in list(&chunk["choices"]) {
        add(&choice["text"]);
        add(&choice["delta"]["reasoning_content"]);
        add(&choice["delta"]["content"]);
        add(&choice["delta"]["refusal"]);
        for call in list(&choice["delta"]["tool_calls"]) {
            add(&call["function"]["name"]);
            add(&call["function"]["arguments"]);
        }
    }
    // Gemini's.
    for candidate in list(&chunk["candidates"]) {
        list(&candidate["content"]["parts"]).for_each(|part| add(&part["text"]));
    }
    // Anthropic's is an object, that of OpenAI's responses a text.
    let delta = &chunk["delta"];
    ["text", "thinking", "partial_json"].iter().for_each(|name| add(&delta[*name]));
    add(delta);
    words
}

/// The words in a delta.
pub(crate) fn of_delta(delta: &Delta) -> &str {
    match delta {
        Delta::Text { text, .. }
        | Delta::Refusal { text, .. }
        | Delta::Thinking { text, .. }
        | Delta::Arguments { text, .. } => text,
        Delta::ToolCall { name, .. } => name,
        Delta::Start { .. }
        | Delta::Signature { .. }
        | Delta::RedactedThinking { .. }
        | Delta::Media { .. }
        | Delta::Logprobs { .. }
        | Delta::Citation { .. }
        | Delta::Finish { .. }
        | Delta::Usage(_)
        | Delta::Served(_) => "",
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_every_dialect_are_found() {
        for (chunk, words) in [
            (r#"{"choices":[{"delta":{"role":"assistant","content":"Hi"}}]}"#, "Hi"),
            (r#"{"choices":[{"delta":{"content":null,"refusal":"No"}}]}"#, "No"),
            (r#"{"choices":[{"text":"Hi"},{"text":" you"}]}"#, "Hi you"),
            (r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{}"}}]}}]}"#, "{}"),
            (r#"{"type":"content_block_delta","delta":{"text":"Hi"}}"#, "Hi"),
            (r#"{"type":"response.output_text.delta","delta":"Hi"}"#, "Hi"),
            (r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#, "Hi"),
            (r#"{"usage":{"prompt_tokens":1}}"#, ""),
            ("no JSON", ""),
        ] {
            assert_eq!(of_chunk(chunk.as_bytes()), words, "{chunk}");
        }
    }
}
