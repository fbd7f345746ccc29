//! Which parameters of a chat a provider is sent: those it has, or a refusal that names the others.

use bytes::Bytes;
use dunlin_llm::anthropic::{self, Abilities};
use dunlin_llm::form::{Chat, Embed, Json, NameRule, ToolChoice};
use dunlin_llm::{ChatRequest, Dialect, Endpoint, ParamRules, Target, Word, edit};
use serde_json::{Map, Number};

use crate::{EncodeError, Provider, foreign, hosted};

/// OpenAI's names of the parameters that a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Params {
    /// All, for who knows what a compatible server takes.
    All,
    /// These and no others.
    Only(&'static [&'static str]),
    /// All but those in one of the lists.
    AllBut(&'static [&'static [&'static str]]),
}

/// What hardly anyone but OpenAI has.
pub(crate) const OPENAI_ONLY: &[&str] = &[
    "audio",
    "modalities",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "verbosity",
    "web_search_options",
];

/// What only an API of plain completions can do, and no chat.
pub(crate) const COMPLETIONS_ONLY: &[&str] = &["best_of", "echo", "suffix"];

/// All that OpenAI's chats have, and Azure's beside it; sorted.
pub(crate) const OPENAIS: &[&str] = &[
    "audio",
    "data_sources",
    "enhancements",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// What a client of another dialect may say of every model, as Claude Code says how hard to think: a
/// model that does not have it answers without it. So it does without what only that dialect knows.
const SOFT: &[&str] = &["parallel_tool_calls", "reasoning_effort", "service_tier", "top_k"];

impl Params {
    /// Whether this is one of them.
    #[must_use]
    pub fn has(self, param: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&param),
            Self::AllBut(lists) => !lists.iter().any(|names| names.contains(&param)),
        }
    }
}

/// What every body has in it that wants an answer in JSON, but for Google's.
static FORMAT: Word = Word::new(br#"format""#);

/// Whether the answer to `request` is to come as the call of a tool, from a model of such abilities.
pub(crate) fn answers_by_tool(
    provider: &dyn Provider,
    request: &ChatRequest,
    to: &Target,
    abilities: Abilities,
) -> bool {
    let may = request.endpoint().dialect() == Dialect::Gemini
        || !to.body_defaults.is_empty()
        || request.mentions(&FORMAT);
    let chat = may.then(|| form(provider, request, to).ok()).flatten();
    chat.is_some_and(|chat| anthropic::answers_by_tool(&chat, abilities))
}

/// The request in the common form, with the deployment's defaults, without what is dropped.
///
/// # Errors
/// The body cannot be read, or it has parameters that the provider does not have and that are not
/// to be dropped.
pub(crate) fn form(
    provider: &dyn Provider,
    request: &ChatRequest,
    to: &Target,
) -> Result<Chat, EncodeError> {
    let rules = rules(request, to);
    let mut chat = request.form_without(&rules.always_drop, &to.body_defaults)?;
    for path in &rules.always_drop {
        chat.forget(path);
    }
    if provider.dialect(to) != Some(Dialect::Responses) {
        chat.forget_openais_thoughts();
    }
    if provider.dialect(to) == Some(Dialect::Gemini) {
        chat.forget_claudes_seals();
    }
    if !provider.takes_details() {
        chat.forget_details();
    }
    hosted::fit(provider, &mut chat, to)?;
    foreign::fit(provider, request, &mut chat, (to, &rules))?;
    if !provider.restricts_tools(&chat, to) {
        chat.leave_allowed();
    }
    free_choice(provider, &mut chat, to, &rules)?;
    // Only Google's models are shown again what they drew.
    if provider.dialect(to) != Some(Dialect::Gemini) {
        chat.show_answers_beside();
    }
    // To call as the model likes is what all do anyway, and one call all that one tool may come to.
    let knows_parallel = provider.params(to).has("parallel_tool_calls");
    let are_few = chat.tools.len() <= 1;
    chat.parallel_tool_calls =
        chat.parallel_tool_calls.filter(|may| knows_parallel || !(*may || are_few));
    let is_foreign = request.endpoint().dialect() != Dialect::OpenAi;
    let is_other = |param: &str| chat.other.iter().any(|(name, _)| name == param);
    // What is so anyway can be said to everyone.
    let says = |said| chat.other.iter().any(|(name, value)| (&**name, value.text()) == said);
    let is_usual = |param: &str| match param {
        "temperature" => is_one(chat.temperature.as_ref()),
        "top_logprobs" => chat.top_logprobs == Some(0),
        "best_of" => says(("best_of", "1")),
        "echo" => says(("echo", "false")),
        _ => false,
    };
    // Of `functions`, which have no word for it, at most one is called.
    let is_implied = |param: &str| {
        param == "parallel_tool_calls" && edit::member(request.text_as_bytes(), param).is_none()
    };
    let is_soft =
        |param: &&str| is_foreign && (SOFT.contains(param) || is_other(param)) || is_implied(param);
    let (soft, said): (Vec<&str>, Vec<&str>) =
        chat.params().into_iter().filter(|param| !is_usual(param)).partition(is_soft);
    let forced = forced(provider, &said, (request, to), &rules);
    let mut unsupported = unsupported(provider, said, to, &rules)?;
    let soft = soft.into_iter().filter(|param| !provider.params(to).has(param));
    unsupported.extend(soft.map(str::to_owned));
    for param in &unsupported {
        chat.forget(param);
    }
    chat.extra.extend(forced);
    if rules.mend && provider.is_strict(&to.model) {
        chat.mend();
        if !Abilities::of(&to.model).goes_on() {
            chat.hand_over();
        }
    }
    chat.mark(&to.cache_points);
    chat.fit_names(tool_names(provider.dialect(to)));
    Ok(chat)
}

/// What a tool may be called. Claude takes the longest names, Google signs that others do not; what a
/// compatible server takes is what OpenAI does.
pub(crate) fn tool_names(dialect: Option<Dialect>) -> NameRule {
    let plain = NameRule { most: 64, signs: "", begins_with_letter: false };
    match dialect {
        Some(Dialect::Anthropic) => NameRule { most: 128, ..plain },
        Some(Dialect::Gemini) => NameRule { signs: ".:", begins_with_letter: true, ..plain },
        Some(Dialect::OpenAi | Dialect::Responses) | None => plain,
    }
}

/// Lets a model call as it likes that cannot be made to call a tool.
fn free_choice(
    provider: &dyn Provider,
    chat: &mut Chat,
    to: &Target,
    rules: &ParamRules,
) -> Result<(), EncodeError> {
    let is_forced = match &chat.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Hosted(_)) => true,
        Some(ToolChoice::Auto | ToolChoice::None) | None => false,
    };
    if !is_forced || provider.forces_calls(to) {
        return Ok(());
    }
    if !rules.drop_unsupported {
        let (provider, model) = (provider.id(), to.model.to_string());
        let params = vec!["tool_choice".to_owned()];
        return Err(EncodeError::UnsupportedParams { provider, params, model });
    }
    chat.tool_choice = None;
    Ok(())
}

