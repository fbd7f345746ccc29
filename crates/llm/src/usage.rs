//! Tokens in OpenAI's words, with those of LiteLLM for what OpenAI does not count.

use dunlin_types::{PicoUsd, Tokens, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

/// From the JSON text of a `usage` member. `None` when it counts nothing we know.
pub(crate) fn read(text: &str) -> Option<Usage> {
    serde_json::from_str::<Wire>(text).ok()?.usage()
}

#[derive(Deserialize)]
pub(crate) struct Wire {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    /// The names of the newer endpoints, of pictures and of sound.
    #[serde(default, deserialize_with = "crate::lenient::count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    output_tokens: Option<u64>,
    #[serde(alias = "input_token_details")]
    input_tokens_details: Option<Details>,
    #[serde(alias = "output_token_details")]
    output_tokens_details: Option<Details>,
    /// LiteLLM's name for what Anthropic counts.
    server_tool_use: Option<ServerTools>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    total_tokens: Option<u64>,
    /// What others count beside the details, or instead: DeepSeek and Moonshot what was cached,
    /// Perplexity thought and searches.
    #[serde(default, deserialize_with = "crate::lenient::count")]
    prompt_cache_hit_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    reasoning_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    num_search_queries: Option<u64>,
    /// OpenRouter's charge, in dollars, and Perplexity's, in parts.
    #[serde(default, deserialize_with = "crate::lenient::dollars")]
    cost: Option<PicoUsd>,
    /// xAI's, in ten-billionths of a dollar.
    #[serde(default, deserialize_with = "crate::lenient::count")]
    cost_in_usd_ticks: Option<u64>,
}

#[derive(Deserialize)]
struct ServerTools {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    web_search_requests: Option<u64>,
}

/// How much of what was cached is not text.
#[derive(Deserialize, Default)]
struct Cached {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    audio_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    image_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    cached_tokens: Option<u64>,
    cached_tokens_details: Option<Cached>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    cache_write_tokens: Option<u64>,
    cache_write_tokens_details: Option<Written>,
    /// LiteLLM's name, in answers of gateways behind this one.
    #[serde(default, deserialize_with = "crate::lenient::count")]
    cache_creation_tokens: Option<u64>,
    /// vLLM's name for the same, and for what is no text.
    #[serde(default, deserialize_with = "crate::lenient::count")]
    created_cache_tokens: Option<u64>,
    multimodal_tokens: Option<Multimodal>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    audio_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    image_tokens: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    reasoning_tokens: Option<u64>,
}

/// How long what was written to a cache is kept.
#[derive(Deserialize, Default)]
struct Written {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    ttl_12h_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct Multimodal {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    audio: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    image: Option<u64>,
}

impl Wire {
    pub(crate) fn usage(self) -> Option<Usage> {
        let input = self.input_tokens_details;
        // Who tells pictures sent apart, and not what was made, has made pictures.
        let pictures = input.as_ref().and_then(|input| input.image_tokens).and(self.output_tokens);
        let pictures = pictures.filter(|_| self.output_tokens_details.is_none());
        let prompt = self.prompt_tokens_details.or(input).unwrap_or_default();
        let completion = self.completion_tokens_details.or(self.output_tokens_details);
        let completion = completion.unwrap_or_default();
        let count = |number: Option<u64>| Tokens(number.unwrap_or(0));
        let said = self.completion_tokens.or(self.output_tokens).unwrap_or(0);
        let is_any = |tokens: &u64| *tokens > 0;
        // Vectors and ranks are counted in all by some.
        let rest = self.total_tokens.map(|total| total.saturating_sub(said)).filter(is_any);
        let asked = self.prompt_tokens.or(self.input_tokens);
        let asked = asked.filter(is_any).or(rest).or(asked)?;
        let hit = self.prompt_cache_hit_tokens.or(self.cached_tokens);
        let cached = prompt.cached_tokens.or(hit);
        let written = prompt.cache_write_tokens.or(prompt.cache_creation_tokens);
        let kept = prompt.cache_write_tokens_details.unwrap_or_default();
        let other = prompt.multimodal_tokens.unwrap_or_default();
        let of_cached = prompt.cached_tokens_details.unwrap_or_default();
        let thought = completion.reasoning_tokens.or(self.reasoning_tokens).unwrap_or(0);
        // xAI counts thought beside what was said; all others as a part of it.
        let with_thought = said.saturating_add(thought);
        let is_beside = self.total_tokens == Some(asked.saturating_add(with_thought));
        let ticks = self.cost_in_usd_ticks.and_then(|ticks| ticks.checked_mul(100)).map(PicoUsd);
        let usage = Usage {
            prompt: Tokens(asked),
            cached: count(cached),
            cached_audio: count(of_cached.audio_tokens),
            cached_image: count(of_cached.image_tokens),
            cache_write: count(written.or(prompt.created_cache_tokens)),
            cache_write_12h: count(kept.ttl_12h_tokens),
            prompt_audio: count(prompt.audio_tokens.or(other.audio)),
            prompt_image: count(prompt.image_tokens.or(other.image)),
            // Embeddings have no completion, and some servers then leave the member out.
            completion: Tokens(if is_beside { with_thought } else { said }),
            reasoning: Tokens(thought),
            completion_audio: count(completion.audio_tokens),
            completion_image: count(completion.image_tokens.or(pictures)),
            web_searches: self
                .server_tool_use
                .and_then(|tools| tools.web_search_requests)
                .or(self.num_search_queries)
                .unwrap_or(0),
            reported: self.cost.or(ticks),
            ..Usage::default()
        };
        usage.if_any()
    }
}

/// The `usage` member for a client. Details that are nought are left out, but for those of caches,
/// which LiteLLM's users read under Anthropic's names as well.
pub(crate) fn usage_json(usage: &Usage) -> Value {
    let mut wire = json!({
        "completion_tokens": usage.completion.0,
        "prompt_tokens": usage.prompt.0,
        "total_tokens": usage.total().0,
    });
    let details = |counts: &[(&str, Tokens)]| {
        let counted = counts.iter().filter(|(_, tokens)| tokens.0 > 0);
        let counted = counted.map(|(name, tokens)| ((*name).to_owned(), tokens.0.into()));
        let counted: serde_json::Map<String, Value> = counted.collect();
        (!counted.is_empty()).then_some(Value::Object(counted))
    };
    let completion = details(&[
        ("reasoning_tokens", usage.reasoning),
        ("audio_tokens", usage.completion_audio),
        ("image_tokens", usage.completion_image),
    ]);
    if let Some(completion) = completion {
        wire["completion_tokens_details"] = completion;
    }
    let prompt = details(&[
        ("cached_tokens", usage.cached),
        ("cache_write_tokens", usage.cache_write),
        ("audio_tokens", usage.prompt_audio),
        ("image_tokens", usage.prompt_image),
    ]);
    if let Some(prompt) = prompt {
        wire["prompt_tokens_details"] = prompt;
    }
    if usage.web_searches > 0 {
        wire["server_tool_use"] = json!({"web_search_requests": usage.web_searches});
    }
    if usage.cached.0 + usage.cache_write.0 > 0 {
        wire["cache_creation_input_tokens"] = usage.cache_write.0.into();
        wire["cache_read_input_tokens"] = usage.cached.0.into();
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_sound_are_counted_under_their_own_names() {
        let usage = |prompt, completion| Usage {
            prompt: Tokens(prompt),
            completion: Tokens(completion),
            ..Usage::default()
        };
        let cases = [
            (
                r#"{"input_tokens":9,"output_tokens":4,"input_tokens_details":{"text_tokens":7,"image_tokens":2}}"#,
                Usage { prompt_image: Tokens(2), completion_image: Tokens(4), ..usage(9, 4) },
            ),
            (
                r#"{"type":"tokens","input_tokens":5,"output_tokens":3,"input_token_details":{"audio_tokens":5}}"#,
                Usage { prompt_audio: Tokens(5), ..usage(5, 3) },
            ),
            (
                r#"{"input_tokens":9,"output_tokens":3,"input_token_details":{"audio_tokens":6,"cached_tokens":4,"cached_tokens_details":{"text_tokens":1,"audio_tokens":3}}}"#,
                Usage {
                    cached: Tokens(4),
                    cached_audio: Tokens(3),
                    prompt_audio: Tokens(6),
                    ..usage(9, 3)
                },
            ),
            (
                r#"{"input_tokens":5,"output_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens_details":{"reasoning_tokens":2}}"#,
                Usage { cached: Tokens(1), reasoning: Tokens(2), ..usage(5, 3) },
            ),
            (r#"{"total_tokens":5000}"#, usage(5000, 0)),
            (r#"{"prompt_tokens":0,"total_tokens":5000}"#, usage(5000, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        let providers = [
            // xAI: thought is not a part of what was said.
            (
                r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
                Usage { reasoning: Tokens(94), ..usage(32, 103) },
            ),
            (
                r#"{"prompt_tokens":32,"completion_tokens":103,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
                Usage { reasoning: Tokens(94), ..usage(32, 103) },
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":3}"#,
                Usage { cached: Tokens(6), ..usage(9, 4) },
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":4,"cached_tokens":6}"#,
                Usage { cached: Tokens(6), ..usage(9, 4) },
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"reasoning_tokens":2,"num_search_queries":3,"citation_tokens":7}"#,
                Usage { reasoning: Tokens(2), web_searches: 3, ..usage(9, 4) },
            ),
        ];
        for (text, expected) in providers {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        let vllms = r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2,"created_cache_tokens":5,"multimodal_tokens":{"image":3,"video":1}}}"#;
        let (cached, cache_write, prompt_image) = (Tokens(2), Tokens(5), Tokens(3));
        let expected = Usage { cached, cache_write, prompt_image, ..usage(9, 4) };
        assert_eq!(read(vllms), Some(expected));
        let searched = Usage { web_searches: 2, ..usage(9, 4) };
        let written = usage_json(&searched);
        assert_eq!(written["server_tool_use"]["web_search_requests"], 2);
        assert_eq!(read(&written.to_string()), Some(searched));
        for none in [r#"{"type":"duration","seconds":3}"#, r#"{"prompt_tokens":-9}"#] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_kept_for_twelve_hours_is_told_apart() {
        let details = r#"{"cache_write_tokens":7,"cache_write_tokens_details":{"ttl_12h_tokens":5,
            "ttl_30m_tokens":2}}"#;
        for (asked, answered) in [("input", "output"), ("prompt", "completion")] {
            let text = format!(
                r#"{{"{asked}_tokens":9,"{answered}_tokens":3,"{asked}_tokens_details":{details}}}"#
            );
            let usage = read(&text).expect("it counts");
            assert_eq!(
                (usage.cache_write, usage.cache_write_12h),
                (Tokens(7), Tokens(5)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_charge_is_read_whole_by_its_total_or_in_ticks() {
        for (cost, expected) in [
            ("0.0123", Some(PicoUsd(12_300_000_000))),
            (r#"{"request_cost":0.006,"total_cost":0.0165}"#, Some(PicoUsd(16_500_000_000))),
            (r#"{"total_cost":"much"}"#, None),
            ("-1", None),
            (r#"null,"cost_in_usd_ticks":37756000"#, Some(PicoUsd(3_775_600_000))),
        ] {
            let text = format!(r#"{{"prompt_tokens":9,"completion_tokens":4,"cost":{cost}}}"#);
            let expected = Usage {
                reported: expected,
                prompt: Tokens(9),
                completion: Tokens(4),
                ..Usage::default()
            };
            assert_eq!(read(&text), Some(expected), "{text}");
        }
    }
}
