//! A chat as it is asked.

use std::collections::BTreeSet;

use serde_json::Number;

use crate::form::{
    DETAIL, Format, Json, Tool, ToolChoice, by_name, is_claudes_seal, of_openais_seal, sound_format,
};
use crate::{Dialect, Endpoint};

/// What a client asks of a model. Absent is not a default: a provider is sent only what was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// The dialect it was read from: that of `other`, [`Tool::Hosted`] and [`PartKind::Other`].
    pub from: Dialect,
    /// In their order; instructions are messages of [`Role::System`].
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must, may or must not.
    pub tool_choice: Option<ToolChoice>,
    /// The functions that may be called this time, where not all may.
    pub allowed: Option<BTreeSet<String>>,
    /// False: at most one call in one answer.
    pub parallel_tool_calls: Option<bool>,
    /// How often the provider's own tools may be called in all.
    pub max_tool_calls: Option<u64>,
    /// The bound on tokens of each choice.
    pub max_output: Option<u64>,
    /// As written, so that no digit changes.
    pub temperature: Option<Number>,
    /// Likewise.
    pub top_p: Option<Number>,
    /// Likewise.
    pub top_k: Option<Number>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers.
    pub n: Option<u64>,
    /// For answers that can be had again.
    pub seed: Option<Number>,
    /// From -2 to 2.
    pub presence_penalty: Option<Number>,
    /// From -2 to 2.
    pub frequency_penalty: Option<Number>,
    /// Whether the answer's tokens come with their probabilities.
    pub logprobs: Option<bool>,
    /// How many alternatives with each.
    pub top_logprobs: Option<u64>,
    /// Token ids to biases.
    pub logit_bias: Option<Json>,
    /// The form of the answer.
    pub format: Option<Format>,
    /// How much to think first.
    pub reasoning: Option<Reasoning>,
    /// `low`, `medium` or `high`.
    pub verbosity: Option<String>,
    /// The provider's tier, such as `flex`.
    pub service_tier: Option<String>,
    /// Who the client says its user is.
    pub user: Option<String>,
    /// The same under the newer name, which OpenAI's models have.
    pub safety_identifier: Option<String>,
    /// Whether the answer is to come in pieces.
    pub stream: bool,
    /// Whether a stream is not asked for its usage.
    pub hides_usage: bool,
    /// Fields without a word here, in the order they came.
    pub other: Vec<(String, Json)>,
    /// The operator's own fields for the provider, whatever dialect the client speaks.
    pub extra: Vec<(String, Json)>,
}

impl Chat {
    /// A chat that says nothing yet.
    #[must_use]
    pub fn new(from: Dialect) -> Self {
        Self { from, ..Self::default() }
    }

    /// Who the client says its user is, for OpenAI, which refuses longer names. Claude Code's are.
    pub(crate) fn short_user(&self) -> Option<&str> {
        self.end_user().map(short)
    }

    /// Who the client says its user is, by whichever name.
    pub(crate) fn end_user(&self) -> Option<&str> {
        self.user.as_deref().or(self.safety_identifier.as_deref())
    }

    /// Forgets what OpenAI's responses sealed: it means nothing to a model that is asked otherwise.
    pub fn forget_openais_thoughts(&mut self) {
        self.forget_sealed(|seal| of_openais_seal(seal).is_some());
    }

    /// Forgets what OpenRouter, and who follows it, said of thoughts beside their words.
    pub fn forget_details(&mut self) {
        self.forget_sealed(|seal| seal.starts_with(DETAIL));
    }

    /// Forgets what Claude sealed, and keeps what it thought.
    pub fn forget_claudes_seals(&mut self) {
        self.forget_sealed(is_claudes_seal);
    }

    fn forget_sealed(&mut self, is_theirs: impl Fn(&str) -> bool) {
        for part in self.messages.iter_mut().flat_map(|message| &mut message.parts) {
            if let PartKind::Thinking { signature, .. } = &mut part.kind {
                signature.take_if(|seal| is_theirs(seal));
            }
        }
        let is_theirs =
            |part: &Part| matches!(&part.kind, PartKind::RedactedThinking(seal) if is_theirs(seal));
        self.messages.iter_mut().for_each(|message| message.parts.retain(|part| !is_theirs(part)));
    }