/// The request for vectors in the common form, without what is dropped.
///
/// # Errors
/// The body cannot be read.
pub(crate) fn embed(request: &ChatRequest, to: &Target) -> Result<Embed, EncodeError> {
    let mut embed = request.embed_with(&to.body_defaults)?;
    for path in &rules(request, to).always_drop {
        match &**path {
            "dimensions" => embed.dimensions = None,
            "user" => embed.user = None,
            name => embed.other.retain(|(other, _)| other != name),
        }
    }
    Ok(embed)
}

/// The body for a provider of the client's dialect that calls the model `model`, with the
/// deployment's defaults, without what is dropped. Untouched where nothing is.
///
/// # Errors
/// As in [`form`].
pub(crate) fn bytes(
    provider: &dyn Provider,
    request: &ChatRequest,
    to: &Target,
    model: &str,
) -> Result<Bytes, EncodeError> {
    let rules = rules(request, to);
    let body = request.encode_for(model, &to.body_defaults);
    let body = edit::without(body, &rules.always_drop);
    if provider.params(to) == Params::All || request.endpoint() != Endpoint::ChatCompletions {
        return Ok(body);
    }
    let said = edit::names(&body);
    // One answer is what is given anyway; LangChain always asks for it.
    let temperature = || edit::member(&body, "temperature").and_then(|text| text.parse().ok());
    let is_usual = |name: &str| match name {
        "n" => request.choices() == 1,
        "temperature" => is_one(temperature().as_ref()),
        name => edit::member(&body, name) == Some("null"),
    };
    let said = said.iter().map(String::as_str).filter(|name| !is_usual(name));
    let unsupported = unsupported(provider, said.collect(), to, &rules)?;
    Ok(edit::without(body, &unsupported))
}

/// `body`, for who knows only OpenAI's words: with `drop_params`, without those of the client's that
/// would be refused, such as `top_k`. What the deployment adds is its operator's to know.
pub(crate) fn without_unknown(body: Bytes, request: &ChatRequest, to: &Target) -> Bytes {
    let rules = rules(request, to);
    if !rules.drop_unsupported {
        return body;
    }
    let mut unknown = edit::names(&body);
    unknown.retain(|name| {
        let is_default = to.body_defaults.iter().any(|(default, _)| **default == **name);
        !is_default && !is_openais(name, &rules)
    });
    edit::without(body, &unknown)
}

