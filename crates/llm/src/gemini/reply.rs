//! Google's whole answers, read into the common form and written from it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::fields::Members;
use super::grounding::{self, Searches};
use super::read::read_said;
use super::usage::{self, usage_json};
use super::wire::{
    Candidate, CandidateOut, ContentIn, ContentOut, Logprob, Logprobs, Part as WirePart,
    PromptFeedback, Response, TopLogprobs, list_or_one,
};
use super::write::said;
use crate::Dialect;
use crate::endpoint::Stamp;
use crate::estimate::{words_in, words_of};
use crate::form::{Choice, Finish, Json, Part, PartKind, Reply, ToolCall};
use crate::json::Span;
use crate::reply::{BadReply, ChatReply};

/// Reads an answer for a client that speaks another dialect.
///
/// # Errors
/// It is none.
pub fn read_reply(body: &[u8]) -> Result<Reply, BadReply> {
    let response: Response<'_> = serde_json::from_slice(body)?;
    let mut calls = Calls::new(response.response_id.as_deref());
    let mut choices = Vec::new();
    let candidates = response.candidates.unwrap_or_default();
    let searches: Searches =
        candidates.iter().map(|one| Searches::of(one.grounding_metadata)).sum();
    for (at, candidate) in (0..).zip(candidates) {
        choices.push(read_candidate(at, candidate, &mut calls)?);
    }
    let blocked = response.prompt_feedback.is_some_and(|said| said.block_reason.is_some());
    if choices.is_empty() && blocked {
        let (parts, finish) = (Vec::new(), Finish::ContentFilter);
        choices.push(Choice { index: 0, parts, finish, logprobs: None, citations: Vec::new() });
    }
    if choices.is_empty() {
        return Err(BadReply::Empty);
    }
    let usage = response.usage_metadata;
    Ok(Reply {
        id: response.response_id,
        model: response.model_version,
        choices,
        served_in: usage.as_ref().and_then(usage::Wire::tier),
        usage: usage.and_then(usage::Wire::usage).map(|usage| searches.counted_in(usage)),
        ..Reply::default()
    })
}

/// Reads the facts of an answer that passes to a client of Google's; keeps the bytes.
///
/// # Errors
/// The body is not one whole JSON object.
pub fn pass_reply(bytes: Bytes) -> Result<ChatReply, BadReply> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Peek<'a> {
        response_id: Option<String>,
        usage_metadata: Option<usage::Wire>,
        #[serde(borrow)]
        candidates: Option<&'a RawValue>,
        prompt_feedback: Option<PromptFeedback>,
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| BadReply::NotUtf8)?;
    let peek: Peek<'_> = serde_json::from_str(text)?;
    let blocked = peek.prompt_feedback.is_some_and(|said| said.block_reason.is_some());
    let candidates = peek.candidates.map_or("[]", RawValue::get);
    let looked: Vec<Looked<'_>> = serde_json::from_str(candidates)?;
    if looked.is_empty() && !blocked {
        return Err(BadReply::Empty);
    }
    let searches = searches(&looked);
    let tier = peek.usage_metadata.as_ref().and_then(usage::Wire::tier);
    let usage = peek.usage_metadata.and_then(usage::Wire::usage);
    let usage = usage.map(|usage| searches.counted_in(usage));
    let id = peek.response_id.map(String::into_boxed_str);
    let output = peek.candidates.map(|said| Span::of(said.get(), text));
    Ok(ChatReply::of_bytes(Dialect::Gemini, bytes, (None, output), id, usage).served_in(tier))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Looked<'a> {
    #[serde(borrow)]
    grounding_metadata: Option<&'a RawValue>,
}

fn searches(looked: &[Looked<'_>]) -> Searches {
    looked.iter().map(|one| Searches::of(one.grounding_metadata)).sum()
}

/// Those that the JSON text of a `candidates` member tells of.
pub(crate) fn searches_in(candidates: &str) -> Searches {
    let looked: Vec<Looked<'_>> = serde_json::from_str(candidates).unwrap_or_default();
    searches(&looked)
}

/// Bytes of text in the JSON text of a `candidates` member.
pub(crate) fn output_bytes(candidates: &str) -> u64 {
    contents(candidates).into_iter().map(words_in).sum()
}

/// The text in it.
pub(crate) fn output_text(candidates: &str) -> String {
    contents(candidates).into_iter().map(words_of).collect()
}

fn contents(candidates: &str) -> Vec<&str> {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
    }
    let written: Vec<Written<'_>> = serde_json::from_str(candidates).unwrap_or_default();
    written.iter().filter_map(|one| one.content.map(RawValue::get)).collect()
}

/// Names calls to which Google gives no ids: by the answer's own id, so that no two of a
/// conversation are alike.
pub(super) struct Calls {
    prefix: String,
    count: u32,
}

impl Calls {
    pub(super) fn new(response_id: Option<&str>) -> Self {
        Self { prefix: format!("call_{}", response_id.unwrap_or("gemini")), count: 0 }
    }

    /// The call in a part, if it is one.
    pub(super) fn take(&mut self, part: &mut WirePart) -> Option<ToolCall> {
        let call = part.function_call.take()?;
        let number = self.count;
        self.count += 1;
        let id = call.id.filter(|id| !id.is_empty());
        Some(ToolCall {
            id: id.unwrap_or_else(|| format!("{}_{number}", self.prefix)),
            name: call.name,
            arguments: call.args.map_or_else(|| "{}".to_owned(), |args| args.text().to_owned()),
            signature: part.thought_signature.take(),
        })
    }
}

