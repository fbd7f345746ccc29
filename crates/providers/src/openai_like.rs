//! Any server that speaks OpenAI's dialect, such as llama.cpp's.

use dunlin_llm::openai::ChatStyle;

use crate::Variables;
use crate::openai_compatible::{Base, OpenAiCompatible, Quirks};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "openai_like",
    speaker: "Openai_likeException",
    default_base: None,
    variables: Variables { keys: &["OPENAI_LIKE_API_KEY"], bases: &["OPENAI_LIKE_API_BASE"] },
    needs_key: false,
    base: Base::AsGiven,
    style: ChatStyle::COMPATIBLE,
    completions: true,
    lacks: &[],
    quirks: Quirks::NONE,
};