    /// The text of all instructions, in order, with blank lines between; empty if there are none.
    #[must_use]
    pub fn system_text(&self) -> String {
        let system = self.messages.iter().filter(|message| message.role == Role::System);
        let texts: Vec<String> = system.map(Message::text).filter(|t| !t.is_empty()).collect();
        texts.join("\n\n")
    }
}

/// As much of a user's name as OpenAI takes.
pub(crate) fn short(user: &str) -> &str {
    &user[..user.floor_char_boundary(64)]
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions: OpenAI's `system` and `developer`.
    System,
    /// The person, and the results of tools.
    User,
    /// The model.
    Assistant,
}

/// One turn. Results of tools are parts of a user's turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// A participant's name, where the dialect has one.
    pub name: Option<String>,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A turn of one text.
    #[must_use]
    pub fn of_text(role: Role, text: impl Into<String>) -> Self {
        Self { role, name: None, parts: vec![Part::text(text)] }
    }

    /// Its texts, joined.
    #[must_use]
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(Part::as_text);
        texts.collect()
    }
}

/// A piece of a turn, and whether a cache may end behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// A cache point behind it.
    pub cache: Option<Cache>,
}

impl Part {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        PartKind::Text(text.into()).into()
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let PartKind::Text(text) = &self.kind { Some(text) } else { None }
    }
}

impl From<PartKind> for Part {
    fn from(kind: PartKind) -> Self {
        Self { kind, cache: None }
    }
}

/// How long a prompt's beginning is kept: Anthropic's `cache_control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Five minutes.
    Short,
    /// An hour.
    Hour,
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// Words.
    Text(String),
    /// The model's words on why it does not answer.
    Refusal(String),
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// `low`, `high` or `auto`.
        detail: Option<String>,
    },
    /// Sound, inline.
    Audio {
        /// Base64; empty if this is only more of the transcript.
        data: String,
        /// Such as `wav`.
        format: String,
        /// The words in it, as far as a model that spoke tells them.
        transcript: String,
    },
    /// A document.
    File {
        /// Where it is.
        source: Source,
        /// Its name.
        name: Option<String>,
    },
    /// What the model thought.
    Thinking {
        /// The thought, perhaps only its summary.
        text: String,
        /// The provider's seal, which it wants back.
        signature: Option<String>,
    },
    /// A thought that only the provider can read.
    RedactedThinking(String),
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool said.
    ToolResult {
        /// The call it answers.
        call: String,
        /// The tool's name, where the dialect says it.
        name: Option<String>,
        /// What came of it.
        parts: Vec<Part>,
        /// Whether it failed.
        is_error: bool,
    },
    /// A piece that only its own dialect knows.
    Other(Json),
}

impl PartKind {
    /// A sound of which only the bytes are known.
    pub(crate) fn sound(data: String, format: impl Into<String>) -> Self {
        Self::Audio { data, format: format.into(), transcript: String::new() }
    }

    /// What a model said aloud, in the form that its first bytes tell.
    pub(crate) fn spoken(data: String, transcript: String) -> Self {
        let format = sound_format(&data).to_owned();
        Self::Audio { data, format, transcript }
    }

    /// What this is, if the answers of `endpoint` have no form for it.
    pub(crate) fn untold(&self, endpoint: Endpoint) -> Option<&'static str> {
        let is_googles = endpoint.dialect() == Dialect::Gemini;
        let is_told = is_googles || endpoint == Endpoint::ChatCompletions;
        match self {
            // There it is always inline.
            Self::Image { source: Source::Inline { .. }, .. }
                if endpoint == Endpoint::Responses =>
            {
                None
            }
            Self::Image { .. } if !is_told => Some("a picture"),
            Self::Audio { .. } if !is_told && endpoint != Endpoint::Responses => Some("a sound"),
            Self::File { .. } if !is_googles => Some("a file"),
            Self::Text(_)
            | Self::Refusal(_)
            | Self::Image { .. }
            | Self::Audio { .. }
            | Self::File { .. }
            | Self::Thinking { .. }
            | Self::RedactedThinking(_)
            | Self::ToolCall(_)
            | Self::ToolResult { .. }
            | Self::Other(_) => None,
        }
    }
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the net, for the provider to fetch.
    Url(String),
    /// The same, of a type that its name does not tell.
    Typed {
        /// Such as `gs://bucket/film`.
        url: String,
        /// Such as `video/mp4`.
        media_type: String,
    },
    /// Inline.
    Inline {
        /// Such as `image/png`.
        media_type: String,
        /// Base64.
        data: String,
    },
    /// Uploaded before, under the provider's id.
    Id(String),
}

