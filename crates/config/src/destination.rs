//! Where a deployment's calls go: from `litellm_params.model` and `api_base` to a provider, an
//! upstream name and an address.

use http::Uri;

use crate::diagnostic::{Code, Diagnostic, Place};
use crate::words;
use crate::{Options, Provider};

/// The provider of names that stand for OpenAI's own models, and of bare names with an address.
pub(crate) const OPENAI: &str = "openai";
const ANTHROPIC: &str = "anthropic";
/// What says before a model's name that it is asked for responses, and of whose models it does.
const RESPONSES: &str = "responses/";
const ROUTED: [&str; 2] = ["azure", OPENAI];

/// Starts of bare names that LiteLLM finds in its price table, and whose they are.
pub(crate) const FAMILIES: &[(&str, &str)] = &[
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

/// Organizations whose names are near a provider's without beginning with it, sorted.
const ORGANIZATIONS: &[&str] = &[
    "Cerebras",
    "Cohere",
    "Databricks",
    "Groq",
    "Hyperbolic",
    "MiniMax",
    "Nebius",
    "Novita",
    "Replicate",
    "SambaNova",
    "Snowflake",
    "fireworks-ai",
    "gradientai",
    "jinaai",
    "meta-llama",
    "naver",
    "x-ai",
    "z-ai",
];

/// A provider and the model's name there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination<'m> {
    pub(crate) provider: &'m str,
    pub(crate) model: &'m str,
    /// Why this version does not serve the provider.
    pub(crate) unserved: Option<&'static str>,
    /// `openai/responses/...`: it is asked for responses.
    pub(crate) responses: bool,
}

/// Reads `litellm_params.model`. `None`: nobody can tell who serves it, the provider that is `forced`
/// is not known, or the one that is written looks like a slip of a known one.
pub(crate) fn of<'m>(
    model: &'m str,
    forced: Option<&'m str>,
    has_base: bool,
    options: &Options,
) -> Option<Destination<'m>> {
    let to = |provider: &'m str, model: &'m str| {
        let route = ROUTED.contains(&provider).then(|| model.strip_prefix(RESPONSES)).flatten();
        let unserved = reason(provider, options);
        let responses = route.is_some();
        Destination { provider, model: route.unwrap_or(model), unserved, responses }
    };
    if let Some(provider) = forced {
        if !is_known(provider, options) {
            return None;
        }
        let prefix = model.split_once('/').filter(|(prefix, _)| *prefix == provider);
        return Some(to(provider, prefix.map_or(model, |(_, rest)| rest)));
    }
    let prefixed = model.split_once('/').filter(|(prefix, _)| is_known(prefix, options));
    if let Some((provider, rest)) = prefixed {
        return Some(to(provider, rest)).filter(|to| !to.model.is_empty());
    }
    if has_base {
        return Some(to(OPENAI, model)).filter(|_| !is_slip(model, options));
    }
    let family = FAMILIES.iter().find(|(start, _)| model.starts_with(start));
    family.map(|(_, provider)| to(provider, model))
}

/// Whether `model`, which goes to an address of its own, begins with a provider's name mistyped rather
/// than with an organization, as the names of open models do.
fn is_slip(model: &str, options: &Options) -> bool {
    let Some((prefix, _)) = model.split_once('/') else { return false };
    let longer = |near: &str| {
        let start = prefix.get(..near.len()).filter(|_| prefix.len() > near.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(near))
    };
    let is_organization = ORGANIZATIONS.contains(&prefix) || known(options).any(longer);
    !is_organization && words::nearest(prefix, known(options)).is_some()
}

