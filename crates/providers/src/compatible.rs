//! The table of providers that speak OpenAI's dialect and need no file of their own: each row is
//! an address, the variables that LiteLLM takes for it, and what sets it apart. Their answers are
//! read as those of `openai.rs`, and so tested.

use dunlin_llm::openai::{ChatStyle, Thoughts};

use crate::Variables;
use crate::openai_compatible::{Base, OpenAiCompatible, Quirks, Thinkers};
use crate::params::OPENAI_ONLY;
use crate::replayed::Replayed;

type Words = &'static [&'static str];

const OPENAI_ONLY_BUT_SEARCH: Words = OPENAI_ONLY.split_at(OPENAI_ONLY.len() - 1).0;
/// OpenAI's tools of old.
const FUNCTIONS: Words = &["function_call", "functions"];
const SAMPLING: Words =
    &["frequency_penalty", "logit_bias", "logprobs", "presence_penalty", "top_logprobs"];

const MISTRAL: OpenAiCompatible = OpenAiCompatible {
    base: Base::Ending("/v1"),
    lacks: &[OPENAI_ONLY, FUNCTIONS, &["logit_bias", "logprobs", "top_logprobs"]],
    quirks: Quirks {
        renamed: &[("max_completion_tokens", "max_tokens"), ("seed", "random_seed")],
        // Unknown members are refused; usage comes unasked.
        refuses: &["messages[*].function_call", "messages[*].name", "stream_options", "user"],
        replayed: Replayed { short_ids: true, ..Replayed::STRICT },
        deaf_to: &["reasoning_effort", "top_k"],
        // Their thoughts come as parts of the content.
        translated: Some("magistral"),
        ..Quirks::NONE
    },
    ..cloud(
        "mistral",
        "MistralException",
        "https://api.mistral.ai/v1",
        &["MISTRAL_AZURE_API_KEY", "MISTRAL_API_KEY"],
        &["MISTRAL_AZURE_API_BASE", "MISTRAL_API_BASE"],
    )
};

/// As xAI's guide on reasoning has it, read in 2026.
const GROK: Thinkers = Thinkers {
    names: &["grok-3-mini", "grok-4", "grok-build", "grok-code"],
    lack: &[OPENAI_ONLY_BUT_SEARCH, FUNCTIONS, &["frequency_penalty", "presence_penalty", "stop"]],
};

impl OpenAiCompatible {
    /// With the bound on tokens under its old name, which most servers know alone.
    const fn old_bound(self) -> Self {
        let quirks = Quirks { renamed: &[("max_completion_tokens", "max_tokens")], ..self.quirks };
        Self { quirks, ..self }
    }

    /// With plain completions.
    const fn texts(self) -> Self {
        Self { completions: true, ..self }
    }

    /// Documents are ranked in words of its own.
    const fn ranks_in_data(self) -> Self {
        let quirks = Quirks { renamed: &[("top_n", "top_k")], ranks_in_data: true, ..self.quirks };
        Self { quirks, ..self }
    }

    const fn searches(self) -> Self {
        Self { quirks: Quirks { searches: true, ..self.quirks }, ..self }
    }

    const fn deaf_to(self, deaf_to: Words) -> Self {
        Self { quirks: Quirks { deaf_to, ..self.quirks }, ..self }
    }

    const fn thinkers(self, thinkers: Thinkers) -> Self {
        Self { quirks: Quirks { thinkers: Some(thinkers), ..self.quirks }, ..self }
    }

    /// What only answers have is refused when it comes back.
    const fn strict(self) -> Self {
        Self { quirks: Quirks { replayed: Replayed::STRICT, ..self.quirks }, ..self }
    }

    /// The same, but for thoughts, which it takes.
    const fn nearly_strict(self) -> Self {
        Self { quirks: Quirks { replayed: Replayed::BUT_THOUGHTS, ..self.quirks }, ..self }
    }

    const fn lacks(self, lacks: &'static [Words]) -> Self {
        Self { lacks, ..self }
    }

    const fn ending(self, ending: &'static str) -> Self {
        Self { base: Base::Ending(ending), ..self }
    }

    /// As OpenAI itself, at another address.
    const fn openai_style(self) -> Self {
        Self { style: ChatStyle::OPENAI, completions: true, ..self }
    }

    /// As vLLM and llama.cpp have it.
    const fn keeps_thoughts(self) -> Self {
        Self { style: ChatStyle { thoughts: Thoughts::Taken, ..self.style }, ..self }
    }

