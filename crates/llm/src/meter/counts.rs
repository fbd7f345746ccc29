//! Counts of tokens under the names that providers have for them.

use dunlin_types::{Part, Tokens, Usage};
use http::HeaderMap;
use serde_json::Value;

use crate::lenient::count;
use crate::media::CITATION;
use crate::tier::Tier;
use crate::tools::Tools;
use crate::{anthropic, gemini, tool_models, usage};

/// What was said so far. The dialects of our own routes are read by what reads them there; others by
/// their names, of which some count the cache apart from the prompt.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The last count in OpenAI's or Google's words, each of which says all.
    whole: Option<Usage>,
    /// Anthropic's, which a stream says in parts.
    parts: anthropic::Wire,
    prompt: Option<u64>,
    cached_apart: Option<u64>,
    written_apart: Option<u64>,
    written_1h: Option<u64>,
    cached: Option<u64>,
    completion: Option<u64>,
    reasoning: Option<u64>,
    /// Items of a response.
    tools: Tools,
    /// What a response says that its tools used, and which model is asked for pictures.
    searched: Option<u64>,
    drawn: Option<Part>,
    painter: Option<String>,
    /// What was used to write pictures.
    written: Vec<Part>,
    /// What Google looked up, and whether an OpenAI chat cites what was found.
    grounded: gemini::Searches,
    cites: bool,
    pages: Option<u64>,
    queries: Option<u64>,
    pictures: u64,
    tier: Option<Tier>,
}

/// One name of one count, and where it is set.
type Name = (&'static str, fn(&mut Counts) -> &mut Option<u64>);

/// Paths below `usage`: Cohere's, Bedrock's, and those of Google's interactions. Later ones win where
/// an answer has both.
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
    ("total_cached_tokens", |c| &mut c.cached),
    ("total_thought_tokens", |c| &mut c.reasoning),
    ("billed_units.search_units", |c| &mut c.queries),
];

/// Members of a `usage` in OpenAI's words, and those of one in Anthropic's.
const OPENAI: [&str; 4] =
    ["prompt_tokens", "total_tokens", "input_tokens_details", "input_token_details"];
