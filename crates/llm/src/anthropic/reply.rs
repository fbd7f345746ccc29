//! Anthropic's whole answers: passed on as bytes, read into the common form, written from it.

use bytes::Bytes;
use dunlin_types::{Tokens, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::answer_in_json;
use super::blocks::{read_content, write_sealed_call};
use super::citations;
use super::usage::{self, usage_json};
use crate::Dialect;
use crate::endpoint::{Endpoint, Stamp};
use crate::form::{Choice, Finish, Part, PartKind, Reply};
use crate::json::{Span, string};
use crate::reply::{BadReply, ChatReply};
use crate::tier::Tier;

#[derive(Deserialize)]
struct Wire<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(default, deserialize_with = "crate::lenient::text")]
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    stop_details: Option<Value>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(flatten)]
    tokens: usage::Wire,
    service_tier: Option<String>,
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// Reads the facts of an answer that is passed on as it is.
///
/// # Errors
/// The body is not one whole JSON object.
pub fn parse_reply(bytes: Bytes) -> Result<ChatReply, BadReply> {
    let text = std::str::from_utf8(&bytes).map_err(|_| BadReply::NotUtf8)?;
    let peek: Peek<'_> = serde_json::from_str(text)?;
    let at = |value: &RawValue| Span::of(value.get(), text);
    let content = peek.content.filter(|content| content.get() != "null").ok_or(BadReply::Empty)?;
    let (model, output) = (peek.model.map(at), Some(at(content)));
    let id = peek.id.and_then(|id| string(id.get())).map(|id| id.into());
    let usage = peek.usage.and_then(|usage| usage::Wire::read(usage.get()).usage());
    let tier = peek.usage.and_then(|usage| Tier::asked(usage.get()));
    let reply = ChatReply::of_bytes(Dialect::Anthropic, bytes, (model, output), id, usage);
    Ok(reply.served_in(tier))
}

/// Reads the answer to a question for a prompt's tokens.
///
/// # Errors
/// It names no number.
pub fn parse_count(bytes: Bytes) -> Result<ChatReply, BadReply> {
    #[derive(Deserialize)]
    struct Wire {
        input_tokens: u64,
    }
    let wire: Wire = serde_json::from_slice(&bytes)?;
    let usage = Usage { prompt: Tokens(wire.input_tokens), ..Usage::default() };
    Ok(ChatReply::of_bytes(Dialect::Anthropic, bytes, (None, None), None, Some(usage)))
}

/// The text in the JSON text of a `content` member.
pub(crate) fn output_text(content: &str) -> String {
    let parts = serde_json::from_str::<&RawValue>(content).ok().and_then(|c| read_content(c).ok());
    let choice = |parts| Choice {
        index: 0,
        parts,
        finish: Finish::Stop,
        logprobs: None,
        citations: Vec::new(),
    };
    let choices = parts.map(|parts| vec![choice(parts)]).unwrap_or_default();
    Reply { choices, ..Reply::default() }.output_text()
}

/// Reads an answer into the common form.
///
/// # Errors
/// It is none.
pub fn read_reply(body: &[u8]) -> Result<Reply, BadReply> {
    let wire: Wire<'_> = serde_json::from_slice(body)?;
    let mut parts = read_content(wire.content)
        .map_err(|expected| BadReply::NotAnObject { reason: expected.to_string() })?;
    let in_json = answer_in_json(&mut parts);
    let why = wire.stop_details.as_ref().and_then(explanation);
    parts.extend(why.map(|why| PartKind::Refusal(why).into()));
    let citations = if in_json { Vec::new() } else { citations::read_all(wire.content) };
    let word = wire.stop_reason.ok_or(BadReply::Unended)?;
    let finish = finish_named(&word, wire.stop_sequence);
    let calls = parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let finish = if finish == Finish::ToolCalls && !calls { Finish::Stop } else { finish };
    let (tokens, service_tier) =
        wire.usage.map_or((None, None), |usage| (usage.tokens.usage(), usage.service_tier));
    Ok(Reply {
        id: wire.id,
        model: wire.model,
        choices: vec![Choice { index: 0, parts, finish, logprobs: None, citations }],
        usage: tokens,
        service_tier,
        ..Reply::default()
    })
}

