//! OpenAI itself, and whatever else a bare model name with an `api_base` points to.

use dunlin_llm::openai::ChatStyle;

use crate::openai_compatible::{Base, OpenAiCompatible};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "openai",
    speaker: "OpenAIException",
    default_base: Some("https://api.openai.com/v1"),
    base: Base::AsGiven,
    style: ChatStyle::OPENAI,
    completions: true,
};