const ANTHROPIC: [&str; 4] =
    ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];

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

    /// Takes a member of an answer; whether it counts something that was written.
    pub(super) fn read(&mut self, name: &str, value: &str) -> bool {
        let names = match name {
            "output" | "svg_usage" | "tool_usage" | "tools" => {
                self.tools_used(name, value);
                return false;
            }
            "choices" => {
                self.cites |= CITATION.is_in(value.as_bytes());
                return false;
            }
            "candidates" => {
                self.grounded = self.grounded.or_more(gemini::searches_in(value));
                return false;
            }
            "service_tier" | "serviceTier" => {
                self.tier = Tier::said(value).or(self.tier);
                return false;
            }
            "predictions" => {
                self.pictures = gemini::pictures_of_predictions(value);
                return set(&mut self.prompt, gemini::tokens_of_predictions(value));
            }
            "usage" => {
                self.tier = Tier::asked(value).or(self.tier);
                USAGE
            }
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
        let Ok(said) = serde_json::from_str::<Value>(value) else { return false };
        if name == "usage" {
            let has = |names: &[&str]| names.iter().any(|name| said.get(name).is_some());
            let is_anthropics = has(&ANTHROPIC[2..]) && !has(&OPENAI[..1]);
            if has(&OPENAI) && !is_anthropics && !has(&["inputTokens", "total_input_tokens"]) {
                return self.whole(usage::read(value));
            }
            if has(&ANTHROPIC) {
                self.parts = std::mem::take(&mut self.parts).updated(anthropic::Wire::read(value));
                return true;
            }
        }
        let mut counts = false;
        for (path, of) in names {
            counts |= set(of(self), at(&said, path));
        }
        set(&mut self.written_1h, of_kind(&said, "cacheDetails", ("ttl", "1h"), "inputTokens"));
        // Google's interactions count thoughts and the prompts of tools apart, too.
        counts |= set(&mut self.prompt, sum(&said, "total_input_tokens", "total_tool_use_tokens"));
        let written = sum(&said, "total_output_tokens", "total_thought_tokens");
        set(&mut self.completion, written) | counts
    }

    /// Takes what a response says of its provider's tools, and of whoever they asked.
    fn tools_used(&mut self, name: &str, value: &str) {
        match name {
            "output" => {
                self.tools = self.tools.or_more(Tools::of_output(value));
                let written = tool_models::written(value, None);
                if !written.is_empty() {
                    self.written = written;
                }
            }
            "svg_usage" => {
                self.written = tool_models::of_author(value).into_iter().collect();
            }
            "tool_usage" => {
                self.searched = tool_models::searched(value).or(self.searched);
                self.drawn = tool_models::drawn(value, None).or_else(|| self.drawn.take());
            }
            "tools" => {
                self.painter = tool_models::painter(value).or_else(|| self.painter.take());
            }
            _ => {}
        }
    }

    fn gemini(&mut self, value: &str) -> bool {
        let Ok(wire) = serde_json::from_str::<gemini::WireUsage>(value) else { return false };
        self.tier = wire.tier().or(self.tier);
        self.whole(wire.usage())
    }

    /// The first pieces of some streams count the prompt alone.
    fn whole(&mut self, usage: Option<Usage>) -> bool {
        let is_answered = usage.as_ref().is_some_and(|usage| usage.completion > Tokens(0));
        self.whole = usage.or_else(|| self.whole.take());
        is_answered
    }

    /// The tier that the answer says it was served in.
    pub(super) fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// How many pictures it holds, as far as they are counted one by one.
    pub(super) fn pictures(&self) -> u64 {
        self.pictures
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = self.whole.clone().or_else(|| self.parts.usage()).or_else(|| self.named())?;
        let Tools { web_searches, file_searches, code_sessions } = self.tools;
        let web_searches = self.searched.unwrap_or(web_searches);
        let found = web_searches.max(self.grounded.web).max(usage.web_searches);
        let usage = match &self.drawn {
            Some(drawn) => {
                let model = self.painter.clone().unwrap_or_default();
                usage.with_part(Part { model, ..drawn.clone() })
            }
            None => usage,
        };
        let usage = self.written.iter().cloned().fold(usage, Usage::with_part);
        Some(Usage {
            web_searches: if found == 0 { u64::from(self.cites) } else { found },
            map_searches: self.grounded.maps,
            file_searches,
            code_sessions,
            pages: self.pages.unwrap_or(usage.pages),
            queries: self.queries.unwrap_or(usage.queries),
            ..usage
        })
    }

    /// What is said by the names of those that no route of ours speaks.
    fn named(&self) -> Option<Usage> {
        if [self.prompt, self.completion, self.pages, self.queries].iter().all(Option::is_none) {
            return None;
        }
        let count = |number: Option<u64>| Tokens(number.unwrap_or(0));
        let (cached_apart, written_apart) = (count(self.cached_apart), count(self.written_apart));
        let usage = Usage {
            prompt: count(self.prompt) + cached_apart + written_apart,
            cached: count(self.cached) + cached_apart,
            cache_write: written_apart,
            cache_write_1h: count(self.written_1h).min(written_apart),
            completion: count(self.completion),
            reasoning: count(self.reasoning),
            pages: self.pages.unwrap_or(0),
            queries: self.queries.unwrap_or(0),
            ..Usage::default()
        };
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

/// The sum of `count` over those in a list whose member is this.
fn of_kind(value: &Value, list: &str, (name, kind): (&str, &str), count: &str) -> Option<u64> {
    let of_it = value.get(list)?.as_array()?.iter().filter(|one| one[name] == kind);
    of_it.filter_map(|one| at(one, count)).reduce(u64::saturating_add)
}

fn number(text: &str) -> Option<u64> {
    count(&mut serde_json::Deserializer::from_str(text)).ok()?
}

/// The count at a path of names.
fn at(value: &Value, path: &str) -> Option<u64> {
    let found = path.split('.').try_fold(value, |value, name| value.get(name))?;
    count(found).ok()?
}
