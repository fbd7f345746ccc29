//! How long the answer to a call of a provider's own API may be at most: each API has a field of its
//! own for it. What is not sure to bind is no bound.

use dunlin_types::Tokens;

use crate::answers::{choices, prompts_in};
use crate::endpoint::Endpoint;
use crate::json::{Member, members};

/// The names of the bound in OpenAI's dialects.
pub(crate) const BOUND_NAMES: [&str; 3] =
    ["max_completion_tokens", "max_output_tokens", "max_tokens"];

/// What a call says of the length of its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The field that says it there.
    pub field: &'static str,
    /// The most tokens of one answer. `None`: it does not say, or nobody knows how it would.
    pub tokens: Option<Tokens>,
    /// How many answers it asks for, at least 1.
    pub answers: u64,
    /// Whether they are to come faster, in Anthropic's words.
    pub fast: bool,
}

/// Where an API has its bound.
struct Place {
    /// As messages call it.
    field: &'static str,
    /// Groups of spellings of one field; dots lead into objects. Of several the largest binds.
    spellings: &'static [&'static [&'static str]],
    /// The number of answers.
    answers: &'static [&'static str],
}

const NOWHERE: Place = Place { field: "max_tokens", spellings: &[], answers: &["n"] };
const MAX_TOKENS: Place = Place { spellings: &[&["max_tokens"]], ..NOWHERE };
/// Old servers do not know the first and pass it over.
const CHAT: Place = Place {
    field: "max_completion_tokens",
    spellings: &[&["max_completion_tokens"], &["max_tokens"]],
    ..NOWHERE
};
const RESPONSES: Place =
    Place { field: "max_output_tokens", spellings: &[&["max_output_tokens"]], answers: &[] };
const GOOGLE: Place = Place {
    field: "generationConfig.maxOutputTokens",
    spellings: &[&[
        "generationConfig.maxOutputTokens",
        "generationConfig.max_output_tokens",
        "generation_config.maxOutputTokens",
        "generation_config.max_output_tokens",
    ]],
    answers: &[
        "generationConfig.candidateCount",
        "generationConfig.candidate_count",
        "generation_config.candidateCount",
        "generation_config.candidate_count",
    ],
};
const CONVERSE: Place = Place {
    field: "inferenceConfig.maxTokens",
    spellings: &[&["inferenceConfig.maxTokens"]],
    answers: &[],
};
const OLLAMA: Place =
    Place { field: "options.num_predict", spellings: &[&["options.num_predict"]], answers: &[] };

/// Prefixes behind which servers know both names of the bound of a chat.
const KNOW_BOTH: [&str; 9] = [
    "azure",
    "cerebras",
    "groq",
    "hosted_vllm",
    "openai",
    "openai_passthrough",
    "openrouter",
    "vllm",
    "xai",
];

impl Bound {
    /// Of a call of `path` behind one of our prefixes.
    #[must_use]
    pub fn of_call(prefix: &str, path: &str, body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let place = place(prefix, path.trim_end_matches('/'), text);
        let body = members(text).unwrap_or_default();
        let found: Option<Vec<u64>> =
            place.spellings.iter().filter_map(|group| said(&body, group)).collect();
        let longest = found.and_then(|found| found.into_iter().max());
        let answers = place.answers.iter().flat_map(|path| values(&body, path));
        // As many as can be, where nobody knows how many are meant.
        let answers = answers.map(|value| choices(value).unwrap_or(u32::MAX));
        let answers = answers.max().map_or(1, u64::from);
        // Each prompt of a completion is answered.
        let prompts = values(&body, "prompt").into_iter().map(prompts_in).max();
        let answers = answers.saturating_mul(prompts.map_or(1, u64::from));
        let fast = values(&body, "speed").contains(&"\"fast\"");
        Self { field: place.field, tokens: longest.map(Tokens), answers, fast }
    }

