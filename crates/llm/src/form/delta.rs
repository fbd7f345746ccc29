//! A streamed answer, piece by piece, free of any dialect.

use dunlin_types::Usage;

use crate::Endpoint;
use crate::form::{Citation, Finish, Json, PartKind};
use crate::stream::BadFrame;
use crate::tier::Tier;

/// What one event of a stream adds. `choice` and `call` count from 0; a call's number is unique
/// within its choice.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The answer begins. Comes once, first.
    Start {
        /// The provider's id of the answer.
        id: Option<String>,
        /// The model as the provider names it.
        model: Option<String>,
        /// What is known to be used already.
        usage: Option<Usage>,
    },
    /// Words.
    Text {
        /// Of which answer.
        choice: u32,
        /// More of them.
        text: String,
    },
    /// Words on why there is no answer.
    Refusal {
        /// Of which answer.
        choice: u32,
        /// More of them.
        text: String,
    },
    /// A thought.
    Thinking {
        /// Of which answer.
        choice: u32,
        /// More of it.
        text: String,
    },
    /// A seal.
    Signature {
        /// Of which answer.
        choice: u32,
        /// The whole seal.
        signature: String,
        /// Whether it is that of the thought before; else it is that of the words to come, if any do.
        of_thought: bool,
    },
    /// A thought that only the provider can read, whole.
    RedactedThinking {
        /// Of which answer.
        choice: u32,
        /// Opaque.
        data: String,
    },
    /// A call of a tool begins.
    ToolCall {
        /// Of which answer.
        choice: u32,
        /// Which call.
        call: u32,
        /// By which its result will name it.
        id: String,
        /// The tool.
        name: String,
        /// See [`ToolCall::signature`](crate::form::ToolCall::signature).
        signature: Option<String>,
    },
    /// Arguments of a call that has begun.
    Arguments {
        /// Of which answer.
        choice: u32,
        /// Which call.
        call: u32,
        /// More of the JSON text.
        text: String,
    },
    /// A picture, a sound or a file, whole.
    Media {
        /// Of which answer.
        choice: u32,
        /// Which.
        media: PartKind,
    },
    /// How likely its words were, those before or those to come.
    Logprobs {
        /// Of which answer.
        choice: u32,
        /// In OpenAI's form, as in [`Choice::logprobs`](crate::form::Choice::logprobs).
        logprobs: Json,
    },
    /// Where some of its words come from, once they are said.
    Citation {
        /// Of which answer.
        choice: u32,
        /// The source.
        citation: Citation,
    },
    /// An answer is whole.
    Finish {
        /// Which.
        choice: u32,
        /// Why.
        finish: Finish,
    },
    /// What has been used; a later one replaces an earlier one.
    Usage(Usage),
    /// In which tier it is served.
    Served(Tier),
}

impl Delta {
    /// Bytes of output that a model wrote here, for when no usage comes.
    #[must_use]
    pub fn text_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Text { text, .. }
            | Self::Refusal { text, .. }
            | Self::Thinking { text, .. }
            | Self::Arguments { text, .. } => text.len(),
            Self::ToolCall { name, .. } => name.len(),
            Self::Media { media: PartKind::Audio { transcript, .. }, .. } => transcript.len(),
            Self::Start { .. }
            | Self::Signature { .. }
            | Self::RedactedThinking { .. }
            | Self::Media { .. }
            | Self::Logprobs { .. }
            | Self::Citation { .. }
            | Self::Finish { .. }
            | Self::Usage(_)
            | Self::Served(_) => 0,
        };
        bytes as u64
    }

    /// What is in it that `endpoint` has no form for.
    #[must_use]
    pub fn untold(&self, endpoint: Endpoint) -> Option<BadFrame> {
        let Self::Media { media, .. } = self else { return None };
        let what = media.untold(endpoint)?;
        Some(BadFrame::Untold { what, route: endpoint.route() })
    }

    /// What has been used so far, where this says it.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Usage(usage) | Self::Start { usage: Some(usage), .. } => Some(usage.clone()),
            Self::Start { usage: None, .. }
            | Self::Text { .. }
            | Self::Refusal { .. }
            | Self::Thinking { .. }
            | Self::Signature { .. }
            | Self::RedactedThinking { .. }
            | Self::ToolCall { .. }
            | Self::Arguments { .. }
            | Self::Media { .. }
            | Self::Logprobs { .. }
            | Self::Citation { .. }
            | Self::Finish { .. }
            | Self::Served(_) => None,
        }
    }

    /// The service tier that the answer is served in, where this says it.
    #[must_use]
    pub fn service_tier(&self) -> Option<Tier> {
        if let Self::Served(tier) = self { Some(*tier) } else { None }
    }
}