    /// As vLLM has it.
    const fn guides(self) -> Self {
        Self { quirks: Quirks { guides: true, ..self.quirks }, ..self }
    }

    /// As DeepSeek, Moonshot and their like have it.
    const fn takes_thoughts(self) -> Self {
        Self { style: ChatStyle { thoughts: Thoughts::Wanted, ..self.style }, ..self }
    }

    /// As OpenRouter has them.
    const fn takes_details(self) -> Self {
        Self { style: ChatStyle { details: true, ..self.style }, ..self }
    }

    const fn cache_points(self) -> Self {
        Self { style: ChatStyle { cache_points: true, ..self.style }, ..self }
    }
}

/// A server whose address is the operator's.
const fn server(
    id: &'static str,
    speaker: &'static str,
    keys: Words,
    bases: Words,
) -> OpenAiCompatible {
    OpenAiCompatible {
        id,
        speaker,
        default_base: None,
        variables: Variables { keys, bases },
        needs_key: false,
        base: Base::AsGiven,
        style: ChatStyle::COMPATIBLE,
        completions: false,
        lacks: &[],
        quirks: Quirks::NONE,
    }
}

/// A server that takes calls at `base` without a key.
const fn open(
    id: &'static str,
    speaker: &'static str,
    base: &'static str,
    keys: Words,
    bases: Words,
) -> OpenAiCompatible {
    OpenAiCompatible { default_base: Some(base), ..server(id, speaker, keys, bases) }
}

/// A service that wants a key.
const fn cloud(
    id: &'static str,
    speaker: &'static str,
    base: &'static str,
    keys: Words,
    bases: Words,
) -> OpenAiCompatible {
    OpenAiCompatible { needs_key: true, ..open(id, speaker, base, keys, bases) }
}

