//! vLLM's server. Its base URL is the operator's and ends in `/v1`.

use dunlin_llm::openai::ChatStyle;

use crate::openai_compatible::{Base, OpenAiCompatible};

pub(crate) static PROVIDER: OpenAiCompatible = OpenAiCompatible {
    id: "hosted_vllm",
    speaker: "Hosted_vllmException",
    default_base: None,
    base: Base::AsGiven,
    style: ChatStyle::COMPATIBLE,
    completions: true,
};