/// What is said, at `place`, where [`of`] finds nobody.
pub(crate) fn unclear(
    model: &str,
    forced: Option<&str>,
    has_base: bool,
    place: Place,
    options: &Options,
) -> Diagnostic {
    let mistyped = has_base && forced.is_none() && is_slip(model, options);
    let message = match (forced, model.split_once('/').filter(|_| mistyped)) {
        (Some(forced), _) => format!("custom_llm_provider `{forced}` is not known"),
        (None, Some((prefix, _))) => format!("provider `{prefix}` of `{model}` is not known"),
        (None, None) => format!("it is not clear which provider serves `{model}`"),
    };
    let near = match forced {
        Some(forced) => words::nearest(forced, known(options)).map(str::to_owned),
        None => suggestion(model, options),
    };
    let label = near.as_ref().map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
    let way = match near.filter(|_| mistyped) {
        Some(near) => format!(
            "write `{near}`; or, if the server at api_base calls its model so, `openai/{model}`"
        ),
        None => "write the provider first, as in openai/<name>, or add an api_base".to_owned(),
    };
    let providers = format!("providers: {}", served(options));
    Diagnostic::error(Code::NoProvider, message).at(place, label).note(way).note(providers)
}

/// The provider prefix that `model` probably means.
fn suggestion(model: &str, options: &Options) -> Option<String> {
    let (prefix, rest) = model.split_once('/')?;
    words::nearest(prefix, known(options)).map(|near| format!("{near}/{rest}"))
}

/// The names of all providers that are served, for people.
fn served(options: &Options) -> String {
    let mut names: Vec<&str> = options.providers.iter().map(|provider| provider.id).collect();
    names.sort_unstable();
    names.join(", ")
}

/// The address that is called below: `written`, else a variable that LiteLLM takes, else the
/// provider's own. Without a slash at its end.
pub(crate) fn base<'a>(
    provider: &str,
    written: Option<&'a str>,
    environment: impl Fn(&str) -> Option<&'a str>,
    options: &Options,
) -> Option<String> {
    let provider = of_id(provider, options)?;
    let mut variables = provider.base_variables.iter();
    let from_environment =
        || variables.find_map(|name| environment(name).filter(|base| !base.is_empty()));
    let base = written.or_else(from_environment).or(provider.default_base)?;
    Some(base.trim().trim_end_matches('/').to_owned())
}

/// The variables that may hold the provider's key when a deployment has none. OpenAI's key goes to
/// OpenAI only: an address of one's own gets the key that stands beside it.
pub(crate) fn key_variables(
    provider: &str,
    has_base: bool,
    options: &Options,
) -> &'static [&'static str] {
    let own = of_id(provider, options).filter(|provider| provider.id != OPENAI || !has_base);
    own.map_or(&[], |provider| provider.key_variables)
}

/// True if the provider refuses calls without a key.
pub(crate) fn needs_key(provider: &str, has_base: bool, options: &Options) -> bool {
    !has_base && of_id(provider, options).is_some_and(|provider| provider.needs_key)
}

fn of_id<'o>(id: &str, options: &'o Options) -> Option<&'o Provider> {
    options.providers.iter().find(|provider| provider.id == id)
}

fn reason(id: &str, options: &Options) -> Option<&'static str> {
    let unserved = options.unserved.iter().find(|(known, _)| *known == id);
    unserved.map(|(_, reason)| *reason).filter(|_| of_id(id, options).is_none())
}

fn known(options: &Options) -> impl Iterator<Item = &str> {
    let served = options.providers.iter().map(|provider| provider.id);
    served.chain(options.unserved.iter().map(|(known, _)| *known))
}

fn is_known(prefix: &str, options: &Options) -> bool {
    known(options).any(|known| known == prefix)
}