/// Whether a parameter is one of OpenAI's chats, or is to be passed whatever it is.
pub(crate) fn is_openais(name: &str, rules: &ParamRules) -> bool {
    OPENAIS.binary_search(&name).is_ok() || rules.allow.iter().any(|allow| **allow == *name)
}

fn is_one(number: Option<&Number>) -> bool {
    number.and_then(Number::as_f64) == Some(1.0)
}

/// The deployment's rules and the client's own.
pub(crate) fn rules(request: &ChatRequest, to: &Target) -> ParamRules {
    let (mut rules, wishes) = (to.params.clone(), request.extras());
    rules.drop_unsupported |= wishes.drop_params;
    rules.always_drop.extend(wishes.additional_drop_params.iter().map(|path| path.as_str().into()));
    rules.allow.extend(wishes.allowed_openai_params.iter().map(|name| name.as_str().into()));
    rules
}

/// Those of `said` that a provider of another dialect does not have and is sent all the same, because
/// it is said to: among its own fields, as they came. Google's for an answer have a place of their own.
fn forced(
    provider: &dyn Provider,
    said: &[&str],
    (request, to): (&ChatRequest, &Target),
    rules: &ParamRules,
) -> Vec<(String, Json)> {
    let dialect = provider.dialect(to);
    if dialect == Some(Dialect::OpenAi) || request.endpoint().dialect() != Dialect::OpenAi {
        return Vec::new();
    }
    let allowed = |param: &str| rules.allow.iter().any(|allow| **allow == *param);
    let params = provider.params(to);
    let forced = said.iter().filter(|param| allowed(param) && !params.has(param));
    let default = |param: &str| to.body_defaults.iter().find(|(name, _)| **name == *param);
    let value = |param: &str| {
        let said = edit::member(request.text_as_bytes(), param);
        Json::parse(said.or_else(|| default(param).map(|(_, value)| &**value))?).ok()
    };
    let valued = forced.filter_map(|param| Some(((*param).to_owned(), value(param)?)));
    if dialect == Some(Dialect::Gemini) {
        let config = valued.map(|(name, value)| (name, value.value())).collect::<Map<_, _>>();
        let config = (!config.is_empty()).then(|| Json::of(&config));
        return config.map(|config| ("generationConfig".to_owned(), config)).into_iter().collect();
    }
    valued.collect()
}

/// Those of `said` that are to be dropped.
fn unsupported(
    provider: &dyn Provider,
    said: Vec<&str>,
    to: &Target,
    rules: &ParamRules,
) -> Result<Vec<String>, EncodeError> {
    let params = provider.params(to);
    let allowed = |param: &str| rules.allow.iter().any(|allow| **allow == *param);
    let said = said.into_iter().filter(|param| !params.has(param) && !allowed(param));
    let unsupported: Vec<String> = said.map(str::to_owned).collect();
    if unsupported.is_empty() || rules.drop_unsupported {
        return Ok(unsupported);
    }
    let (provider, model) = (provider.id(), to.model.to_string());
    Err(EncodeError::UnsupportedParams { provider, params: unsupported, model })
}

#[cfg(test)]
mod tests {
    use dunlin_llm::parse;

    use super::*;
    use crate::find;

    #[test]
    fn the_table_can_be_searched() {
        assert!(OPENAIS.is_sorted());
    }

    #[test]
    fn a_chat_is_asked_for_nothing_that_only_plain_completions_can_do() {
        for name in ["anthropic", "bedrock", "cohere", "gemini"] {
            let provider = find(name).unwrap();
            let asked = |said: &str| {
                let body = format!(r#"{{"model":"m","prompt":"p",{said}}}"#);
                let request = parse(Endpoint::Completions, body.into(), None).unwrap();
                let to = Target { model: "m".into(), ..Target::default() };
                form(provider, &request, &to).map(drop)
            };
            for said in [r#""echo":true"#, r#""suffix":"x""#] {
                let refused = asked(said).expect_err(name);
                assert!(
                    matches!(refused, EncodeError::UnsupportedParams { .. }),
                    "{name} {said}: {refused}"
                );
            }
            for said in [r#""echo":false"#, r#""best_of":1"#, r#""max_tokens":3"#] {
                assert!(asked(said).is_ok(), "{name}: {said}");
            }
        }
    }
}
