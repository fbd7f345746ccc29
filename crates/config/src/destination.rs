//! Where a deployment's calls go: from `litellm_params.model` and `api_base` to a provider, an
//! upstream name and an address.

use crate::Options;
use crate::words;

/// The provider of names that stand for OpenAI's own models, and of bare names with an address.
const OPENAI: &str = "openai";
const ANTHROPIC: &str = "anthropic";

/// Provider prefixes that LiteLLM knows, sorted; which of them are served is the caller's table.
const KNOWN: &str = "ai21 ai21_chat aiml aiohttp_openai aleph_alpha amazon_nova anthropic \
     anthropic_text anyscale assemblyai azure azure_ai azure_text baseten bedrock \
     bedrock_converse bytez cerebras clarifai cloudflare codestral cohere cohere_chat cometapi \
     compactifai custom_openai dashscope databricks datarobot deepgram deepinfra deepseek \
     docker_model_runner elevenlabs empower fal_ai featherless_ai fireworks_ai friendliai \
     galadriel gemini gigachat github github_copilot gradient_ai groq heroku hosted_vllm \
     huggingface hyperbolic infinity jina_ai lambda_ai langgraph lemonade litellm_proxy llamafile \
     lm_studio maritalk meta_llama minimax mistral moonshot morph nebius nlp_cloud novita nscale \
     nvidia_nim oci ollama ollama_chat oobabooga openai openai_like openrouter ovhcloud \
     perplexity petals predibase publicai recraft replicate runwayml sagemaker sagemaker_chat \
     sambanova snowflake text-completion-codestral text-completion-openai together_ai topaz \
     triton v0 vercel_ai_gateway vertex_ai vertex_ai_beta vllm volcengine voyage wandb watsonx \
     watsonx_text xai xinference zai";

/// Starts of bare names that LiteLLM finds in its price table, and whose they are.
const FAMILIES: &[(&str, &str)] = &[
    ("babbage-", OPENAI),
    ("chatgpt-", OPENAI),
    ("claude-", ANTHROPIC),
    ("codex-", OPENAI),
    ("command-", "cohere_chat"),
    ("computer-use-", OPENAI),
    ("dall-e-", OPENAI),
    ("davinci-", OPENAI),
    ("ft:gpt-", OPENAI),
    ("gemini-", "vertex_ai"),
    ("gpt-", OPENAI),
    ("o1", OPENAI),
    ("o3", OPENAI),
    ("o4", OPENAI),
    ("omni-moderation-", OPENAI),
    ("text-embedding-", OPENAI),
    ("text-moderation-", OPENAI),
    ("tts-1", OPENAI),
    ("whisper-1", OPENAI),
];

/// Variables that stand in for what a deployment leaves out, as in LiteLLM.
struct Standard {
    provider: &'static str,
    key: &'static str,
    bases: &'static [&'static str],
    /// Added to an address that lacks it: the part of the server that speaks OpenAI's dialect.
    path: &'static str,
}

const STANDARDS: &[Standard] = &[
    Standard {
        provider: ANTHROPIC,
        key: "ANTHROPIC_API_KEY",
        bases: &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
        path: "",
    },
    Standard {
        provider: "hosted_vllm",
        key: "HOSTED_VLLM_API_KEY",
        bases: &["HOSTED_VLLM_API_BASE"],
        path: "",
    },
    Standard {
        provider: "ollama",
        key: "OLLAMA_API_KEY",
        bases: &["OLLAMA_API_BASE"],
        path: "/v1",
    },
    Standard {
        provider: "ollama_chat",
        key: "OLLAMA_API_KEY",
        bases: &["OLLAMA_API_BASE"],
        path: "/v1",
    },
    Standard {
        provider: OPENAI,
        key: "OPENAI_API_KEY",
        bases: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        path: "",
    },
];

/// A provider and the model's name there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination<'m> {
    pub(crate) provider: &'m str,
    pub(crate) model: &'m str,
    /// This version speaks the provider's protocol.
    pub(crate) served: bool,
}

/// Reads `litellm_params.model`. `None`: nobody can tell who serves it.
pub(crate) fn of<'m>(
    model: &'m str,
    forced: Option<&'m str>,
    has_base: bool,
    options: &Options,
) -> Option<Destination<'m>> {
    let to = |provider, model| Destination { provider, model, served: served(provider, options) };
    if let Some(provider) = forced {
        let prefix = model.split_once('/').filter(|(prefix, _)| *prefix == provider);
        return Some(to(provider, prefix.map_or(model, |(_, rest)| rest)));
    }
    let prefixed = model.split_once('/').filter(|(prefix, _)| is_known(prefix, options));
    if let Some((provider, rest)) = prefixed {
        return Some(to(provider, rest)).filter(|to| !to.model.is_empty());
    }
    if has_base {
        return Some(to(OPENAI, model));
    }
    let family = FAMILIES.iter().find(|(start, _)| model.starts_with(start));
    let provider = family.map(|(_, provider)| *provider).or((model == "*").then_some(OPENAI));
    provider.map(|provider| to(provider, model))
}

