//! Which model is counted how.

use tiktoken_rs::CoreBPE;

/// The encodings that are compiled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    O200k,
    Cl100k,
    P50k,
    R50k,
}

/// How a model's tokens are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Family {
    pub(crate) encoding: Encoding,
    /// Tokens of the model for tokens of the encoding.
    pub(crate) ratio: (u64, u64),
    pub(crate) name: &'static str,
    pub(crate) exact: bool,
}

/// Starts of names whose encoding `OpenAI` publishes (`tiktoken/model.py`). The first that fits.
const OPENAI: &[(&str, Encoding)] = &[
    ("o1", Encoding::O200k),
    ("o3", Encoding::O200k),
    ("o4", Encoding::O200k),
    ("gpt-5", Encoding::O200k),
    ("gpt-4.5", Encoding::O200k),
    ("gpt-4.1", Encoding::O200k),
    ("gpt-4o", Encoding::O200k),
    ("chatgpt-4o", Encoding::O200k),
    ("codex-mini", Encoding::O200k),
    ("gpt-oss", Encoding::O200k),
    ("gpt-4", Encoding::Cl100k),
    ("gpt-3.5", Encoding::Cl100k),
    ("gpt-35", Encoding::Cl100k),
    ("text-embedding-3", Encoding::Cl100k),
    ("text-embedding-ada-002", Encoding::Cl100k),
    ("davinci-002", Encoding::Cl100k),
    ("babbage-002", Encoding::Cl100k),
    ("text-davinci-003", Encoding::P50k),
    ("text-davinci-002", Encoding::P50k),
    ("code-", Encoding::P50k),
    ("text-", Encoding::R50k),
    ("davinci", Encoding::R50k),
    ("curie", Encoding::R50k),
    ("babbage", Encoding::R50k),
    ("ada", Encoding::R50k),
];

/// Models of other makers, whose tokenizers are not here: an encoding and what its tokens are taken
/// times. `OpenAI` documents 4 characters of English a token; Anthropic 3.5; Google 4 for Gemini;
/// `DeepSeek` 0.3 tokens a character. Llama's and Qwen's vocabularies grew out of cl100k's.
const OTHERS: &[(&str, Family)] = &[
    ("claude", estimate(Encoding::Cl100k, (8, 7), "cl100k_base*8/7")),
    ("deepseek", estimate(Encoding::Cl100k, (6, 5), "cl100k_base*6/5")),
    ("gemini", estimate(Encoding::O200k, (1, 1), "o200k_base")),
    ("gemma", estimate(Encoding::O200k, (1, 1), "o200k_base")),
    ("gpt", estimate(Encoding::O200k, (1, 1), "o200k_base")),
    ("codex", estimate(Encoding::O200k, (1, 1), "o200k_base")),
];

/// Llama, Qwen, Mistral and all that nobody knows.
const UNKNOWN: Family = estimate(Encoding::Cl100k, (1, 1), "cl100k_base");

const fn estimate(encoding: Encoding, ratio: (u64, u64), name: &'static str) -> Family {
    Family { encoding, ratio, name, exact: false }
}

impl Family {
    /// By a model's name, with or without its provider in front.
    pub(crate) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        if let Some((_, encoding)) = OPENAI.iter().find(|(start, _)| begins(name, start)) {
            let encoding = *encoding;
            return Self { encoding, ratio: (1, 1), name: encoding.name(), exact: true };
        }
        // Bedrock and others put a region and a maker in front.
        let other = OTHERS.iter().find(|(word, _)| name.contains(word));
        other.map_or(UNKNOWN, |(_, family)| *family)
    }
}

/// True for the model itself and its versions, but not for another whose name goes on: `o1-mini`
/// is of `o1`, `o100` is not.
fn begins(name: &str, start: &str) -> bool {
    let ends_in_digit = start.ends_with(|c: char| c.is_ascii_digit());
    name.strip_prefix(start)
        .is_some_and(|rest| !(ends_in_digit && rest.starts_with(|c: char| c.is_ascii_digit())))
}

impl Encoding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
            Self::P50k => "p50k_base",
            Self::R50k => "r50k_base",
        }
    }

    /// Takes a quarter of a second and some 26 MB for the largest.
    pub(crate) fn load(self) -> Result<CoreBPE, String> {
        let loaded = match self {
            Self::O200k => tiktoken_rs::o200k_base(),
            Self::Cl100k => tiktoken_rs::cl100k_base(),
            Self::P50k => tiktoken_rs::p50k_base(),
            Self::R50k => tiktoken_rs::r50k_base(),
        };
        loaded.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_counted_by_its_makers_encoding() {
        let cases = [
            ("gpt-4o", "o200k_base", true),
            ("azure/gpt-4o-mini", "o200k_base", true),
            ("gpt-5.2", "o200k_base", true),
            ("o1-mini", "o200k_base", true),
            ("o100", "cl100k_base", false),
            ("gpt-4-turbo", "cl100k_base", true),
            ("gpt-3.5-turbo", "cl100k_base", true),
            ("ft:gpt-4o-2024-08-06:org::id", "o200k_base", true),
            ("text-embedding-3-small", "cl100k_base", true),
            ("text-davinci-003", "p50k_base", true),
            ("text-curie-001", "r50k_base", true),
            ("davinci-002", "cl100k_base", true),
            ("gpt-6.1-sol", "o200k_base", false),
            ("us.anthropic.claude-opus-5-5", "cl100k_base*8/7", false),
            ("deepseek/deepseek-chat", "cl100k_base*6/5", false),
            ("gemini/gemini-2.5-pro", "o200k_base", false),
            ("hosted_vllm/Qwen/Qwen3-8B", "cl100k_base", false),
            ("", "cl100k_base", false),
        ];
        for (model, name, exact) in cases {
            let family = Family::of(model);
            assert_eq!((family.name, family.exact), (name, exact), "{model}");
        }
    }
}