/// Why the model refuses, in words, of the `stop_details` beside the reason.
pub(super) fn explanation(details: &Value) -> Option<String> {
    let said = details["explanation"].as_str().filter(|said| !said.is_empty());
    said.map(str::to_owned)
}

/// Anthropic's word for why an answer ended.
pub(super) fn finish_named(word: &str, sequence: Option<String>) -> Finish {
    match word {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence(sequence),
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        other => Finish::Other(other.to_owned()),
    }
}

/// Anthropic's words for why an answer ended, and at which text.
pub(super) fn finish_words(finish: &Finish) -> (&str, Option<&str>) {
    match finish {
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(sequence) => ("stop_sequence", sequence.as_deref()),
        Finish::Length => ("max_tokens", None),
        Finish::ToolCalls => ("tool_use", None),
        Finish::ContentFilter | Finish::Refusal => ("refusal", None),
        Finish::Pause => ("pause_turn", None),
        Finish::Other(word) => (word, None),
    }
}

/// Writes an answer. There is room for one choice only.
#[must_use]
pub(crate) fn write_reply(reply: &Reply, stamp: Stamp<'_>) -> Bytes {
    let choice = reply.choices.first();
    let content = choice.map(answer_blocks).unwrap_or_default();
    let (reason, sequence) =
        choice.map_or(("refusal", None), |choice| finish_words(&choice.finish));
    let mut usage = usage_json(reply.usage.as_ref().unwrap_or(&Usage::default()));
    if let Some(tier) = &reply.service_tier {
        usage["service_tier"] = tier.as_str().into();
    }
    let wire = json!({
        "id": stamp.answer_id(Endpoint::Messages, reply.id.as_deref()),
        "type": "message",
        "role": "assistant",
        "model": stamp.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage,
    });
    Bytes::from(wire.to_string())
}

/// The blocks of an answer, its words cut where others say which of them come from where.
fn answer_blocks(choice: &Choice) -> Vec<Value> {
    let is_text = |part: &Part| matches!(part.kind, PartKind::Text(_));
    let last = choice.parts.iter().rposition(is_text);
    let (mut before, mut blocks) = (0, Vec::new());
    for (at, part) in choice.parts.iter().enumerate() {
        match &part.kind {
            PartKind::Text(text) if !choice.citations.is_empty() && !text.is_empty() => {
                let is_last = last == Some(at);
                blocks.extend(citations::blocks(text, before, is_last, &choice.citations));
                before += text.chars().count() as u64;
            }
            PartKind::Text(_)
            | PartKind::Refusal(_)
            | PartKind::Thinking { .. }
            | PartKind::RedactedThinking(_)
            | PartKind::ToolCall(_)
            | PartKind::Image { .. }
            | PartKind::Audio { .. }
            | PartKind::File { .. }
            | PartKind::ToolResult { .. }
            | PartKind::Other(_) => blocks.extend(answer_block(part)),
        }
    }
    blocks
}

/// A block of an answer. Thoughts of other providers have no seal; clients expect its member.
fn answer_block(part: &Part) -> Option<Value> {
    match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => {
            Some(json!({"type": "text", "text": text}))
        }
        PartKind::Thinking { text, signature } => {
            let signature = signature.as_deref().unwrap_or_default();
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        PartKind::RedactedThinking(data) => {
            Some(json!({"type": "redacted_thinking", "data": data}))
        }
        PartKind::ToolCall(call) => Some(write_sealed_call(call)),
        PartKind::Image { .. }
        | PartKind::Audio { .. }
        | PartKind::File { .. }
        | PartKind::ToolResult { .. }
        | PartKind::Other(_) => None,
    }
}