/// The provider prefix that `model` probably means.
pub(crate) fn suggestion(model: &str, options: &Options) -> Option<String> {
    let (prefix, rest) = model.split_once('/')?;
    let known = options.providers.iter().map(|(known, _)| *known).chain(KNOWN.split_whitespace());
    words::nearest(prefix, known).map(|near| format!("{near}/{rest}"))
}

/// The address that is called below: `written`, else the variable that LiteLLM takes, else the
/// provider's own. Without a slash at its end.
pub(crate) fn base<'a>(
    provider: &str,
    written: Option<&str>,
    environment: impl Fn(&str) -> Option<&'a str>,
    options: &Options,
) -> Option<String> {
    let standard = standard(provider);
    let from_environment = || {
        let mut bases = standard.into_iter().flat_map(|standard| standard.bases);
        bases.find_map(|name| environment(name)).filter(|base| !base.is_empty())
    };
    let own = || options.providers.iter().find(|(known, _)| *known == provider)?.1;
    let base = written.or_else(from_environment).or_else(own)?.trim().trim_end_matches('/');
    let path = standard.map_or("", |standard| standard.path);
    Some(if base.ends_with(path) { base.to_owned() } else { format!("{base}{path}") })
}

/// The variable that holds the provider's key when a deployment has none. OpenAI's key goes to
/// OpenAI only: an address of one's own gets the key that stands beside it.
pub(crate) fn key_variable(provider: &str, has_base: bool) -> Option<&'static str> {
    standard(provider).filter(|_| provider != OPENAI || !has_base).map(|standard| standard.key)
}

/// True if the provider refuses calls without a key.
pub(crate) fn needs_key(provider: &str, has_base: bool) -> bool {
    matches!(provider, OPENAI | ANTHROPIC) && !has_base
}

fn standard(provider: &str) -> Option<&'static Standard> {
    STANDARDS.iter().find(|standard| standard.provider == provider)
}

fn served(provider: &str, options: &Options) -> bool {
    options.providers.iter().any(|(known, _)| *known == provider)
}

fn is_known(prefix: &str, options: &Options) -> bool {
    served(prefix, options) || KNOWN.split_whitespace().any(|known| known == prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let openai = ("openai", Some("https://api.openai.com/v1"));
        let ollama = ("ollama", Some("http://localhost:11434"));
        Options { strict: false, providers: vec![("hosted_vllm", None), ollama, openai] }
    }

    #[test]
    fn the_provider_is_told_from_the_name_and_the_address() {
        let cases = [
            ("openai/org/model", false, Some(("openai", "org/model", true))),
            ("hosted_vllm/qwen", true, Some(("hosted_vllm", "qwen", true))),
            ("anthropic/claude", false, Some(("anthropic", "claude", false))),
            ("Qwen/Qwen3", true, Some(("openai", "Qwen/Qwen3", true))),
            ("llama", true, Some(("openai", "llama", true))),
            ("gpt-4o-mini", false, Some(("openai", "gpt-4o-mini", true))),
            ("claude-3-5-haiku", false, Some(("anthropic", "claude-3-5-haiku", false))),
            ("Qwen/Qwen3", false, None),
            ("llama", false, None),
            ("openai/", false, None),
        ];
        for (model, has_base, expected) in cases {
            let to = of(model, None, has_base, &options());
            let to = to.map(|to| (to.provider, to.model, to.served));
            assert_eq!(to, expected, "{model}");
        }
        let forced = of("openai/x", Some("openai"), false, &options()).expect("forced");
        assert_eq!(forced.model, "x");
    }

    #[test]
    fn the_address_is_the_one_that_is_called() {
        let variable = |name: &str| (name == "HOSTED_VLLM_API_BASE").then_some("http://v/v1/");
        let base = |provider, written| base(provider, written, variable, &options());
        assert_eq!(base("openai", None).as_deref(), Some("https://api.openai.com/v1"));
        assert_eq!(base("ollama", None).as_deref(), Some("http://localhost:11434/v1"));
        assert_eq!(base("ollama", Some("http://o/v1/")).as_deref(), Some("http://o/v1"));
        assert_eq!(base("hosted_vllm", None).as_deref(), Some("http://v/v1"));
        assert_eq!(base("openai", Some("http://x/")).as_deref(), Some("http://x"));
    }

    #[test]
    fn openais_key_is_not_sent_to_other_addresses() {
        assert_eq!(key_variable("openai", false), Some("OPENAI_API_KEY"));
        assert_eq!(key_variable("openai", true), None);
        assert_eq!(key_variable("ollama", true), Some("OLLAMA_API_KEY"));
    }
}
