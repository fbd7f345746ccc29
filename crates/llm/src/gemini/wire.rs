//! Google's objects, as they are read and as they are written. Every member may be absent. Of a
//! request, names are [spelled](super::spelling) one way before.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::partial::Piece;
use crate::form::Json;

/// A turn, its parts not yet taken apart.
#[derive(Deserialize)]
pub(super) struct ContentIn<'a> {
    pub(super) role: Option<String>,
    #[serde(borrow)]
    pub(super) parts: Option<&'a RawValue>,
}

/// A turn to be sent.
#[derive(Serialize)]
pub(super) struct ContentOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    pub(super) parts: Vec<Json>,
}

/// A piece: one of its kinds, and what is said about it.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Part {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inline_data: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_data: Option<FileData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<FunctionCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_response: Option<FunctionResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thought_signature: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Blob {
    pub(super) mime_type: String,
    pub(super) data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<String>,
    pub(super) file_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FunctionCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) args: Option<Json>,
    /// Pieces of the arguments, in an answer's stream; only read.
    #[serde(skip_serializing)]
    pub(super) partial_args: Vec<Piece>,
    /// More of the call follows.
    #[serde(skip_serializing)]
    pub(super) will_continue: Option<bool>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct FunctionResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Declaration {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// In the words of OpenAPI; only read.
    #[serde(skip_serializing)]
    pub(super) parameters: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameters_json_schema: Option<Json>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CallingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) allowed_function_names: Vec<String>,
}

/// How the answer is made, as far as the common form has words for it.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GenerationConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_k: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) candidate_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_sequences: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) presence_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frequency_penalty: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_mime_type: Option<String>,
    /// In the words of OpenAPI; only read.
    #[serde(skip_serializing)]
    pub(super) response_schema: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_json_schema: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_config: Option<ThinkingConfig>,
}

#[derive(Serialize, Deserialize, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ThinkingConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) include_thoughts: Option<bool>,
    /// -1: as much as the model likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_level: Option<String>,
}

/// An answer, or a piece of a streamed one.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    pub(super) prompt_feedback: Option<PromptFeedback>,
    pub(super) usage_metadata: Option<super::usage::Wire>,
    pub(super) model_version: Option<String>,
    pub(super) response_id: Option<String>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

impl Response<'_> {
    /// True if it has none of these members.
    pub(super) fn says_nothing(&self) -> bool {
        self.candidates.is_none()
            && self.prompt_feedback.is_none()
            && self.usage_metadata.is_none()
            && self.model_version.is_none()
            && self.response_id.is_none()
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Candidate<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) content: Option<ContentIn<'a>>,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    pub(super) finish_reason: Option<String>,
    pub(super) logprobs_result: Option<Logprobs>,
    #[serde(borrow)]
    pub(super) grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) citation_metadata: Option<&'a RawValue>,
}

/// An answer to be sent, or a piece of one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CandidateOut {
    pub(super) content: ContentOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'static str>,
    pub(super) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs_result: Option<Logprobs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grounding_metadata: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PromptFeedback {
    pub(super) block_reason: Option<String>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Logprobs {
    pub(super) chosen_candidates: Vec<Logprob>,
    pub(super) top_candidates: Vec<TopLogprobs>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct TopLogprobs {
    pub(super) candidates: Vec<Logprob>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Logprob {
    #[serde(default)]
    pub(super) token: String,
    pub(super) log_probability: Option<Number>,
}

/// The members of a list, or the one thing that stands where a list may.
pub(super) fn list_or_one(raw: &RawValue) -> serde_json::Result<Vec<&RawValue>> {
    if raw.get().starts_with('[') { serde_json::from_str(raw.get()) } else { Ok(vec![raw]) }
}