impl Source {
    /// From a URL, which may carry its data: `data:image/png;base64,...`.
    #[must_use]
    pub fn of_url(url: &str) -> Self {
        let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        match inline {
            Some((media_type, data)) => {
                let media_type = media_type.split(';').next().unwrap_or_default();
                Self::Inline { media_type: media_type.to_owned(), data: data.to_owned() }
            }
            None => Self::Url(url.to_owned()),
        }
    }

    /// From the data of a file: a URL that carries it, or, as OpenAI's reference has it, the base64
    /// alone. Then the file's `name` tells its type, and it is a PDF without one.
    #[must_use]
    pub(crate) fn of_file_data(data: &str, name: Option<&str>) -> Self {
        if data.starts_with("data:") || data.contains("://") {
            return Self::of_url(data);
        }
        let media_type = name.and_then(by_name).unwrap_or("application/pdf").to_owned();
        Self::Inline { media_type, data: data.to_owned() }
    }

    /// The same, of a type that is said beside it, as LiteLLM's users say it.
    #[must_use]
    pub(crate) fn typed(self, media_type: Option<String>) -> Self {
        match (self, media_type) {
            (Self::Url(url), Some(media_type)) => Self::Typed { url, media_type },
            (Self::Id(url), Some(media_type)) if url.contains("://") => {
                Self::Typed { url, media_type }
            }
            (source, _) => source,
        }
    }

    /// As a URL, which may carry its data. `None` for an id.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Url(url) | Self::Typed { url, .. } => Some(url.clone()),
            Self::Inline { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
            Self::Id(_) => None,
        }
    }
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// By which its result names it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON text, perhaps not whole: models err.
    pub arguments: String,
    /// The seal of the thought that led to it (Gemini's `thoughtSignature`).
    pub signature: Option<String>,
}

/// How much to think.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reasoning {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens.
    pub budget: Option<u64>,
    /// How a thought is summed up for the client: OpenAI's `auto`, `concise` or `detailed`.
    pub summary: Option<String>,
}

impl Reasoning {
    /// In words, in tokens, or in both. No tokens are no thought.
    #[must_use]
    pub fn of(effort: Option<Effort>, budget: Option<u64>) -> Self {
        match budget {
            Some(0) => Self { effort: Some(Effort::None), ..Self::default() },
            Some(_) | None => Self { effort, budget, summary: None },
        }
    }
}

/// How hard to think, from not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as can be.
    Minimal,
    /// A little.
    Low,
    /// Fairly.
    Medium,
    /// Hard.
    High,
    /// Harder than that: `xhigh`.
    Highest,
    /// As hard as can be: `max`.
    Most,
}

impl Effort {
    /// By OpenAI's word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "none" | "disable" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::Highest,
            "max" => Self::Most,
            _ => return None,
        })
    }

    /// OpenAI's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Highest => "xhigh",
            Self::Most => "max",
        }
    }

    /// The tokens that LiteLLM has this effort mean for providers that count thought in tokens.
    #[must_use]
    pub fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 128,
            Self::Low => 1024,
            Self::Medium => 2048,
            Self::High => 4096,
            Self::Highest | Self::Most => 8192,
        }
    }

    /// The effort that a budget of tokens comes nearest to.
    #[must_use]
    pub fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=127 => Self::Minimal,
            128..=1024 => Self::Low,
            1025..=2048 => Self::Medium,
            2049.. => Self::High,
        }
    }
}
