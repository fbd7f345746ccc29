//! Tokens in Google's words.

use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::tier::Tier;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Wire {
    #[serde(default, deserialize_with = "crate::lenient::count")]
    prompt_token_count: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    tool_use_prompt_token_count: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    cached_content_token_count: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    candidates_token_count: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    thoughts_token_count: Option<u64>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    total_token_count: Option<u64>,
    cache_tokens_details: Option<Vec<Modality>>,
    prompt_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    traffic_type: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Modality {
    modality: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    token_count: Option<u64>,
}

impl Wire {
    /// The tier that it was served in.
    pub(crate) fn tier(&self) -> Option<Tier> {
        Some(match self.traffic_type.as_deref()? {
            "ON_DEMAND" | "PROVISIONED_THROUGHPUT" => Tier::Standard,
            "ON_DEMAND_FLEX" | "FLEX" => Tier::Flex,
            "ON_DEMAND_PRIORITY" => Tier::Priority,
            "BATCH" => Tier::Batch,
            _ => return None,
        })
    }

    /// `None` where the prompt is not counted, as in the first pieces of a stream.
    pub(crate) fn usage(self) -> Option<Usage> {
        let prompt = self.prompt_token_count?;
        let tools = self.tool_use_prompt_token_count.unwrap_or(0);
        let answer = self.candidates_token_count.unwrap_or(0);
        let thoughts = self.thoughts_token_count.unwrap_or(0);
        // Some models count their thoughts among the candidates' tokens; the total tells.
        let sums = prompt.saturating_add(tools).saturating_add(answer);
        let counted = thoughts > 0 && self.total_token_count == Some(sums);
        let completion = if counted { answer } else { answer.saturating_add(thoughts) };
        let usage = Usage {
            prompt: Tokens(prompt.saturating_add(tools)),
            cached: Tokens(self.cached_content_token_count.unwrap_or(0)),
            cached_audio: of(self.cache_tokens_details.as_deref(), "AUDIO"),
            cached_image: of(self.cache_tokens_details.as_deref(), "IMAGE"),
            prompt_audio: of(self.prompt_tokens_details.as_deref(), "AUDIO"),
            prompt_image: of(self.prompt_tokens_details.as_deref(), "IMAGE"),
            completion: Tokens(completion),
            reasoning: Tokens(thoughts),
            completion_audio: of(self.candidates_tokens_details.as_deref(), "AUDIO"),
            completion_image: of(self.candidates_tokens_details.as_deref(), "IMAGE"),
            ..Usage::default()
        };
        usage.if_any()
    }
}

fn of(details: Option<&[Modality]>, modality: &str) -> Tokens {
    let of_it = details.unwrap_or_default().iter();
    let of_it = of_it.filter(|detail| detail.modality.as_deref() == Some(modality));
    Tokens(of_it.fold(0, |sum, detail| sum.saturating_add(detail.token_count.unwrap_or(0))))
}

/// The `usageMetadata` member for a client.
pub(crate) fn usage_json(usage: &Usage) -> Value {
    let mut wire = json!({
        "promptTokenCount": usage.prompt.0,
        "candidatesTokenCount": usage.completion.0.saturating_sub(usage.reasoning.0),
        "totalTokenCount": usage.total().0,
    });
    let counts =
        [("cachedContentTokenCount", usage.cached), ("thoughtsTokenCount", usage.reasoning)];
    for (name, tokens) in counts.into_iter().filter(|(_, tokens)| tokens.0 > 0) {
        wire[name] = tokens.0.into();
    }
    for (name, all, audio, image) in [
        ("promptTokensDetails", usage.prompt, usage.prompt_audio, usage.prompt_image),
        (
            "candidatesTokensDetails",
            Tokens(usage.completion.0.saturating_sub(usage.reasoning.0)),
            usage.completion_audio,
            usage.completion_image,
        ),
    ] {
        let text = Tokens(all.0.saturating_sub(audio.0.saturating_add(image.0)));
        let details = [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)];
        let details = details.into_iter().filter(|(_, tokens)| tokens.0 > 0);
        let details: Vec<Value> = details
            .map(|(modality, tokens)| json!({"modality": modality, "tokenCount": tokens.0}))
            .collect();
        if !details.is_empty() {
            wire[name] = details.into();
        }
    }
    wire
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::form::Delta;
    use crate::gemini::{StreamReader, pass_reply, read_reply};
    use crate::reply::ChatReply;
    use crate::stream::StreamEvent;

    fn answer(counts: &Value) -> String {
        json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": counts}).to_string()
    }

    #[test]
    fn what_was_cached_is_told_apart_by_its_kind() {
        let body = answer(&json!({
            "promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 5,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 700}],
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 300}, {"modality": "IMAGE", "tokenCount": 60},
            ],
        }));
        let usage = pass_reply(Bytes::from(body)).expect("a reply").usage().expect("it counts");
        assert_eq!((usage.cached, usage.prompt_audio), (Tokens(400), Tokens(700)));
        assert_eq!((usage.cached_audio, usage.cached_image), (Tokens(300), Tokens(60)));
    }

    #[test]
    fn an_answer_says_in_which_tier_it_was_served() {
        for (traffic, tier) in [
            ("ON_DEMAND", Some(Tier::Standard)),
            ("PROVISIONED_THROUGHPUT", Some(Tier::Standard)),
            ("ON_DEMAND_FLEX", Some(Tier::Flex)),
            ("ON_DEMAND_PRIORITY", Some(Tier::Priority)),
            ("TRAFFIC_TYPE_UNSPECIFIED", None),
        ] {
            let body = answer(&json!({"promptTokenCount": 1, "trafficType": traffic}));
            let read = ChatReply::from(read_reply(body.as_bytes()).expect("a reply"));
            assert_eq!(read.service_tier(), tier, "{traffic}");
            let frame = Bytes::from(format!("data: {body}\n\n"));
            let passed = pass_reply(Bytes::from(body)).expect("a reply");
            assert_eq!(passed.service_tier(), tier, "{traffic}");
            let chunk = StreamReader::default().pass(frame.clone()).expect("a frame");
            let StreamEvent::Chunk(chunk) = chunk else { panic!("{chunk:?}") };
            assert_eq!(chunk.service_tier(), tier, "{traffic}");
            let mut events = Vec::new();
            StreamReader::default().read(frame, &mut events).expect("a frame");
            let served = tier.map(|tier| StreamEvent::Delta(Delta::Served(tier)));
            let told = |event: &&StreamEvent| matches!(event, StreamEvent::Delta(Delta::Served(_)));
            assert_eq!(events.iter().find(told), served.as_ref(), "{traffic}");
        }
    }
}
