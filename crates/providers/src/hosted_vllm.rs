//! vLLM's server. Its base URL is the operator's and ends in `/v1`.

use dunlin_llm::openai::{ChatStyle, Thoughts};

use crate::Variables;
use crate::openai_compatible::{Base, OpenAiCompatible, Quirks};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "hosted_vllm",
    speaker: "Hosted_vllmException",
    default_base: None,
    variables: Variables { keys: &["HOSTED_VLLM_API_KEY"], bases: &["HOSTED_VLLM_API_BASE"] },
    needs_key: false,
    base: Base::AsGiven,
    style: ChatStyle { thoughts: Thoughts::Taken, ..ChatStyle::COMPATIBLE },
    completions: true,
    lacks: &[],
    quirks: Quirks { guides: true, ..Quirks::NONE },
};
