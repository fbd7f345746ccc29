//! OpenAI itself, and whatever else a bare model name with an `api_base` points to.

use dunlin_llm::openai::ChatStyle;

use crate::Variables;
use crate::openai_compatible::{Base, OPENAI_BASE, OpenAiCompatible, Quirks};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "openai",
    speaker: "OpenAIException",
    default_base: Some(OPENAI_BASE),
    variables: Variables {
        keys: &["OPENAI_API_KEY"],
        bases: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    },
    needs_key: true,
    base: Base::AsGiven,
    style: ChatStyle::OPENAI,
    completions: true,
    lacks: &[],
    quirks: Quirks::NONE,
};