/// Whether paths can be added to it, and the result be called.
pub(crate) fn callable(base: &str) -> Result<(), &'static str> {
    let uri: Uri = base.parse().map_err(|_| "it is not a URL")?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) | None => return Err("it must begin with http:// or https://"),
    }
    if uri.host().unwrap_or_default().is_empty() {
        return Err("it has no host");
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let behind_host = authority.rsplit(['@', ']']).next().unwrap_or_default();
    let port = behind_host.split_once(':').map(|(_, port)| port).filter(|port| !port.is_empty());
    if port.is_some() && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is not a number from 1 to 65535");
    }
    if uri.query().is_some() {
        return Err("it has a query, and paths are added to it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let provider = |id, default_base| Provider { id, default_base, ..Provider::default() };
        let openai = Provider {
            key_variables: &["OPENAI_API_KEY"],
            needs_key: true,
            ..provider("openai", Some("https://api.openai.com/v1"))
        };
        let ollama = Provider {
            key_variables: &["OLLAMA_API_KEY"],
            ..provider("ollama", Some("http://localhost:11434"))
        };
        let vllm = Provider {
            base_variables: &["NOT_SET", "HOSTED_VLLM_API_BASE"],
            ..provider("hosted_vllm", None)
        };
        let unserved = &[("anthropic", "why")];
        Options {
            strict: false,
            providers: vec![vllm, ollama, openai],
            unserved,
            ..Options::default()
        }
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
            let to = to.map(|to| (to.provider, to.model, to.unserved.is_none()));
            assert_eq!(to, expected, "{model}");
        }
        let routed = of("openai/responses/gpt-4.1", None, false, &options()).expect("known");
        assert_eq!((routed.model, routed.responses), ("gpt-4.1", true));
        let other = of("hosted_vllm/responses/x", None, true, &options()).expect("known");
        assert_eq!((other.model, other.responses), ("responses/x", false));
        let forced = of("openai/x", Some("openai"), false, &options()).expect("forced");
        assert_eq!(forced.model, "x");
        assert_eq!(of("x", Some("opanai"), true, &options()), None, "nobody knows it");
    }

    #[test]
    fn an_address_that_nobody_can_connect_to_is_not_called() {
        for base in
            ["http://h", "http://h:8000/v1", "https://[::1]:443", "http://u:p@h:1", "http://h:"]
        {
            assert_eq!(callable(base), Ok(()), "{base}");
        }
        for base in ["http://h:0/v1", "http://h:99999/v1", "http://[::1]:0", "http://u:p@h:70000"] {
            assert_eq!(callable(base), Err("its port is not a number from 1 to 65535"), "{base}");
        }
        for base in ["h:8000", "ftp://h", "http://", "http://h?x=1"] {
            assert!(callable(base).is_err(), "{base}");
        }
    }

    #[test]
    fn a_mistyped_provider_is_no_organization() {
        let known =
            ["deepseek", "groq", "hosted_vllm", "jina_ai", "meta_llama", "mistral", "openai"];
        let provider = |id| Provider { id, ..Provider::default() };
        let options = Options { providers: known.map(provider).into(), ..options() };
        let provider = |model| of(model, None, true, &options).map(|to| to.provider);
        for slip in ["hosted_vlm/x", "hosted-vllm/x", "antropic/x", "opanai/org/x", "Openai/x"] {
            assert_eq!(provider(slip), None, "{slip}");
        }
        let organizations =
            ["mistralai/x", "deepseek-ai/x", "meta-llama/x", "jinaai/x", "Groq/x", "MistralAI/x"];
        for model in organizations.into_iter().chain(["openai/hosted_vlm/x", "hosted_vlm", "qwen"])
        {
            assert_eq!(provider(model), Some(OPENAI), "{model}");
        }
        assert!(ORGANIZATIONS.is_sorted());
    }

    #[test]
    fn the_address_is_the_one_that_is_called() {
        let variable = |name: &str| (name == "HOSTED_VLLM_API_BASE").then_some("http://v/v1/");
        let base = |provider, written| base(provider, written, variable, &options());
        assert_eq!(base("openai", None).as_deref(), Some("https://api.openai.com/v1"));
        assert_eq!(base("ollama", None).as_deref(), Some("http://localhost:11434"));
        assert_eq!(base("ollama", Some("http://o/v1/")).as_deref(), Some("http://o/v1"));
        assert_eq!(base("hosted_vllm", None).as_deref(), Some("http://v/v1"));
        assert_eq!(base("openai", Some("http://x/")).as_deref(), Some("http://x"));
    }

    #[test]
    fn openais_key_is_not_sent_to_other_addresses() {
        let variables = |provider, has_base| key_variables(provider, has_base, &options());
        assert_eq!(variables("openai", false), ["OPENAI_API_KEY"]);
        assert!(variables("openai", true).is_empty());
        assert_eq!(variables("ollama", true), ["OLLAMA_API_KEY"]);
        let needs = |provider, has_base| needs_key(provider, has_base, &options());
        assert!(needs("openai", false) && !needs("openai", true) && !needs("ollama", false));
    }
}
