//! A spend record: what is kept of one request.

use std::net::IpAddr;

use dunlin_types::{DeploymentId, KeyDigest, NanoUsd, PotId, RequestId, Tokens, UnixMillis};
use serde::{Deserialize, Serialize};

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer was delivered whole.
    Success,
    /// A part of the answer was delivered: the client left, or the upstream broke.
    Partial,
    /// No answer was delivered.
    #[default]
    Failure,
}

/// What one request used and cost. On disk its fields are told apart by their order alone (`frame.rs`);
/// nodes tell each other their names, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpendRecord {
    /// The request.
    pub request: RequestId,
    /// Who pays; `None` for the master key.
    pub key: Option<KeyDigest>,
    /// The model as the client named it.
    pub model: String,
    /// Who served it; `None` when nobody did.
    pub deployment: Option<DeploymentId>,
    /// The model's name there.
    pub upstream_model: String,
    /// When the request was accepted.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: UnixMillis,
    /// Tokens of the prompt, cached ones included.
    pub prompt: Tokens,
    /// Those of the prompt that the provider had cached.
    pub cached: Tokens,
    /// Tokens of the answer.
    pub completion: Tokens,
    /// The cost at the price in force on the serving node.
    pub cost: NanoUsd,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether it was streamed.
    pub stream: bool,
    /// True: the upstream reported no usage and the tokens are our estimate.
    pub estimated: bool,
    /// True: nobody knows what the model costs, and `cost` is nothing for that reason.
    pub unpriced: bool,
    /// The id the client was told, `x-litellm-call-id`.
    pub call_id: String,
    /// What the cost is charged to, each pot with the period in which the request was admitted.
    pub charged: Vec<(PotId, UnixMillis)>,
    /// On whose behalf it was made.
    pub origin: Origin,
    /// How it went.
    pub course: Course,
    /// Whose key it was at the time.
    pub whose: Whose,
    /// The id in the answer, such as `chatcmpl-...`.
    pub answer_id: Option<String>,
    /// What its tokens were.
    pub kinds: Kinds,
    /// What the cost is made of.
    pub parts: Parts,
    /// Why no whole answer was delivered.
    pub fault: Option<Box<Fault>>,
    /// What was said, if that is kept.
    pub said: Option<Box<Said>>,
    /// Callbacks that its client does not want to be told of it, by name. It came later, and stands
    /// apart on disk.
    #[serde(skip)]
    pub disabled_callbacks: Vec<String>,
}

/// Whose a key is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Whose {
    /// The `user_id`.
    pub user: Option<String>,
    /// The `team_id`.
    pub team: Option<String>,
    /// The `organization_id`: the key's own, else its team's.
    pub organization: Option<String>,
}

/// Tokens that have prices of their own. All are parts of a record's `prompt` and `completion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kinds {
    /// Written to the provider's cache.
    pub cache_write: Tokens,
    /// Thought, not shown as the answer.
    pub reasoning: Tokens,
    /// Audio, heard and spoken.
    pub audio: Tokens,
    /// Pictures, seen and drawn.
    pub image: Tokens,
}

/// What a cost is made of: `input + output + tools - discount + margin` is the cost, the others are
/// parts of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// All that was sent.
    pub input: NanoUsd,
    /// All that was made.
    pub output: NanoUsd,
    /// Searches that the model made.
    pub tools: NanoUsd,
    /// Of `input`: read from the provider's cache.
    pub cache_read: NanoUsd,
    /// Of `input`: written to the provider's cache.
    pub cache_write: NanoUsd,
    /// Of `output`: reasoning.
    pub reasoning: NanoUsd,
    /// Taken off.
    pub discount: NanoUsd,
    /// Put on.
    pub margin: NanoUsd,
}

/// What a client was told instead of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// The error's `type`.
    pub kind: Option<String>,
    /// In words, at most [`MAX_FAULT_BYTES`].
    pub message: String,
}

impl Fault {
    /// The class of LiteLLM's exceptions that it would be there.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match (self.status, self.kind.as_deref()) {
            (_, Some("budget_exceeded")) => "BudgetExceededError",
            (400 | 413 | 415, _) => "BadRequestError",
            (401, _) => "AuthenticationError",
            (403, _) => "PermissionDeniedError",
            (404, _) => "NotFoundError",
            (408 | 504, _) => "Timeout",
            (422, _) => "UnprocessableEntityError",
            (429, _) => "RateLimitError",
            (500, _) => "InternalServerError",
            (502, _) => "BadGatewayError",
            (503, _) => "ServiceUnavailableError",
            _ => "APIError",
        }
    }
}

/// What was said in a request, kept only if the configuration says so. Each text has at most
/// [`MAX_SAID_BYTES`] and ends in [`CUT_MARK`] if it was longer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// The body of the request.
    pub request: String,
    /// The body of the answer; of a stream, its text.
    pub answer: String,
}

/// A fault's words have at most this many bytes.
pub const MAX_FAULT_BYTES: usize = 1_024;
/// A request's or an answer's text on record has at most this many bytes.
pub const MAX_SAID_BYTES: usize = 64 << 10;
/// What a text ends in that was cut.
pub const CUT_MARK: &str = "... (cut by dunlin)";

/// `text`, cut to `most` bytes with its end marked.
#[must_use]
pub fn bounded(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(CUT_MARK.len()));
    [&text[..end], CUT_MARK].concat()
}

/// On whose behalf a request was made, as its client says: nothing here is proved. Bounds are those
/// of who reads requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The client's own user.
    pub end_user: Option<String>,
    /// The request's tags, each once.
    pub tags: Vec<String>,
    /// LiteLLM's `spend_logs_metadata`: a JSON object.
    pub spend_metadata: Option<String>,
    /// What several requests have in common.
    pub session: Option<String>,
    /// The address that the request came from.
    pub ip: Option<IpAddr>,
    /// The client's program.
    pub user_agent: Option<String>,
}

/// How a request went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    /// What was asked for, in LiteLLM's words, such as `acompletion`.
    pub call_type: String,
    /// The model group that answered.
    pub group: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
    /// Attempts after the first, in the group that answered.
    pub retries: u32,
    /// Groups that failed before it.
    pub fallbacks: u32,
    /// The attempts in their order, at most [`MAX_ATTEMPTS`]: later ones are not on record.
    pub attempts: Vec<Attempt>,
    /// When the first part of a stream was passed on.
    pub first_token: Option<UnixMillis>,
}

/// One attempt at an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who was asked.
    pub deployment: DeploymentId,
    /// The status of the answer, or the one that stands for its absence.
    pub status: u16,
    /// Until the first part of the answer, or the failure; in milliseconds.
    pub duration_ms: u64,
}

/// A record has this many attempts at most: it must fit its frame.
pub const MAX_ATTEMPTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(bounded("short", 5), "short");
        let cut = bounded(&"ü".repeat(100), 40);
        assert!(cut.len() <= 40 && cut.ends_with(CUT_MARK) && cut.starts_with('ü'), "{cut}");
    }
}
