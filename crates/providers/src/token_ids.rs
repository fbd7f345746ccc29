//! Who makes vectors of texts that come as the ids of their tokens.

/// As LiteLLM has it, and servers that follow OpenAI's API wherever they are. All others are asked in
/// words. Sorted.
const READERS: &[&str] = &[
    "aiohttp_openai",
    "azure",
    "azure_ai",
    "azure_text",
    "custom_openai",
    "fireworks_ai",
    "hosted_vllm",
    "litellm_proxy",
    "nebius",
    "openai",
    "openai_like",
    "text-completion-openai",
    "vllm",
];

/// True if the provider of that id takes token ids for texts to make vectors of.
#[must_use]
pub fn reads_token_ids(provider: &str) -> bool {
    READERS.binary_search(&provider).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_are_known_and_sorted() {
        assert!(READERS.is_sorted());
        for reader in READERS {
            assert!(crate::find(reader).is_some(), "{reader}");
        }
        assert!(reads_token_ids("openai") && !reads_token_ids("cohere"));
    }
}
