//! Any server that speaks OpenAI's dialect, such as llama.cpp's.

use dunlin_llm::openai::ChatStyle;

use crate::openai_compatible::{Base, OpenAiCompatible};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "openai_like",
    speaker: "Openai_likeException",
    default_base: None,
    base: Base::AsGiven,
    style: ChatStyle::COMPATIBLE,
    completions: true,
};