/// Sorted by id.
#[rustfmt::skip]
pub(crate) static TABLE: &[OpenAiCompatible] = &[
    cloud("abliteration", "AbliterationException", "https://api.abliteration.ai/v1", &["ABLITERATION_API_KEY"], &[]),
    cloud("ai21", "Ai21Exception", "https://api.ai21.com/studio/v1", &["AI21_API_KEY"], &["AI21_API_BASE"])
        .old_bound().lacks(&[OPENAI_ONLY, SAMPLING, FUNCTIONS, &["parallel_tool_calls", "top_p"]]),
    cloud("ai21_chat", "Ai21_chatException", "https://api.ai21.com/studio/v1", &["AI21_API_KEY"], &["AI21_API_BASE"])
        .old_bound().lacks(&[OPENAI_ONLY, SAMPLING, FUNCTIONS, &["parallel_tool_calls", "top_p"]]),
    cloud("aihubmix", "AihubmixException", "https://aihubmix.com/v1", &["AIHUBMIX_API_KEY"], &["AIHUBMIX_API_BASE"]),
    cloud("aiml", "AimlException", "https://api.aimlapi.com/v1", &["AIML_API_KEY"], &["AIML_API_BASE"]),
    cloud("aiohttp_openai", "Aiohttp_openaiException", "https://api.openai.com/v1", &["OPENAI_API_KEY"], &[]).openai_style(),
    cloud("amazon_nova", "Amazon_novaException", "https://api.nova.amazon.com/v1", &["AMAZON_NOVA_API_KEY"], &["AMAZON_NOVA_API_BASE"])
        .old_bound().lacks(&[OPENAI_ONLY, SAMPLING, FUNCTIONS, &["n", "parallel_tool_calls", "response_format", "seed"]]),
    cloud("anyscale", "AnyscaleException", "https://api.endpoints.anyscale.com/v1", &["ANYSCALE_API_KEY"], &["ANYSCALE_API_BASE"]).old_bound().texts(),
    cloud("apertis", "ApertisException", "https://api.stima.tech/v1", &["STIMA_API_KEY"], &[]).old_bound(),
    cloud("assemblyai", "AssemblyaiException", "https://llm-gateway.assemblyai.com/v1", &["ASSEMBLYAI_API_KEY"], &[]),
    cloud("baseten", "BasetenException", "https://inference.baseten.co/v1", &["BASETEN_API_KEY"], &["BASETEN_API_BASE"]),
    cloud("cerebras", "CerebrasException", "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"], &["CEREBRAS_API_BASE"]).strict()
        .old_bound().texts().deaf_to(&["top_k"]).lacks(&[OPENAI_ONLY, SAMPLING, FUNCTIONS, &["n"]]),
    cloud("charity_engine", "Charity_engineException", "https://api.charityengine.services/remotejobs/v2/inference", &["CHARITY_ENGINE_API_KEY"], &[]).old_bound(),
    cloud("chutes", "ChutesException", "https://llm.chutes.ai/v1", &["CHUTES_API_KEY"], &[]).old_bound(),
    OpenAiCompatible {
        id: "codestral",
        speaker: "CodestralException",
        default_base: Some("https://codestral.mistral.ai/v1"),
        variables: Variables { keys: &["CODESTRAL_API_KEY"], bases: &["CODESTRAL_API_BASE"] },
        ..MISTRAL
    },
    cloud("cognition", "CognitionException", "https://api.cognition.ai/v1", &["COGNITION_API_KEY"], &["COGNITION_API_BASE"]),
    cloud("cometapi", "CometapiException", "https://api.cometapi.com/v1", &["COMETAPI_KEY"], &["COMETAPI_API_BASE"]),
    cloud("compactifai", "CompactifaiException", "https://api.compactif.ai/v1", &["COMPACTIFAI_API_KEY"], &[]),
    cloud("cortecs", "CortecsException", "https://api.cortecs.ai/v1", &["CORTECS_API_KEY"], &["CORTECS_API_BASE"]),
    cloud("crusoe", "CrusoeException", "https://managed-inference-api-proxy.crusoecloud.com/v1", &["CRUSOE_API_KEY"], &["CRUSOE_API_BASE"]).old_bound(),
    server("custom_openai", "Custom_openaiException", &[], &[]).openai_style(),
    cloud("darkbloom", "DarkbloomException", "https://api.darkbloom.dev/v1", &["DARKBLOOM_API_KEY"], &["DARKBLOOM_API_BASE"]).old_bound(),
    cloud("dashscope", "DashscopeException", "https://dashscope.aliyuncs.com/compatible-mode/v1", &["DASHSCOPE_API_KEY"], &["DASHSCOPE_API_BASE"]).old_bound(),
    server("databricks", "DatabricksException", &["DATABRICKS_API_KEY"], &["DATABRICKS_API_BASE"]).strict()
        .old_bound().lacks(&[OPENAI_ONLY, SAMPLING, FUNCTIONS, &["parallel_tool_calls", "seed"]]),
    cloud("deepinfra", "DeepinfraException", "https://api.deepinfra.com/v1/openai", &["DEEPINFRA_API_KEY"], &["DEEPINFRA_API_BASE"])
        .old_bound().texts().lacks(&[OPENAI_ONLY, &["logprobs", "parallel_tool_calls", "seed", "top_logprobs"]]),
    cloud("deepseek", "DeepseekException", "https://api.deepseek.com/beta", &["DEEPSEEK_API_KEY"], &["DEEPSEEK_API_BASE"]).old_bound().takes_thoughts().texts(),
    open("docker_model_runner", "Docker_model_runnerException", "http://localhost:22088/engines/llama.cpp/v1", &["DOCKER_MODEL_RUNNER_API_KEY"], &["DOCKER_MODEL_RUNNER_API_BASE"])
        .ending("/v1").texts().keeps_thoughts(),
    cloud("edenai", "EdenaiException", "https://api.edenai.run/v3", &["EDENAI_API_KEY"], &["EDENAI_API_BASE"]),
    cloud("empiriolabs", "EmpiriolabsException", "https://api.empiriolabs.ai/v1", &["EMPIRIOLABS_API_KEY"], &["EMPIRIOLABS_API_BASE"]).old_bound(),
    cloud("empower", "EmpowerException", "https://app.empower.dev/api/v1", &["EMPOWER_API_KEY"], &["EMPOWER_API_BASE"]).old_bound(),
    cloud("featherless_ai", "Featherless_aiException", "https://api.featherless.ai/v1", &["FEATHERLESS_AI_API_KEY", "FEATHERLESS_API_KEY"], &["FEATHERLESS_AI_API_BASE", "FEATHERLESS_API_BASE"])
        .old_bound().texts().lacks(&[OPENAI_ONLY, &["logprobs", "parallel_tool_calls", "seed", "top_logprobs"]]),
    OpenAiCompatible {
        quirks: Quirks {
            model_prefix: "accounts/fireworks/models/",
            replayed: Replayed::BUT_THOUGHTS,
            ..Quirks::OLD_BOUND
        },
        ..cloud("fireworks_ai", "Fireworks_aiException", "https://api.fireworks.ai/inference/v1", &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"], &["FIREWORKS_API_BASE"])
            .texts().lacks(&[FUNCTIONS, &["audio", "modalities", "safety_identifier", "store", "verbosity", "web_search_options"]])
    },
    cloud("friendliai", "FriendliaiException", "https://api.friendli.ai/serverless/v1", &["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"], &["FRIENDLI_API_BASE"]).nearly_strict().old_bound().texts(),
    cloud("galadriel", "GaladrielException", "https://api.galadriel.com/v1", &["GALADRIEL_API_KEY"], &["GALADRIEL_API_BASE"]).old_bound(),
    cloud("github", "GithubException", "https://models.inference.ai.azure.com", &["GITHUB_API_KEY"], &["GITHUB_API_BASE"]).deaf_to(&["top_k"]),
    cloud("gmi", "GmiException", "https://api.gmi-serving.com/v1", &["GMI_API_KEY"], &[]),
    cloud("gradient_ai", "Gradient_aiException", "https://inference.do-ai.run/v1", &["GRADIENT_AI_API_KEY"], &["GRADIENT_AI_AGENT_ENDPOINT"]).ending("/api/v1"),
    cloud("groq", "GroqException", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"], &["GROQ_API_BASE"]).strict().deaf_to(&["top_k"]).lacks(&[&["web_search_options"]]),
    cloud("helicone", "HeliconeException", "https://ai-gateway.helicone.ai", &["HELICONE_API_KEY"], &[]),
    server("heroku", "HerokuException", &["HEROKU_API_KEY"], &["HEROKU_API_BASE"]).ending("/v1"),
    OpenAiCompatible {
        quirks: Quirks { provider_last: true, lists_stops: true, ..Quirks::OLD_BOUND },
        ..cloud("huggingface", "HuggingfaceException", "https://router.huggingface.co/v1", &["HF_TOKEN", "HUGGINGFACE_API_KEY"], &["HF_API_BASE", "HUGGINGFACE_API_BASE"]).ending("/v1")
    },
    cloud("hyperbolic", "HyperbolicException", "https://api.hyperbolic.xyz/v1", &["HYPERBOLIC_API_KEY"], &["HYPERBOLIC_API_BASE"])
        .old_bound().texts().lacks(&[OPENAI_ONLY, FUNCTIONS, &["logit_bias", "logprobs", "parallel_tool_calls", "top_logprobs"]]),
    cloud("inception", "InceptionException", "https://api.inceptionlabs.ai/v1", &["INCEPTION_API_KEY"], &["INCEPTION_API_BASE"]),
    server("infinity", "InfinityException", &["INFINITY_API_KEY"], &["INFINITY_API_BASE"]),
    cloud("jina_ai", "Jina_aiException", "https://api.jina.ai/v1", &["JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"], &["JINA_AI_API_BASE"]),
    cloud("lambda_ai", "Lambda_aiException", "https://api.lambda.ai/v1", &["LAMBDA_API_KEY"], &["LAMBDA_API_BASE"]).old_bound().texts(),
    open("lemonade", "LemonadeException", "http://localhost:8000/api/v1", &["LEMONADE_API_KEY"], &["LEMONADE_API_BASE"]).texts(),
    cloud("libertai", "LibertaiException", "https://api.libertai.io/v1", &["LIBERTAI_API_KEY"], &["LIBERTAI_API_BASE"]).old_bound(),
    server("litellm_proxy", "Litellm_proxyException", &["LITELLM_PROXY_API_KEY"], &["LITELLM_PROXY_API_BASE"]).openai_style().cache_points(),
    open("llamafile", "LlamafileException", "http://127.0.0.1:8080/v1", &["LLAMAFILE_API_KEY"], &["LLAMAFILE_API_BASE"]).texts().keeps_thoughts(),
    cloud("llamagate", "LlamagateException", "https://api.llamagate.dev/v1", &["LLAMAGATE_API_KEY"], &[]).old_bound(),
    cloud("maritalk", "MaritalkException", "https://chat.maritaca.ai/api", &["MARITALK_API_KEY"], &["MARITALK_API_BASE"]).old_bound(),
    cloud("meta", "MetaException", "https://api.meta.ai/v1", &["META_API_KEY"], &["META_API_BASE"]),
    cloud("meta_llama", "Meta_llamaException", "https://api.llama.com/compat/v1", &["LLAMA_API_KEY"], &["LLAMA_API_BASE"]),
    cloud("minimax", "MinimaxException", "https://api.minimax.io/v1", &["MINIMAX_API_KEY"], &["MINIMAX_API_BASE"]).takes_details().ending("/v1"),
    MISTRAL,
    cloud("modelscope", "ModelscopeException", "https://api-inference.modelscope.cn/v1", &["MODELSCOPE_API_KEY"], &["MODELSCOPE_API_BASE"]).old_bound(),
    cloud("moonshot", "MoonshotException", "https://api.moonshot.ai/v1", &["MOONSHOT_API_KEY"], &["MOONSHOT_API_BASE"]).old_bound().takes_thoughts().lacks(&[&["functions"]]),
    cloud("morph", "MorphException", "https://api.morphllm.com/v1", &["MORPH_API_KEY"], &["MORPH_API_BASE"]),
    cloud("nadir", "NadirException", "https://api.getnadir.com/v1", &["NADIR_API_KEY"], &["NADIR_API_BASE"]),
    cloud("nano-gpt", "Nano-gptException", "https://nano-gpt.com/api/v1", &["NANOGPT_API_KEY"], &[]).old_bound(),
    cloud("nebius", "NebiusException", "https://api.studio.nebius.ai/v1", &["NEBIUS_API_KEY"], &["NEBIUS_API_BASE"]).texts(),
    cloud("neosantara", "NeosantaraException", "https://api.neosantara.xyz/v1", &["NEOSANTARA_API_KEY"], &["NEOSANTARA_API_BASE"]).old_bound(),
    cloud("novita", "NovitaException", "https://api.novita.ai/v3/openai", &["NOVITA_API_KEY"], &["NOVITA_API_BASE"]).old_bound().texts(),
    cloud("nscale", "NscaleException", "https://inference.api.nscale.com/v1", &["NSCALE_API_KEY"], &["NSCALE_API_BASE"])
        .old_bound().lacks(&[OPENAI_ONLY, FUNCTIONS, &["parallel_tool_calls", "seed", "tool_choice", "tools"]]),
    cloud("nvidia_nim", "Nvidia_nimException", "https://integrate.api.nvidia.com/v1", &["NVIDIA_NIM_API_KEY"], &["NVIDIA_NIM_API_BASE"])
        .old_bound().texts().lacks(&[OPENAI_ONLY, FUNCTIONS, &["logit_bias", "n"]]),
    server("oobabooga", "OobaboogaException", &[], &[]).ending("/v1").old_bound().texts(),
    cloud("openrouter", "OpenrouterException", "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY", "OR_API_KEY"], &["OPENROUTER_API_BASE"])
        .texts().cache_points().takes_details().searches(),
    open("ovhcloud", "OvhcloudException", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", &["OVHCLOUD_API_KEY"], &["OVHCLOUD_API_BASE"]),
    cloud("parasail", "ParasailException", "https://api.parasail.io/v1", &["PARASAIL_API_KEY"], &["PARASAIL_API_BASE"]),
    cloud("perplexity", "PerplexityException", "https://api.perplexity.ai", &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"], &["PERPLEXITY_API_BASE"])
        .old_bound().searches().lacks(&[OPENAI_ONLY_BUT_SEARCH, FUNCTIONS, &["logit_bias", "logprobs", "n", "parallel_tool_calls", "seed", "stop", "tool_choice", "tools", "top_logprobs"]]),
    cloud("pinstripes", "PinstripesException", "https://pinstripes.io/v1", &["PINSTRIPES_API_KEY"], &["PINSTRIPES_API_BASE"]).old_bound(),
    cloud("poe", "PoeException", "https://api.poe.com/v1", &["POE_API_KEY"], &[]).old_bound(),
    cloud("prism", "PrismException", "https://api.prisminference.com/v1", &["PRISM_API_KEY"], &["PRISM_API_BASE"]),
    cloud("publicai", "PublicaiException", "https://api.publicai.co/v1", &["PUBLICAI_API_KEY"], &["PUBLICAI_API_BASE"]).old_bound(),
    cloud("qwen_ai_platform", "Qwen_ai_platformException", "https://dashscope.aliyuncs.com/compatible-mode/v1", &["QWEN_AI_PLATFORM_API_KEY", "DASHSCOPE_API_KEY"], &["QWEN_AI_PLATFORM_API_BASE"]).old_bound(),
    cloud("qwencloud", "QwencloudException", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", &["QWENCLOUD_API_KEY", "DASHSCOPE_API_KEY"], &["QWENCLOUD_API_BASE"]).old_bound(),
    cloud("reka", "RekaException", "https://api.reka.ai/v1", &["REKA_API_KEY"], &["REKA_API_BASE"]),
    cloud("sail", "SailException", "https://api.sailresearch.com/v1", &["SAIL_API_KEY"], &["SAIL_API_BASE"]),
    cloud("sambanova", "SambanovaException", "https://api.sambanova.ai/v1", &["SAMBANOVA_API_KEY"], &["SAMBANOVA_API_BASE"])
        .old_bound().lacks(&[OPENAI_ONLY, SAMPLING, FUNCTIONS, &["n", "parallel_tool_calls", "seed"]]),
    cloud("sarvam", "SarvamException", "https://api.sarvam.ai/v1", &["SARVAM_API_KEY"], &[]).old_bound(),
    cloud("scaleway", "ScalewayException", "https://api.scaleway.ai/v1", &["SCW_SECRET_KEY"], &[]),
    cloud("scx-ai", "Scx-aiException", "https://api.scx.ai/v1", &["SCX_API_KEY"], &["SCX_API_BASE"]).old_bound(),
    cloud("synthetic", "SyntheticException", "https://api.synthetic.new/openai/v1", &["SYNTHETIC_API_KEY"], &[]).old_bound(),
    cloud("tencent", "TencentException", "https://tokenhub-intl.tencentcloudmaas.com/v1", &["TENCENT_API_KEY"], &["TENCENT_API_BASE"]).old_bound(),
    cloud("tensormesh", "TensormeshException", "https://serverless.tensormesh.ai/v1", &["TENSORMESH_INFERENCE_API_KEY"], &["TENSORMESH_SERVERLESS_BASE_URL"]).old_bound(),
    cloud("text-completion-openai", "Text-completion-openaiException", "https://api.openai.com/v1", &["OPENAI_API_KEY"], &[]).openai_style(),
    cloud("together_ai", "Together_aiException", "https://api.together.ai/v1", &["TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"], &["TOGETHER_AI_API_BASE"]).nearly_strict()
        .old_bound().texts(),
    cloud("v0", "V0Exception", "https://api.v0.dev/v1", &["V0_API_KEY"], &["V0_API_BASE"]),
    cloud("veniceai", "VeniceaiException", "https://api.venice.ai/api/v1", &["VENICE_AI_API_KEY"], &[]),
    cloud("vercel_ai_gateway", "Vercel_ai_gatewayException", "https://ai-gateway.vercel.sh/v1", &["VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"], &["VERCEL_AI_GATEWAY_API_BASE"]).takes_details(),
    server("vllm", "VllmException", &["HOSTED_VLLM_API_KEY"], &["HOSTED_VLLM_API_BASE"]).texts().keeps_thoughts().guides(),
    cloud("volcengine", "VolcengineException", "https://ark.cn-beijing.volces.com/api/v3", &["VOLCENGINE_API_KEY", "ARK_API_KEY"], &["VOLCENGINE_API_BASE"])
        .old_bound().lacks(&[OPENAI_ONLY_BUT_SEARCH, &["parallel_tool_calls"]]),
    cloud("voyage", "VoyageException", "https://api.voyageai.com/v1", &["VOYAGE_API_KEY", "VOYAGE_AI_API_KEY", "VOYAGE_AI_TOKEN"], &["VOYAGE_API_BASE"]).ranks_in_data(),
    cloud("wandb", "WandbException", "https://api.inference.wandb.ai/v1", &["WANDB_API_KEY"], &["WANDB_API_BASE"]),
    cloud("xai", "XaiException", "https://api.x.ai/v1", &["XAI_API_KEY"], &["XAI_API_BASE"]).old_bound().thinkers(GROK).lacks(&[OPENAI_ONLY_BUT_SEARCH, FUNCTIONS]),
    cloud("xiaomi_mimo", "Xiaomi_mimoException", "https://api.xiaomimimo.com/v1", &["XIAOMI_MIMO_API_KEY"], &[]).old_bound().takes_thoughts(),
    open("xinference", "XinferenceException", "http://127.0.0.1:9997/v1", &["XINFERENCE_API_KEY"], &["XINFERENCE_API_BASE"]).texts(),
    cloud("zai", "ZaiException", "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY"], &["ZAI_API_BASE"])
        .old_bound().takes_thoughts().lacks(&[OPENAI_ONLY, SAMPLING, FUNCTIONS, &["n", "parallel_tool_calls", "seed"]]),
];

#[cfg(test)]
mod tests;
