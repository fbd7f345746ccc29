//! Ollama again: LiteLLM's name for its chat API, which its OpenAI endpoint covers as well.

use dunlin_llm::openai::ChatStyle;

use crate::Variables;
use crate::openai_compatible::{Base, OpenAiCompatible, Quirks};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "ollama_chat",
    speaker: "Ollama_chatException",
    default_base: Some("http://localhost:11434"),
    variables: Variables { keys: &["OLLAMA_API_KEY"], bases: &["OLLAMA_API_BASE"] },
    needs_key: false,
    base: Base::Ending("/v1"),
    style: ChatStyle::COMPATIBLE,
    completions: true,
    lacks: &[],
    quirks: Quirks::NONE,
};