    /// What bounds an answer of our own endpoints: a field, or else what can be sent instead.
    #[must_use]
    pub fn field_of(endpoint: Endpoint) -> &'static str {
        match endpoint {
            Endpoint::Responses => RESPONSES.field,
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent => GOOGLE.field,
            Endpoint::ImageEdits | Endpoint::ImageGenerations => "n, size and quality",
            Endpoint::Speech => "a text",
            Endpoint::Transcriptions | Endpoint::Translations => {
                "a sound whose file says its length (WAV, FLAC, Ogg, MP3, AAC, MP4 or WebM)"
            }
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::Messages
            | Endpoint::Moderations
            | Endpoint::Rerank => MAX_TOKENS.field,
        }
    }
}

fn place(prefix: &str, path: &str, body: &str) -> Place {
    let last = path.rsplit('/').next().unwrap_or_default();
    let verb = last.rsplit_once(':').map(|(_, verb)| verb);
    match (prefix, verb, last) {
        (
            "gemini" | "vertex-ai" | "vertex_ai",
            Some("generateContent" | "streamGenerateContent"),
            _,
        ) => GOOGLE,
        ("vertex-ai" | "vertex_ai", Some("rawPredict" | "streamRawPredict"), _) => MAX_TOKENS,
        ("bedrock", _, "converse" | "converse-stream") => CONVERSE,
        // Each family of models has words of its own; this one names them.
        ("bedrock", _, "invoke" | "invoke-with-response-stream")
            if body.contains("\"anthropic_version\"") =>
        {
            MAX_TOKENS
        }
        ("bedrock", ..) => NOWHERE,
        ("ollama", _, _) if path.ends_with("/api/chat") || path.ends_with("/api/generate") => {
            OLLAMA
        }
        (_, _, "responses") => RESPONSES,
        (prefix, _, "completions") if path.ends_with("chat/completions") => {
            if KNOW_BOTH.contains(&prefix) { CHAT } else { MAX_TOKENS }
        }
        (_, _, "completions") => MAX_TOKENS,
        ("anthropic" | "azure_ai" | "deepseek" | "hosted_vllm" | "vllm", _, "messages") => {
            MAX_TOKENS
        }
        ("cohere", _, "chat") => MAX_TOKENS,
        _ => NOWHERE,
    }
}

