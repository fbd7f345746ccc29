//! Ollama, by its OpenAI endpoint. LiteLLM's users give its root, where its own API is.

use dunlin_llm::openai::ChatStyle;

use crate::openai_compatible::{Base, OpenAiCompatible};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "ollama",
    speaker: "OllamaException",
    default_base: Some("http://localhost:11434"),
    base: Base::WithV1,
    style: ChatStyle::COMPATIBLE,
    completions: true,
};
