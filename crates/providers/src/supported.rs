//! The parameters of a chat that a model takes, by OpenAI's names, for clients that ask for them.

use dunlin_llm::Target;

use crate::params::{OPENAIS, Params};

/// Of what OpenAI's chats have, what no client turns, or only Azure has.
const NO_PARAMS: &[&str] =
    &["data_sources", "enhancements", "messages", "metadata", "model", "moderation"];
/// What the gateway carries out itself, whoever answers.
const CARRIED_OUT: &[&str] = &["extra_headers", "max_retries"];
/// What every chat may say beside that: it is said in the provider's words.
const SAID_TO_ALL: &[&str] =
    &["max_completion_tokens", "max_tokens", "stream", "stream_options", "user"];
/// What comes with tools, in the words of OpenAI's first API for them.
const WITH_TOOLS: &[&str] = &["function_call", "functions"];
/// What comes with reasoning, in Anthropic's words.
const WITH_REASONING: &[&str] = &["thinking"];

/// What the provider of that id takes for the model of `to`, sorted; of one that nobody knows, all
/// that OpenAI's chats have.
#[must_use]
pub fn supported_params(provider: &str, to: &Target) -> Vec<&'static str> {
    let params = crate::find(provider).map_or(Params::All, |found| found.params(to));
    let mut all: Vec<&'static str> = match params {
        Params::Only(names) => {
            let with = |has: &str, more: &'static [&'static str]| {
                if names.contains(&has) { more } else { &[] }
            };
            let tools = with("tools", WITH_TOOLS);
            let reasoning = with("reasoning_effort", WITH_REASONING);
            names.iter().chain(SAID_TO_ALL).chain(tools).chain(reasoning).copied().collect()
        }
        Params::All | Params::AllBut(_) => {
            let openais = OPENAIS.iter().copied();
            openais.filter(|param| !NO_PARAMS.contains(param) && params.has(param)).collect()
        }
    };
    all.extend(CARRIED_OUT);
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_takes_what_its_provider_has_and_what_is_carried_out_here() {
        let supported = |provider: &str, model: &str| {
            let to = Target { model: model.into(), ..Target::default() };
            supported_params(provider, &to)
        };
        for (provider, model, has, lacks) in [
            ("openai", "gpt-4o", &["functions", "logprobs", "store", "verbosity"][..], "thinking"),
            ("openai", "gpt-5", &["reasoning_effort", "tools"], "temperature"),
            ("anthropic", "claude-sonnet-4-5", &["functions", "thinking", "top_k"], "logprobs"),
            ("anthropic", "claude-3-haiku-20240307", &["functions"], "thinking"),
            ("gemini", "gemini-2.5-pro", &["reasoning_effort", "seed"], "logit_bias"),
            ("cohere", "command-a-03-2025", &["seed", "tools"], "n"),
            ("nobodys", "m", &["n", "seed"], "messages"),
        ] {
            let all = supported(provider, model);
            assert!(all.is_sorted(), "{provider} {model}: {all:?}");
            let always = ["extra_headers", "max_retries", "max_tokens", "stream", "user"];
            for param in has.iter().chain(&always) {
                assert!(all.contains(param), "{provider} {model} {param}: {all:?}");
            }
            assert!(!all.contains(&lacks), "{provider} {model}: {all:?}");
        }
    }
}
