//! Counts of tokens under the names that providers have for them.

use dunlin_types::{PicoUsd, Tokens, Usage};
use http::HeaderMap;
use serde_json::Value;

use crate::lenient::{count, dollars};
use crate::tools::Tools;

/// What was said so far. Some count the cache apart from the prompt, some within it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    prompt: Option<u64>,
    cached_apart: Option<u64>,
    written_apart: Option<u64>,
    cached: Option<u64>,
    cached_audio: Option<u64>,
    cached_image: Option<u64>,
    written: Option<u64>,
    written_1h: Option<u64>,
    prompt_audio: Option<u64>,
    prompt_image: Option<u64>,
    completion: Option<u64>,
    reasoning: Option<u64>,
    completion_audio: Option<u64>,
    completion_image: Option<u64>,
    web_searches: Option<u64>,
    /// Items of a response.
    tools: Tools,
    pages: Option<u64>,
    queries: Option<u64>,
    reported: Option<PicoUsd>,
}

/// One name of one count, and where it is set.
type Name = (&'static str, fn(&mut Counts) -> &mut Option<u64>);

/// Paths below `usage`: OpenAI's, those of Responses and Anthropic, Cohere's, Bedrock's. Later ones
/// win where an answer has both.
const USAGE: &[Name] = &[
    ("billed_units.input_tokens", |c| &mut c.prompt),
    ("billed_units.output_tokens", |c| &mut c.completion),
    ("tokens.input_tokens", |c| &mut c.prompt),
    ("tokens.output_tokens", |c| &mut c.completion),
    ("cached_tokens", |c| &mut c.cached),
    ("inputTokens", |c| &mut c.prompt),
    ("outputTokens", |c| &mut c.completion),
    ("cacheReadInputTokens", |c| &mut c.cached_apart),
    ("cacheWriteInputTokens", |c| &mut c.written_apart),
    ("input_tokens", |c| &mut c.prompt),
    ("output_tokens", |c| &mut c.completion),
    ("total_cached_tokens", |c| &mut c.cached),
    ("total_thought_tokens", |c| &mut c.reasoning),
    ("cache_read_input_tokens", |c| &mut c.cached_apart),
    ("cache_creation_input_tokens", |c| &mut c.written_apart),
    ("cache_creation.ephemeral_1h_input_tokens", |c| &mut c.written_1h),
    ("input_tokens_details.cached_tokens", |c| &mut c.cached),
    ("input_tokens_details.image_tokens", |c| &mut c.prompt_image),
    ("input_token_details.cached_tokens", |c| &mut c.cached),
    ("input_token_details.cached_tokens_details.audio_tokens", |c| &mut c.cached_audio),
    ("input_token_details.cached_tokens_details.image_tokens", |c| &mut c.cached_image),
    ("input_token_details.audio_tokens", |c| &mut c.prompt_audio),
    ("input_token_details.image_tokens", |c| &mut c.prompt_image),
    ("output_tokens_details.reasoning_tokens", |c| &mut c.reasoning),
    ("output_tokens_details.thinking_tokens", |c| &mut c.reasoning),
    ("output_tokens_details.image_tokens", |c| &mut c.completion_image),
    ("output_token_details.audio_tokens", |c| &mut c.completion_audio),
    ("server_tool_use.web_search_requests", |c| &mut c.web_searches),
    ("billed_units.search_units", |c| &mut c.queries),
];

/// Paths below a `usage` that has OpenAI's `prompt_tokens`: the cache is within them, whatever is
/// said beside them under Anthropic's names.
const OPENAI: &[Name] = &[
    ("prompt_tokens", |c| &mut c.prompt),
    ("completion_tokens", |c| &mut c.completion),
    ("cached_tokens", |c| &mut c.cached),
    ("prompt_cache_hit_tokens", |c| &mut c.cached),
    ("reasoning_tokens", |c| &mut c.reasoning),
    ("num_search_queries", |c| &mut c.web_searches),
    ("prompt_tokens_details.cached_tokens", |c| &mut c.cached),
    ("prompt_tokens_details.cache_creation_tokens", |c| &mut c.written),
    ("prompt_tokens_details.cache_write_tokens", |c| &mut c.written),
    ("prompt_tokens_details.audio_tokens", |c| &mut c.prompt_audio),
    ("prompt_tokens_details.image_tokens", |c| &mut c.prompt_image),
    ("completion_tokens_details.reasoning_tokens", |c| &mut c.reasoning),
    ("completion_tokens_details.audio_tokens", |c| &mut c.completion_audio),
    ("completion_tokens_details.image_tokens", |c| &mut c.completion_image),
];

/// Cohere's first API, and what Bedrock adds to the answers of others' dialects.
const META: &[Name] = &[
    ("billed_units.input_tokens", |c| &mut c.prompt),
    ("billed_units.output_tokens", |c| &mut c.completion),
    ("tokens.input_tokens", |c| &mut c.prompt),
    ("tokens.output_tokens", |c| &mut c.completion),
    ("billed_units.search_units", |c| &mut c.queries),
];
/// What Mistral says of the documents that it has read.
const DOCUMENTS: &[Name] = &[("pages_processed", |c| &mut c.pages)];
const INVOCATION: &[Name] = &[
    ("inputTokenCount", |c| &mut c.prompt),
    ("outputTokenCount", |c| &mut c.completion),
    ("cacheReadInputTokenCount", |c| &mut c.cached_apart),
    ("cacheWriteInputTokenCount", |c| &mut c.written_apart),
];
const HEADERS: &[Name] = &[
    ("x-amzn-bedrock-input-token-count", |c| &mut c.prompt),
    ("x-amzn-bedrock-output-token-count", |c| &mut c.completion),
    ("x-amzn-bedrock-cache-read-input-token-count", |c| &mut c.cached_apart),
    ("x-amzn-bedrock-cache-write-input-token-count", |c| &mut c.written_apart),
];

impl Counts {
    /// What Bedrock says of an answer in its headers.
    pub(super) fn of_headers(headers: &HeaderMap) -> Self {
        let mut counts = Self::default();
        for (name, count) in HEADERS {
            let said = headers.get(*name).and_then(|value| value.to_str().ok()?.parse().ok());
            *count(&mut counts) = said;
        }
        counts
    }

    /// Takes a member of an answer; whether it counts something.
    pub(super) fn read(&mut self, name: &str, value: &str) -> bool {
        let names = match name {
            "output" => {
                self.tools = self.tools.or_more(Tools::of_output(value));
                return false;
            }
            "usage" => USAGE,
            "usageMetadata" => return self.gemini(value),
            "meta" => META,
            "usage_info" => DOCUMENTS,
            "amazon-bedrock-invocationMetrics" => INVOCATION,
            // Ollama's, those of Llama on Bedrock, and Titan's.
            "prompt_eval_count" | "prompt_token_count" | "inputTextTokenCount" => {
                return set(&mut self.prompt, number(value));
            }
            "eval_count" | "generation_token_count" => {
                return set(&mut self.completion, number(value));
            }
            _ => return false,
        };
        let Ok(value) = serde_json::from_str::<Value>(value) else { return false };
        let names = if at(&value, "prompt_tokens").is_some() { OPENAI } else { names };
        let mut counts = false;
        for (path, of) in names {
            counts |= set(of(self), at(&value, path));
        }
        self.reported = value.get("cost").and_then(|cost| dollars(cost).ok()?).or(self.reported);
        let total = at(&value, "total_tokens");
        // Vectors and ranks are counted in all by some.
        if self.prompt.is_none_or(|prompt| prompt == 0) {
            let rest = total.map(|total| total.saturating_sub(self.completion.unwrap_or(0)));
            counts |= set(&mut self.prompt, rest.filter(|tokens| *tokens > 0));
        }
        // xAI counts thought beside what was said; all others as a part of it.
        let parts = [self.prompt, self.completion, self.reasoning].map(Option::unwrap_or_default);
        if total == Some(parts.into_iter().fold(0, u64::saturating_add)) {
            self.completion = Some(parts[1].saturating_add(parts[2]));
        }
        // Google's interactions count thoughts and the prompts of tools apart, too.
        counts |= set(&mut self.prompt, sum(&value, "total_input_tokens", "total_tool_use_tokens"));
        let written = sum(&value, "total_output_tokens", "total_thought_tokens");
        set(&mut self.completion, written) | counts
    }

    /// Thoughts and the prompts of tools are counted apart from what they belong to.
    fn gemini(&mut self, value: &str) -> bool {
        let Ok(value) = serde_json::from_str::<Value>(value) else { return false };
        let prompt = sum(&value, "promptTokenCount", "toolUsePromptTokenCount");
        set(&mut self.prompt, prompt);
        set(&mut self.cached, at(&value, "cachedContentTokenCount"));
        set(&mut self.cached_audio, of_modality(&value, "cacheTokensDetails", "AUDIO"));
        set(&mut self.cached_image, of_modality(&value, "cacheTokensDetails", "IMAGE"));
        set(&mut self.reasoning, at(&value, "thoughtsTokenCount"));
        set(&mut self.prompt_audio, of_modality(&value, "promptTokensDetails", "AUDIO"));
        set(&mut self.prompt_image, of_modality(&value, "promptTokensDetails", "IMAGE"));
        set(&mut self.completion_audio, of_modality(&value, "candidatesTokensDetails", "AUDIO"));
        set(&mut self.completion_image, of_modality(&value, "candidatesTokensDetails", "IMAGE"));
        // Some models count their thoughts among the candidates' tokens; the total tells.
        let written = at(&value, "candidatesTokenCount");
        let both = prompt.zip(written).map(|(prompt, written)| prompt.saturating_add(written));
        if self.reasoning > Some(0) && both.is_some() && at(&value, "totalTokenCount") == both {
            return set(&mut self.completion, written);
        }
        // The first pieces of some streams count the prompt alone.
        set(&mut self.completion, sum(&value, "candidatesTokenCount", "thoughtsTokenCount"))
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let count = |number: Option<u64>| Tokens(number.unwrap_or(0));
        let (cached_apart, written_apart) = (count(self.cached_apart), count(self.written_apart));
        if [self.prompt, self.completion, self.pages, self.queries].iter().all(Option::is_none) {
            return None;
        }
        let web_searches = self.web_searches.unwrap_or(self.tools.web_searches);
        let tools = Tools { web_searches, ..self.tools };
        let usage = tools.counted_in(Usage {
            prompt: count(self.prompt) + cached_apart + written_apart,
            cached: count(self.cached) + cached_apart,
            cached_audio: count(self.cached_audio),
            cached_image: count(self.cached_image),
            cache_write: count(self.written) + written_apart,
            cache_write_1h: count(self.written_1h),
            prompt_audio: count(self.prompt_audio),
            prompt_image: count(self.prompt_image),
            completion: count(self.completion),
            reasoning: count(self.reasoning),
            completion_audio: count(self.completion_audio),
            completion_image: count(self.completion_image),
            pages: self.pages.unwrap_or(0),
            queries: self.queries.unwrap_or(0),
            reported: self.reported,
            ..Usage::default()
        });
        usage.if_any()
    }
}

fn set(count: &mut Option<u64>, said: Option<u64>) -> bool {
    *count = said.or(*count);
    said.is_some()
}

/// Two counts of the same kind, as far as they are there.
fn sum(value: &Value, a: &str, b: &str) -> Option<u64> {
    match (at(value, a), at(value, b)) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    }
}

/// The tokens of one modality.
fn of_modality(value: &Value, details: &str, modality: &str) -> Option<u64> {
    let all = value.get(details)?.as_array()?.iter();
    let of_it = all.filter(|detail| detail["modality"] == modality);
    of_it.filter_map(|detail| at(detail, "tokenCount")).reduce(u64::saturating_add)
}

fn number(text: &str) -> Option<u64> {
    count(&mut serde_json::Deserializer::from_str(text)).ok()?
}

/// The count at a path of names.
fn at(value: &Value, path: &str) -> Option<u64> {
    let found = path.split('.').try_fold(value, |value, name| value.get(name))?;
    count(found).ok()?
}
