//! A whole answer, free of any dialect.

use dunlin_types::Usage;

use crate::form::{Citation, Json, Part, PartKind};
use crate::tier::Tier;

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Reply {
    /// The provider's id of it.
    pub id: Option<String>,
    /// When, in seconds since 1970, if the provider says.
    pub created: Option<u64>,
    /// The model as the provider names it.
    pub model: Option<String>,
    /// At least one, unless the prompt was refused.
    pub choices: Vec<Choice>,
    /// What it used, if the provider counts.
    pub usage: Option<Usage>,
    /// The tier that served it, if the provider says, in OpenAI's words.
    pub service_tier: Option<String>,
    /// The same, in words that no client is told.
    pub served_in: Option<Tier>,
    /// Of an OpenAI-compatible provider.
    pub system_fingerprint: Option<String>,
}

impl Reply {
    /// The tier that served it, if the provider says.
    pub(crate) fn tier(&self) -> Option<Tier> {
        self.service_tier.as_deref().and_then(Tier::named).or(self.served_in)
    }

    /// The text that the model wrote, for when the provider does not count.
    pub(crate) fn output_text(&self) -> String {
        let parts = self.choices.iter().flat_map(|choice| &choice.parts);
        let texts = parts.flat_map(|part| match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) | PartKind::Thinking { text, .. } => {
                [text.as_str(), ""]
            }
            PartKind::ToolCall(call) => [call.name.as_str(), call.arguments.as_str()],
            PartKind::Audio { transcript, .. } => [transcript.as_str(), ""],
            PartKind::Image { .. }
            | PartKind::File { .. }
            | PartKind::RedactedThinking(_)
            | PartKind::ToolResult { .. }
            | PartKind::Other(_) => ["", ""],
        });
        texts.collect()
    }
}

/// One of the answers asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// From 0.
    pub index: u32,
    /// Thoughts, words, calls, in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Finish,
    /// Probabilities, in OpenAI's form.
    pub logprobs: Option<Json>,
    /// Where its words come from.
    pub citations: Vec<Citation>,
}

/// Why an answer ended. Each dialect has its own table of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model had said all.
    Stop,
    /// One of the client's texts came, which one if the provider says.
    StopSequence(Option<String>),
    /// The bound on tokens, or the model's window.
    Length,
    /// It waits for the results of tools.
    ToolCalls,
    /// The provider's filter.
    ContentFilter,
    /// The model would not.
    Refusal,
    /// A hosted tool takes long; the client is to send the turn back (Anthropic's `pause_turn`).
    Pause,
    /// A word of the provider's that no table has.
    Other(String),
}
