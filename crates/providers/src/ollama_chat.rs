//! Ollama again: LiteLLM's name for its chat API, which its OpenAI endpoint covers as well.

use dunlin_llm::openai::ChatStyle;

use crate::openai_compatible::{Base, OpenAiCompatible};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "ollama_chat",
    speaker: "Ollama_chatException",
    default_base: Some("http://localhost:11434"),
    base: Base::WithV1,
    style: ChatStyle::COMPATIBLE,
    completions: true,
};
