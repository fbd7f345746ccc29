//! LM Studio's local server.

use dunlin_llm::openai::ChatStyle;

use crate::openai_compatible::{Base, OpenAiCompatible};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "lm_studio",
    speaker: "Lm_studioException",
    default_base: Some("http://localhost:1234/v1"),
    base: Base::AsGiven,
    style: ChatStyle::COMPATIBLE,
    completions: true,
};
