//! LM Studio's local server.

use dunlin_llm::openai::ChatStyle;

use crate::Variables;
use crate::openai_compatible::{Base, OpenAiCompatible, Quirks};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "lm_studio",
    speaker: "Lm_studioException",
    default_base: Some("http://localhost:1234/v1"),
    variables: Variables { keys: &["LM_STUDIO_API_KEY"], bases: &["LM_STUDIO_API_BASE"] },
    needs_key: false,
    base: Base::AsGiven,
    style: ChatStyle::COMPATIBLE,
    completions: true,
    lacks: &[],
    quirks: Quirks { few_words: true, ..Quirks::NONE },
};
