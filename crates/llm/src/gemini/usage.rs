//! Tokens in Google's words.

use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wire {
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
    prompt_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Modality {
    modality: Option<String>,
    #[serde(default, deserialize_with = "crate::lenient::count")]
    token_count: Option<u64>,
}

impl Wire {
    /// `None` where the prompt is not counted, as in the first pieces of a stream.
    pub(super) fn usage(self) -> Option<Usage> {
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