/// The number that one of these spellings says. `Some(None)`: it is said so that nobody knows which
/// counts, or that it does not bind: twice, or 0, or below. `None`: not, or `null`.
fn said(body: &[Member<'_>], spellings: &[&str]) -> Option<Option<u64>> {
    let mut found = spellings.iter().flat_map(|path| values(body, path));
    let (first, second) = (found.next()?, found.next());
    match (first, second) {
        ("null", None) => None,
        (number, None) => Some(number.parse().ok().filter(|number| *number > 0)),
        (_, Some(_)) => Some(None),
    }
}

/// All that stands at a path, duplicates included.
fn values<'t>(body: &[Member<'t>], path: &str) -> Vec<&'t str> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let here = body.iter().filter(|member| member.name == name).map(|member| member.value);
    match rest {
        Some(rest) => {
            let inside = |value| members(value).unwrap_or_default();
            here.flat_map(|value| values(&inside(value), rest)).collect()
        }
        None => here.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "/v1/chat/completions";
    const GEMINI: &str = "/v1beta/models/g:generateContent";
    const CLAUDE: &str = r#"{"anthropic_version":"x","max_tokens":7}"#;

    /// Prefix, path, body, and the bound that is read.
    type Case = (&'static str, &'static str, &'static str, Option<u64>);

    fn check(cases: &[Case]) {
        for (prefix, path, body, expected) in cases {
            let bound = Bound::of_call(prefix, path, body.as_bytes());
            assert_eq!(bound.tokens, expected.map(Tokens), "{prefix}{path} {body}");
        }
    }

    #[test]
    fn each_prompt_of_a_completion_is_answered() {
        for (body, answers) in [
            (r#"{"prompt":"one","n":2}"#, 2),
            (r#"{"prompt":["one","two"],"n":2}"#, 4),
            (r#"{"prompt":[[1,2],[3],[4]]}"#, 3),
        ] {
            let bound = Bound::of_call("openai", "/v1/completions", body.as_bytes());
            assert_eq!(bound.answers, answers, "{body}");
        }
    }

    #[test]
    fn each_api_has_its_own_field_for_the_bound() {
        let both = r#"{"max_completion_tokens":9,"max_tokens":7}"#;
        let new = r#"{"max_completion_tokens":9}"#;
        let google = r#"{"generation_config":{"max_output_tokens":7}}"#;
        check(&[
            ("openai", CHAT, r#"{"max_tokens":7}"#, Some(7)),
            ("openai", CHAT, both, Some(9)),
            ("openai", CHAT, r#"{"max_completion_tokens":null,"max_tokens":7}"#, Some(7)),
            ("azure", "/openai/deployments/d/chat/completions", new, Some(9)),
            ("openai", "/v1/completions", r#"{"max_tokens":7}"#, Some(7)),
            ("openai", "/v1/responses", r#"{"max_output_tokens":7}"#, Some(7)),
            ("anthropic", "/v1/messages", r#"{"max_tokens":7}"#, Some(7)),
            ("cohere", "/v2/chat", r#"{"max_tokens":7}"#, Some(7)),
            ("gemini", GEMINI, r#"{"generationConfig":{"maxOutputTokens":7}}"#, Some(7)),
            ("vertex_ai", "/v1/projects/p/models/g:streamGenerateContent", google, Some(7)),
            ("vertex_ai", "/v1/publishers/anthropic/models/c:rawPredict", CLAUDE, Some(7)),
            ("bedrock", "/model/m/converse", r#"{"inferenceConfig":{"maxTokens":7}}"#, Some(7)),
            ("bedrock", "/model/m/invoke", CLAUDE, Some(7)),
            ("ollama", "/api/chat", r#"{"options":{"num_predict":7}}"#, Some(7)),
        ]);
    }

    #[test]
    fn what_is_not_sure_to_bind_is_no_bound() {
        check(&[
            // It would not be read there.
            ("mistral", CHAT, r#"{"max_completion_tokens":9}"#, None),
            ("openai", "/v1/responses", r#"{"max_tokens":7}"#, None),
            ("openai", "/v1/images/generations", r#"{"max_tokens":7}"#, None),
            ("anthropic", "/v1/messages/batches", r#"{"max_tokens":7}"#, None),
            ("gemini", GEMINI, r#"{"max_tokens":7}"#, None),
            ("bedrock", "/model/m/converse", r#"{"max_tokens":7}"#, None),
            ("bedrock", "/model/m/invoke", r#"{"max_tokens":7}"#, None),
            // The provider may read it otherwise.
            ("openai", "/v1/responses", r#"{"max_output_tokens":7,"max_output_tokens":9}"#, None),
            ("openai", CHAT, r#"{"max_completion_tokens":"9","max_tokens":7}"#, None),
            (
                "gemini",
                GEMINI,
                r#"{"generationConfig":{"maxOutputTokens":7},"generation_config":{"maxOutputTokens":9}}"#,
                None,
            ),
            ("ollama", "/api/chat", r#"{"options":{"num_predict":-1}}"#, None),
            ("openai", CHAT, r#"{"max_tokens":0}"#, None),
            ("openai", CHAT, "{", None),
        ]);
    }

    #[test]
    fn each_of_the_answers_asked_for_may_be_as_long() {
        let four = Bound::of_call("openai", CHAT, br#"{"n":"4","max_tokens":7}"#);
        assert_eq!((four.answers, four.field), (4, "max_completion_tokens"));
        let fast = br#"{"speed":"fast","max_tokens":7}"#;
        assert!(Bound::of_call("anthropic", "/v1/messages", fast).fast && !four.fast);
        let unclear = Bound::of_call("openai", CHAT, br#"{"n":" 4","max_tokens":7}"#);
        assert_eq!(unclear.answers, u64::from(u32::MAX));
        let body = br#"{"generationConfig":{"candidateCount":2}}"#;
        let two = Bound::of_call("gemini", GEMINI, body);
        assert_eq!((two.answers, two.field), (2, "generationConfig.maxOutputTokens"));
    }
}