fn read_candidate(
    at: u32,
    candidate: Candidate<'_>,
    calls: &mut Calls,
) -> Result<Choice, BadReply> {
    let mut parts: Vec<Part> = Vec::new();
    let (found, repeated) = (candidate.grounding_metadata, candidate.citation_metadata);
    let (cites, mut texts) = (found.is_some() || repeated.is_some(), Vec::new());
    for (mut wire, raw) in wire_parts(candidate.content.as_ref())? {
        if cites {
            texts.push(wire.text.clone().filter(|_| wire.thought != Some(true)));
        }
        match calls.take(&mut wire) {
            Some(call) => parts.push(PartKind::ToolCall(call).into()),
            None => read_said(wire, raw, &mut parts),
        }
    }
    let calls_any = parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let word = candidate.finish_reason.ok_or(BadReply::Unended)?;
    let finish = finish_named(&word, calls_any);
    let logprobs = candidate.logprobs_result.map(read_logprobs);
    let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
    let citations = grounding::read(found, repeated, &texts);
    let index = candidate.index.unwrap_or(at);
    Ok(Choice { index, parts, finish, logprobs, citations })
}

pub(super) fn wire_parts<'a>(
    content: Option<&ContentIn<'a>>,
) -> serde_json::Result<Vec<(WirePart, &'a RawValue)>> {
    let raws = content.and_then(|content| content.parts).map_or(Ok(Vec::new()), list_or_one)?;
    raws.into_iter().map(|raw| Ok((serde_json::from_str(raw.get())?, raw))).collect()
}

/// What Google's words for the end mean. One that no table has is no plain end.
pub(super) fn finish_named(word: &str, calls_any: bool) -> Finish {
    match word {
        // The rest of a long answer can be asked for.
        "MAX_TOKENS" | "CONTINUATION" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "OTHER"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_OTHER"
        | "NO_IMAGE"
        | "IMAGE_RECITATION"
        | "ESCALATION"
        | "MODEL_ARMOR" => Finish::ContentFilter,
        "STOP" if calls_any => Finish::ToolCalls,
        "STOP" => Finish::Stop,
        other => Finish::Other(other.to_ascii_lowercase()),
    }
}

/// Google's word for why an answer ended.
pub(super) fn finish_word(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Pause => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter | Finish::Refusal => "SAFETY",
        Finish::Other(_) => "OTHER",
    }
}

#[derive(Deserialize)]
struct OpenAiLogprobs {
    content: Option<Vec<OpenAiLogprob>>,
}

#[derive(Deserialize)]
struct OpenAiLogprob {
    token: String,
    logprob: Option<serde_json::Number>,
    #[serde(default)]
    top_logprobs: Vec<OpenAiLogprob>,
}

/// In OpenAI's form, which is the common one.
pub(super) fn read_logprobs(wire: Logprobs) -> Json {
    let mut top = wire.top_candidates.into_iter();
    let one = |Logprob { token, log_probability }: Logprob| json!({"token": token, "logprob": log_probability, "bytes": token.as_bytes()});
    let content = wire.chosen_candidates.into_iter().map(|chosen| {
        let mut wire = one(chosen);
        let top = top.next().unwrap_or_default().candidates.into_iter().map(one);
        wire["top_logprobs"] = top.collect();
        wire
    });
    Json::of(&json!({"content": content.collect::<Vec<Value>>()}))
}

pub(super) fn write_logprobs(logprobs: &Json) -> Option<Logprobs> {
    let read: OpenAiLogprobs = serde_json::from_str(logprobs.text()).ok()?;
    let one = |of: &OpenAiLogprob| Logprob {
        token: of.token.clone(),
        log_probability: of.logprob.clone(),
    };
    let content = read.content?;
    let top = content
        .iter()
        .map(|chosen| TopLogprobs { candidates: chosen.top_logprobs.iter().map(one).collect() });
    Some(Logprobs {
        chosen_candidates: content.iter().map(one).collect(),
        top_candidates: top.collect(),
    })
}

/// Writes an answer of another dialect for a client of Google's.
pub(crate) fn write_reply(reply: &Reply, stamp: Stamp<'_>) -> Bytes {
    let candidates = reply.choices.iter().map(|choice| CandidateOut {
        content: ContentOut { role: Some("model"), parts: said(&choice.parts) },
        finish_reason: Some(finish_word(&choice.finish)),
        index: choice.index,
        logprobs_result: choice.logprobs.as_ref().and_then(write_logprobs),
        grounding_metadata: grounding::write(&choice.parts, &choice.citations),
    });
    let mut wire = Members::default();
    wire.put("candidates", &candidates.collect::<Vec<CandidateOut>>());
    if let Some(usage) = &reply.usage {
        wire.put("usageMetadata", &usage_json(usage));
    }
    wire.put("modelVersion", &stamp.model);
    wire.put("responseId", &reply.id.as_deref().unwrap_or(stamp.id));
    Bytes::from(serde_json::to_vec(&wire).expect("JSON of JSON's pieces"))
}
